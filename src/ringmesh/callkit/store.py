"""What all processes of an application know of its incoming calls: one small SQLite file.

The agent that rings while the application is closed and the application itself share it. Every
change is one transaction, so that of several processes exactly one wins: a call rings once, and
what was declined stays declined. Nothing here outlives a day.

All methods are plain functions: they take well under a millisecond, and wait at most
`LOCK_TIMEOUT` for another process.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from ringmesh.callkit.call_event import CallEvent, CallState
from ringmesh.errors import InvalidStateError, ProtocolError

_logger = logging.getLogger(__name__)

T = TypeVar("T")

LOCK_TIMEOUT = 2.0
"""Seconds to wait for another process that is writing."""

MAX_AGE = 24 * 3600.0
MAX_CALLS = 200
MAX_HANDED_OVER = 64
"""How long calls are remembered, in seconds, how many, and how many signals for each."""

_VERSION = 1
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS calls (
    session_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    ringer TEXT,
    event TEXT,
    last INTEGER NOT NULL,
    changed_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS signals (session_id TEXT NOT NULL, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS happenings (session_id TEXT, what TEXT, event TEXT, at REAL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA user_version = {_VERSION};
"""


class Ringer(StrEnum):
    """Which process rings for a call."""

    AGENT = "agent"
    APPLICATION = "application"


