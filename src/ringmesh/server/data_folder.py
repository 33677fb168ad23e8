"""What is in a data folder: the one place that knows which store keeps it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from ringmesh.server.accounts.service import Accounts
from ringmesh.server.settings import Settings
from ringmesh.server.store.push import PushStore
from ringmesh.server.store.sqlite import open_push_store, open_sqlite, upgrade_sqlite

DATABASE_FILE_NAME = "ringmesh.db"


async def open_accounts(
    data_dir: Path, settings: Settings, clock: Callable[[], float] = time.time
) -> Accounts:
    """The accounts in a data folder; makes the folder, the database and its tables if needed.

    Raises:
        ConfigurationError: the folder or its database cannot be used.
    """
    database = data_dir / DATABASE_FILE_NAME
    await asyncio.to_thread(upgrade_sqlite, database)
    return Accounts(open_sqlite(database), settings, clock)


def open_push(data_dir: Path) -> PushStore:
    """The outbox of a data folder whose accounts are open."""
    return open_push_store(data_dir / DATABASE_FILE_NAME)
