"""The store's contract, for every implementation."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from ringmesh.errors import ConfigurationError
from ringmesh.server.accounts.models import Application
from ringmesh.server.store.contract import Condition, DuplicateError, Operator, Store, UserQuery
from ringmesh.server.store.schema import metadata
from ringmesh.server.store.sqlite import open_sqlite, upgrade_sqlite

NOW = 1_800_000_000


def _sqlite(folder: Path) -> Store:
    database = folder / "data" / "ringmesh.db"
    upgrade_sqlite(database)
    return open_sqlite(database)


STORES: dict[str, Callable[[Path], Store]] = {"sqlite": _sqlite}


@pytest.fixture(params=list(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    opened = STORES[request.param](tmp_path)
    yield opened
    await opened.close()


async def application(store: Store) -> Application:
    """A new application."""
    return await store.add_application("test", "key", "secret", NOW)


async def test_applications(store: Store) -> None:
    """Applications are found by id and listed by age."""
    one, two = await application(store), await application(store)
    assert await store.application(one.id) == one
    assert await store.application(two.id + 1) is None
    assert await store.applications() == [one, two]


async def test_first_application(store: Store) -> None:
    """However many ask for it at once, the first application is made once."""
    results = await asyncio.gather(
        *(store.first_application("n", f"k{number}", "s", NOW) for number in range(8))
    )
    assert len({made.id for made, _ in results}) == 1
    assert [new for _, new in results].count(True) == 1


async def test_user_values(store: Store) -> None:
    """What is written is read; logins keep their case and are found without it."""
    app = await application(store)
    values = {
        "login": "Zoë", "email": "Z@Example.org", "full_name": "Zoë Z", "user_tags": ("a", "b"),
        "external_user_id": 2**62, "timezone": -60, "is_guest": True,
    }  # fmt: skip
    user = await store.add_user(app.id, values, "hash", NOW)
    assert {name: getattr(user, name) for name in values} == values
    assert (user.created_at, user.updated_at, user.last_request_at) == (NOW, NOW, None)
    assert await store.user(app.id, user.id) == user
    assert await store.user_by(app.id, "login", "zOË") == user
    assert await store.user_by(app.id, "email", "z@example.ORG") == user
    assert await store.user_by(app.id, "external_user_id", 2**62) == user
    assert await store.password_hash(app.id, user.id) == "hash"


async def test_applications_keep_apart(store: Store) -> None:
    """Nothing of one application is reached with the id of another."""
    one, two = await application(store), await application(store)
    user = await store.add_user(one.id, {"login": "alice"}, "hash", NOW)
    await store.add_user(two.id, {"login": "alice"}, None, NOW)
    assert await store.user(two.id, user.id) is None
    assert await store.password_hash(two.id, user.id) is None
    assert await store.update_user(two.id, user.id, {"full_name": "x"}, NOW) is None
    await store.set_password_hash(two.id, user.id, "other")
    assert await store.remove_user(two.id, user.id) is False
    assert await store.users_with_ids(two.id, [user.id]) == []
    assert await store.user(one.id, user.id) == user
    assert await store.password_hash(one.id, user.id) == "hash"


async def test_duplicates(store: Store) -> None:
    """A value that is taken is named, at making and at changing."""
    app = await application(store)
    await store.add_user(app.id, {"login": "alice", "email": "a@b"}, None, NOW)
    with pytest.raises(DuplicateError) as taken:
        await store.add_user(app.id, {"login": "other", "email": "A@B"}, None, NOW)
    assert taken.value.field == "email"
    bob = await store.add_user(app.id, {"login": "bob"}, None, NOW)
    with pytest.raises(DuplicateError) as taken:
        await store.update_user(app.id, bob.id, {"login": "ALICE"}, NOW)
    assert taken.value.field == "login"
    assert await store.update_user(app.id, bob.id, {"login": "BOB"}, NOW)


async def test_ids_are_not_used_again(store: Store) -> None:
    """Whoever remembers the id of a removed user never reaches a later one."""
    app = await application(store)
    first = await store.add_user(app.id, {"login": "alice"}, None, NOW)
    assert await store.remove_user(app.id, first.id) is True
    second = await store.add_user(app.id, {"login": "alice"}, None, NOW)
    assert second.id > first.id


async def test_find_users(store: Store) -> None:
    """Conditions hold together; total, order and page are right."""
    app = await application(store)
    for number in range(10):
        values = {"login": f"user{number}", "phone": str(number % 2), "user_tags": ("t%_", "u")}
        await store.add_user(app.id, values, None, NOW + number)
    odd = Condition("phone", Operator.IN, ("1",))
    late = Condition("created_at", Operator.GREATER, (NOW + 3,))
    query = UserQuery(conditions=[odd, late], sort="created_at", descending=True, limit=2)
    total, users = await store.find_users(app.id, query)
    assert total == 3
    assert [user.login for user in users] == ["user9", "user7"]
    for operator, values, count in (
        (Operator.NOT_IN, ("user1", "user2"), 8),
        (Operator.STARTS_WITH, ("USER",), 10),
        (Operator.STARTS_WITH, ("user_",), 0),
    ):
        total, _ = await store.find_users(
            app.id, UserQuery(conditions=[Condition("login", operator, values)])
        )
        assert total == count
    for tag, count in (("t%_", 10), ("t", 0), ("%", 0)):
        test = Condition("user_tags", Operator.IN, (tag,))
        assert (await store.find_users(app.id, UserQuery(conditions=[test])))[0] == count


async def test_sessions(store: Store) -> None:
    """A session is found by its hash, changed, and removed with its user."""
    app = await application(store)
    user = await store.add_user(app.id, {"login": "alice"}, None, NOW)
    ids = []
    for number in range(4):
        made = await store.add_session(
            app.id, user.id, bytes([number]), now=NOW, expires_at=NOW + number, fixed_expiry=False
        )
        assert await store.session(bytes([number])) == (made, user)
        ids.append(made.id)
    await store.prolong_session(ids[0], NOW + 5, NOW + 50)
    found = await store.session(b"\0")
    assert found is not None
    prolonged, _ = found
    assert (prolonged.updated_at, prolonged.expires_at) == (NOW + 5, NOW + 50)
    assert await store.remove_expired_sessions(NOW + 2, limit=10) == 1
    assert await store.session(b"\1") is None
    changed = await store.set_session_user(
        ids[2], None, now=NOW, expires_at=NOW + 9, fixed_expiry=True
    )
    assert changed is not None
    assert (changed.user_id, changed.fixed_expiry) == (None, True)
    assert await store.remove_user_sessions(user.id, keep=ids[0]) == 1
    await store.remove_user(app.id, user.id)
    assert await store.session(b"\0") is None
    assert await store.session(b"\2") == (changed, None)
    gone = await store.set_session_user(10**6, None, now=NOW, expires_at=NOW, fixed_expiry=True)
    assert gone is None


async def test_concurrent_writes(store: Store) -> None:
    """Many writes at once all succeed."""
    app = await application(store)
    users = await asyncio.gather(
        *(store.add_user(app.id, {"login": f"user{number}"}, None, NOW) for number in range(50))
    )
    assert len({user.id for user in users}) == 50


def test_migrations_lead_to_the_schema(tmp_path: Path) -> None:
    """A database made by the migrations has exactly the tables that the code expects."""
    database = tmp_path / "ringmesh.db"
    upgrade_sqlite(database)
    engine = create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_database_is_private(tmp_path: Path) -> None:
    """Only the owner may read the folder and the database."""
    database = tmp_path / "data" / "ringmesh.db"
    upgrade_sqlite(database)
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert stat.S_IMODE(database.parent.stat().st_mode) == 0o700


def test_several_processes_make_one_database(tmp_path: Path) -> None:
    """Processes that find no database all at once make it together."""
    database = tmp_path / "ringmesh.db"
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        pool.map(upgrade_sqlite, [database] * 6)
    with sqlite3.connect(database) as connection:
        versions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        mode = connection.execute("PRAGMA journal_mode").fetchone()
    assert len(versions) == 1
    assert mode == ("wal",)


@pytest.mark.parametrize("kind", ["file is no database", "folder is a file", "file is a folder"])
def test_unusable_places(tmp_path: Path, kind: str) -> None:
    """A place that cannot hold a database is a configuration error that names it."""
    database = tmp_path / "ringmesh.db"
    if kind == "file is no database":
        database.write_text("not a database " * 100)
    elif kind == "folder is a file":
        (tmp_path / "data").write_text("")
        database = tmp_path / "data" / "ringmesh.db"
    else:
        database.mkdir()
    with pytest.raises(ConfigurationError, match=r"ringmesh\.db"):
        upgrade_sqlite(database)
