"""Opening a SQLite database file: its engine, its migrations."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError

from ringmesh.errors import ConfigurationError
from ringmesh.server.store.push import PushStore
from ringmesh.server.store.sql import WRITE, SqlStore

_BUSY_SECONDS = 10
"""How long a transaction waits for another process to finish writing."""

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade_sqlite(path: Path) -> None:
    """Create the database or bring it up to date. Blocks; several processes may try at once.

    Raises:
        ConfigurationError: the file cannot be used as a database.
    """
    engine = _engine(path)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Created before SQLite does, so that password hashes are never readable by others.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        with engine.execution_options(**{WRITE: True}).begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (DBAPIError, OSError) as error:
        reason = getattr(error, "orig", None) or error
        raise ConfigurationError(f"cannot use the database {path}: {reason}") from error
    finally:
        engine.dispose()


def open_sqlite(path: Path) -> SqlStore:
    """A store over a database that `upgrade_sqlite` has prepared."""
    return SqlStore(_engine(path))


def open_push_store(path: Path) -> PushStore:
    """The same for what belongs to pushes."""
    return PushStore(_engine(path))


def _engine(path: Path) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)), hide_parameters=True)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        # The driver's own BEGIN leaves DDL and reads outside of transactions.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
        # Refused while another process does the same; the mode is a property of the file.
        with contextlib.suppress(sqlite3.OperationalError):
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    # Reading is single statements, which need no BEGIN. A transaction that begins by reading
    # could not wait for its turn to write.
    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        if connection.get_execution_options().get(WRITE):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