class What(StrEnum):
    """What happened while the application was closed."""

    INCOMING = "incoming"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that the application was not there to see."""

    what: What
    event: CallEvent


def state_folder() -> Path:
    """Where call states are kept: ``$XDG_STATE_HOME/ringmesh`` (XDG Base Directories)."""
    base = os.environ.get("XDG_STATE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return root / "ringmesh"


class CallStore:
    """The file of one application.

    Every method raises `InvalidStateError` when the file cannot be read or written, for instance
    because the disk is full. A file that is no database any more is put aside and begun anew.

    Args:
        path: the file; folders are made as needed, for the user alone.
        clock: seconds since 1970.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._connection: sqlite3.Connection | None = None

    @classmethod
    def of(cls, application: str) -> CallStore:
        """The store of an application, by its id."""
        return cls(state_folder() / f"{application}.sqlite3")

    def close(self) -> None:
        """Let go of the file. Any use opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # How far a call is.

    def state(self, session_id: str) -> CallState:
        """How far a call is; ``UNKNOWN`` for one never heard of."""
        with self._transaction() as database:
            row = self._row(database, session_id)
        return _state(row)

    def ringer(self, session_id: str) -> Ringer | None:
        """Who rings for a call that is ``PENDING``."""
        with self._transaction() as database:
            row = self._row(database, session_id)
        return Ringer(row[1]) if row is not None and row[1] in set(Ringer) else None

    def begin(self, event: CallEvent, ringer: Ringer, *, instead_of: Ringer | None = None) -> bool:
        """Claim the ringing of a call. True for exactly one of all that ask.

        `instead_of`: a ringer that is gone, whose claim counts no more.
        """
        with self._transaction() as database:
            row = self._row(database, event.session_id)
            state = _state(row)
            orphaned = row is not None and instead_of is not None and row[1] == instead_of
            if state is not CallState.UNKNOWN and not (state is CallState.PENDING and orphaned):
                return False
            last = database.execute("SELECT COALESCE(MAX(last), 0) + 1 FROM calls").fetchone()[0]
            database.execute(
                "INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?, ?)",
                (event.session_id, CallState.PENDING, ringer, event.to_json(), last, self._clock()),
            )
            self._forget_old(database)
        return True

    def set_state(
        self, session_id: str, state: CallState, *, only_from: Sequence[CallState] = ()
    ) -> bool:
        """Change how far a call is; False, and nothing, unless it is `only_from` one of these.

        ``REJECTED`` and ``UNKNOWN`` forget what was kept for whoever answers.
        """
        with self._transaction() as database:
            row = self._row(database, session_id)
            if only_from and _state(row) not in only_from:
                return False
            database.execute(
                "INSERT INTO calls VALUES (?, ?, NULL, NULL, 0, ?) ON CONFLICT (session_id) "
                "DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at",
                (session_id, state, self._clock()),
            )
            if state in (CallState.REJECTED, CallState.UNKNOWN):
                database.execute("DELETE FROM signals WHERE session_id = ?", (session_id,))
        return True

    # What is known of it.

    def event(self, session_id: str) -> CallEvent | None:
        """The call as it was shown, None for one never shown."""
        with self._transaction() as database:
            row = self._row(database, session_id)
        return None if row is None else _event(row[2])

    def clear(self, session_id: str) -> None:
        """Forget what a call was about, but not how far it is."""
        with self._transaction() as database:
            database.execute("UPDATE calls SET event = NULL WHERE session_id = ?", (session_id,))
            database.execute("DELETE FROM signals WHERE session_id = ?", (session_id,))

    def last_call_id(self) -> str | None:
        """The call that began to ring last."""
        with self._transaction() as database:
            query = "SELECT session_id FROM calls WHERE last > 0 ORDER BY last DESC LIMIT 1"
            row = database.execute(query).fetchone()
        return None if row is None else str(row[0])

    def accepted_since(self, seconds: float) -> list[CallEvent]:
        """Calls that were accepted in the last so many seconds, oldest first."""
        with self._transaction() as database:
            rows = database.execute(
                "SELECT event FROM calls WHERE state = ? AND changed_at >= ? ORDER BY changed_at",
                (CallState.ACCEPTED, self._clock() - seconds),
            ).fetchall()
        return [event for row in rows if (event := _event(row[0])) is not None]

    # From the agent to the application.

    def hand_over(self, session_id: str, records: Sequence[str]) -> None:
        """Keep a call's signals for the process that will answer."""
        with self._transaction() as database:
            database.execute("DELETE FROM signals WHERE session_id = ?", (session_id,))
            database.executemany(
                "INSERT INTO signals VALUES (?, ?)",
                [(session_id, record) for record in records[:MAX_HANDED_OVER]],
            )

    def take_over(self, session_id: str) -> list[str]:
        """The signals that were kept, once."""
        with self._transaction() as database:
            query = "SELECT record FROM signals WHERE session_id = ? ORDER BY rowid"
            records = [str(row[0]) for row in database.execute(query, (session_id,))]
            database.execute("DELETE FROM signals WHERE session_id = ?", (session_id,))
        return records

    def tell_later(self, what: What, event: CallEvent) -> None:
        """Keep for the application what it was not there to see."""
        with self._transaction() as database:
            row = (event.session_id, what, event.to_json(), self._clock())
            database.execute("INSERT INTO happenings VALUES (?, ?, ?, ?)", row)

    def untold(self) -> list[Happening]:
        """What happened while the application was closed, once, oldest first."""
        with self._transaction() as database:
            query = "SELECT what, event FROM happenings WHERE at >= ? ORDER BY rowid"
            rows = database.execute(query, (self._clock() - MAX_AGE,)).fetchall()
            database.execute("DELETE FROM happenings")
        return [
            Happening(What(what), event)
            for what, text in rows
            if what in set(What) and (event := _event(text)) is not None
        ]

    def token(self) -> tuple[str, bool]:
        """What identifies this installation, and whether it was made just now."""
        with self._transaction() as database:
            query = "SELECT value FROM facts WHERE name = 'token'"
            row = database.execute(query).fetchone()
            if row is not None:
                return str(row[0]), False
            token = secrets.token_hex(32)
            database.execute("INSERT INTO facts VALUES ('token', ?)", (token,))
        return token, True

    # Inside

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            database = self._connection or self._open()
            with self._immediate(database):
                yield database
        except sqlite3.Error as error:
            self.close()
            raise InvalidStateError(f"calls cannot be kept in {self.path}: {error}") from error
        except OSError as error:
            raise InvalidStateError(f"calls cannot be kept in {self.path}: {error}") from error

    @staticmethod
    @contextmanager
    def _immediate(database: sqlite3.Connection) -> Iterator[None]:
        database.execute("BEGIN IMMEDIATE")
        try:
            yield
            database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._connection = self._connect()
        except sqlite3.OperationalError:  # locked, full, not allowed: the file may be sound
            raise
        except sqlite3.DatabaseError as error:
            aside = self.path.with_suffix(".broken")
            _logger.warning("%s is broken (%s): put aside as %s", self.path, error, aside.name)
            self.path.replace(aside)
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        database = sqlite3.connect(self.path, timeout=LOCK_TIMEOUT, isolation_level=None)
        try:
            database.execute("PRAGMA synchronous = OFF")  # a call lasts no longer than the power
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version != _VERSION:
                with self._immediate(database):
                    for statement in _SCHEMA.split(";\n"):
                        database.execute(statement)
            database.execute("SELECT 1 FROM calls, signals, happenings, facts WHERE 0")
            if database.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("its pages do not fit together")
        except BaseException:
            database.close()
            raise
        return database

    @staticmethod
    def _row(database: sqlite3.Connection, session_id: str) -> tuple[str, str, str] | None:
        query = "SELECT state, ringer, event FROM calls WHERE session_id = ?"
        row: tuple[str, str, str] | None = database.execute(query, (session_id,)).fetchone()
        return row

    def _forget_old(self, database: sqlite3.Connection) -> None:
        database.execute(
            "DELETE FROM calls WHERE changed_at < ? OR session_id NOT IN "
            "(SELECT session_id FROM calls ORDER BY changed_at DESC LIMIT ?)",
            (self._clock() - MAX_AGE, MAX_CALLS),
        )
        database.execute(
            "DELETE FROM signals WHERE session_id NOT IN (SELECT session_id FROM calls)"
        )
        database.execute("DELETE FROM happenings WHERE at < ?", (self._clock() - MAX_AGE,))


def attempt(work: Callable[[], T], otherwise: T) -> T:
    """What the store says, or `otherwise` when it cannot: a call must ring on a full disk too."""
    try:
        return work()
    except InvalidStateError as error:
        _logger.error("%s", error)
        return otherwise


def _state(row: tuple[str, str, str] | None) -> CallState:
    known = row is not None and row[0] in set(CallState)
    return CallState(row[0]) if row is not None and known else CallState.UNKNOWN


def _event(text: str | None) -> CallEvent | None:
    try:
        return None if text is None else CallEvent.from_json(text)
    except ProtocolError as error:
        _logger.warning("stored call is unreadable: %s", error)
        return None
