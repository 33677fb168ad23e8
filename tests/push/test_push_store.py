"""The outbox's store: what is written together fails apart, and nothing reads whole tables."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, text
from sqlalchemy.exc import OperationalError

from ringmesh.server.push.contract import Channel, Kind, Message, Subscription
from ringmesh.server.push.records import Event
from ringmesh.server.store.push import PushStore
from ringmesh.server.store.schema import applications, subscriptions, users
from ringmesh.server.store.sqlite import open_push_store, upgrade_sqlite

NOW = int(time.time())
LIMIT = 30.0
USERS = range(1, 301)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[PushStore]:
    """A store with people who have a phone each, all of one application."""
    await asyncio.to_thread(upgrade_sqlite, tmp_path / "test.db")
    store = open_push_store(tmp_path / "test.db")
    await store._writer.write(_people)
    yield store
    await store.close()


def _people(connection: Connection) -> None:
    one = {"id": 1, "name": "one", "auth_key": "k", "secret": "s", "created_at": 0}
    connection.execute(insert(applications), [one])
    connection.execute(
        insert(users),
        [
            {"id": n, "application_id": 1, "login": f"u{n}", "is_guest": False, "created_at": 0,
             "updated_at": 0}
            for n in USERS
        ],
    )  # fmt: skip
    connection.execute(
        insert(subscriptions),
        [
            {"application_id": 1, "user_id": n, "channel": "gcm", "platform": "android",
             "udid": f"d{n}", "environment": "production", "token": f"t{n}", "created_at": 0}
            for n in USERS
        ],
    )  # fmt: skip


def _event(kind: Kind, tag: str | None = None) -> Event:
    return Event(
        application_id=1, user_id=1, message=Message({"message": "m"}), kind=kind, tag=tag,
        created_ms=NOW * 1000, expires_at=NOW + 60,
    )  # fmt: skip


def _all(found: list[Subscription]) -> list[Subscription]:
    return found


async def test_one_transaction(store: PushStore) -> None:
    """What comes while something is written goes into one transaction, in its order."""
    begun = 0

    @event.listens_for(store._engine, "begin")
    def count(_connection: Connection) -> None:
        nonlocal begun
        begun += 1

    kinds = [Kind.OTHER] * 20
    added = await asyncio.gather(*(store.add_event(_event(k), [1], None, _all, {}) for k in kinds))
    numbers = [one.event_id for one in added]
    assert numbers == sorted(numbers)
    assert begun == 1
    assert len(await store.log(1, 100)) == 20


async def test_failures_are_ones_own(store: PushStore) -> None:
    """Whose work fails is told so and leaves nothing; what was written with it stays."""

    def fail(connection: Connection) -> None:
        connection.execute(text("DELETE FROM subscriptions"))
        raise ValueError("mine")

    first, failed, last = await asyncio.gather(
        store.add_event(_event(Kind.OTHER), [1], None, _all, {}),
        store._writer.write(fail),
        store.add_event(_event(Kind.OTHER), [2], None, _all, {}),
        return_exceptions=True,
    )
    assert isinstance(failed, ValueError)
    assert [entry.user_id for entry in await store.log(1, 100)] == [2, 1]
    assert not isinstance(first, BaseException)
    assert not isinstance(last, BaseException)
    assert len(await store.subscriptions_of(3)) == 1


async def test_who_waits_no_more(store: PushStore) -> None:
    """Work is not begun for somebody who is gone; the others' is."""
    gone = asyncio.create_task(store.add_event(_event(Kind.OTHER), [1], None, _all, {}))
    stays = asyncio.create_task(store.add_event(_event(Kind.OTHER), [2], None, _all, {}))
    await asyncio.sleep(0)  # both have asked, and nothing has begun
    gone.cancel()
    await stays
    assert [entry.user_id for entry in await store.log(1, 100)] == [2]


async def test_closing_waits(tmp_path: Path, store: PushStore) -> None:
    """What was asked for before the end is written."""
    adding = asyncio.create_task(store.add_event(_event(Kind.OTHER), [1], None, _all, {}))
    await asyncio.sleep(0)  # it has asked
    await store.close()
    await adding
    again = open_push_store(tmp_path / "test.db")
    assert len(await again.log(1, 100)) == 1
    await again.close()


async def test_a_database_that_fails(tmp_path: Path, store: PushStore) -> None:
    """While somebody else holds it, everybody who waits is told; afterwards all is well again."""
    await store._writer.write(lambda one: one.execute(text("PRAGMA busy_timeout = 0")).close())
    with closing(sqlite3.connect(tmp_path / "test.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        for _ in range(2):
            for failed in await _three(store):
                assert isinstance(failed, OperationalError)
    assert [one.pushes for one in await _three(store)] == [1, 1, 1]


async def test_coming_too_late(store: PushStore) -> None:
    """Nobody waits for a store that has been closed."""
    await store.close()
    for _ in range(2):
        for failed in await _three(store):
            assert isinstance(failed, RuntimeError)


async def _three(store: PushStore) -> list[Any]:
    added = (store.add_event(_event(Kind.OTHER), [1], None, _all, {}) for _ in range(3))
    async with asyncio.timeout(LIMIT):
        return await asyncio.gather(*added, return_exceptions=True)


async def test_slices(store: PushStore) -> None:
    """An event for more people than fit into a slice reaches all of them, each once."""
    added = await store.add_event(_event(Kind.OTHER), USERS, None, _all, dict.fromkeys(Channel, 4))
    assert (added.pushes, added.claimed, added.waiting) == (300, [], {Channel.GCM})
    assert {e.user_id for e in await store.log(1, 1000)} == set(USERS)
    assert len(await store.log(1, 1000)) == 300


async def test_a_call_is_not_sliced(store: PushStore) -> None:
    """So that it can be withdrawn as a whole; and devices that rang do not ring again."""
    start = _event(Kind.START, "call")
    for pushes in (300, 0):
        added = await store.add_event(start, USERS, None, _all, {})
        assert added.pushes == pushes
    seen = await store.withdraw_start(1, 1, "call", USERS, NOW * 1000)
    assert seen == []
    assert {entry.state for entry in await store.log(1, 1000)} == {"withdrawn"}


@pytest.fixture
def plans(store: PushStore) -> Iterator[list[str]]:
    """How SQLite runs each statement that comes."""
    found: list[str] = []

    @event.listens_for(store._engine, "before_cursor_execute")
    def explain(
        _connection: Any, cursor: Any, statement: str, values: Any, _context: Any, many: bool
    ) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values[0] if many else values)
            found.extend(row[3] for row in cursor.fetchall())

    yield found
    event.remove(store._engine, "before_cursor_execute", explain)


async def test_nothing_reads_whole_tables(store: PushStore, plans: list[str]) -> None:
    """What an event costs does not grow with the application or with the queue."""
    for kind in (Kind.START, Kind.CANCEL):
        await store.add_event(_event(kind, "call"), [1], None, _all, {})
    assert await store.claim(Channel.GCM, True, NOW * 1000, 10)
    searches = [plan for plan in plans if plan.startswith(("SEARCH", "SCAN"))]
    assert searches
    assert [plan for plan in searches if plan.startswith("SCAN")] == []
    assert [plan for plan in searches if plan.endswith("(application_id=?)")] == []
    assert [plan for plan in searches if plan.endswith("(state=?)")] == []
