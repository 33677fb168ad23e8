"""`Store` over SQLAlchemy Core, for any database that it speaks to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    Executable,
    Insert,
    Row,
    Select,
    Update,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)  # fmt: skip
from sqlalchemy.exc import IntegrityError

from ringmesh.server.accounts.models import Application, Session, User
from ringmesh.server.store.contract import DuplicateError, UserEntry, UserQuery, UserValues
from ringmesh.server.store.schema import applications, scram_keys, sessions, users
from ringmesh.server.store.user_conditions import KEY_COLUMNS, fold, join_tags, where

WRITE = "ringmesh_write"
"""Execution option of connections that will write."""

_T = TypeVar("_T")
_SaveOne: TypeAlias = Callable[[Connection, int, UserEntry, int], User | str]

_USER_COLUMNS = [users.c[field.name] for field in fields(User)]
_SESSION_COLUMNS = [sessions.c[field.name] for field in fields(Session)]
_USER_NAMES = [field.name for field in fields(User)]
_SESSION_NAMES = [field.name for field in fields(Session)]
# What nearly every request asks: built once, since building a statement costs more than running it.
_USER = select(*_USER_COLUMNS).where(
    users.c.id == bindparam("user_id"), users.c.application_id == bindparam("application_id")
)
_SESSION = (
    select(*_SESSION_COLUMNS, *_USER_COLUMNS)
    .outerjoin(
        users,
        and_(users.c.id == sessions.c.user_id, users.c.application_id == sessions.c.application_id),
    )
    .where(sessions.c.token_hash == bindparam("token_hash"))
)
_SCRAM_KEYS = 64
_UNIQUE_FIELDS = ("login", "email", "external_id", "external_user_id", "facebook_id", "twitter_id")


class SqlStore:
    """Applications, users and sessions in a relational database. See `Store`.

    A transaction is one visit to a thread: with SQLAlchemy's asyncio layer every call of the
    driver is one, which costs four times as much CPU for each look-up.
    """

    def __init__(self, engine: Engine, *, threads: int = 4) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{WRITE: True})
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store")

    async def close(self) -> None:
        """Release the connections, after what is under way."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()

    # Applications

    async def add_application(self, name: str, auth_key: str, secret: str, now: int) -> Application:
        """See `Store`."""
        statement = _add_application(name, auth_key, secret, now)
        return Application(**(await self._change_one(statement))._mapping)

    async def first_application(
        self, name: str, auth_key: str, secret: str, now: int
    ) -> tuple[Application, bool]:
        """See `Store`."""
        oldest = select(applications).order_by(applications.c.id).limit(1)

        def find_or_add() -> tuple[Application, bool]:
            with self._writing.begin() as connection:
                row = connection.execute(oldest).one_or_none()
                if row is not None:
                    return Application(**row._mapping), False
                added = connection.execute(_add_application(name, auth_key, secret, now)).one()
                return Application(**added._mapping), True

        return await self._in_thread(find_or_add)

    async def applications(self) -> list[Application]:
        """See `Store`."""
        rows = await self._all(select(applications).order_by(applications.c.id))
        return [Application(**row._mapping) for row in rows]

    async def application(self, application_id: int) -> Application | None:
        """See `Store`."""
        row = await self._first(select(applications).where(applications.c.id == application_id))
        return None if row is None else Application(**row._mapping)

    # Users

    async def add_user(
        self, application_id: int, values: UserValues, password_hash: str | None, now: int
    ) -> User:
        """See `Store`."""
        statement = insert(users).values(
            is_guest=False, created_at=now, updated_at=now, application_id=application_id,
            password_hash=password_hash,
        ).values(**_columns(values))  # fmt: skip
        try:
            row = await self._change_one(statement.returning(*_USER_COLUMNS))
        except IntegrityError as error:
            raise await self._duplicate(application_id, values, error) from error
        return _user(row)

    async def user(self, application_id: int, user_id: int) -> User | None:
        """See `Store`."""
        row = await self._first(_USER, user_id=user_id, application_id=application_id)
        return None if row is None else _user(row)

    async def user_by(self, application_id: int, field: str, value: str | int) -> User | None:
        """See `Store`."""
        row = await self._first(
            select(*_USER_COLUMNS)
            .where(
                users.c.application_id == application_id,
                users.c[KEY_COLUMNS.get(field, field)] == fold(field, value),
            )
            .order_by(users.c.id)
            .limit(1)
        )
        return None if row is None else _user(row)

    async def password_hash(self, application_id: int, user_id: int) -> str | None:
        """See `Store`."""
        row = await self._first(
            select(users.c.password_hash).where(*_is_user(application_id, user_id))
        )
        return None if row is None else row.password_hash

    async def update_user(
        self, application_id: int, user_id: int, values: UserValues, now: int
    ) -> User | None:
        """See `Store`."""
        statement = (
            update(users)
            .where(*_is_user(application_id, user_id))
            .values(updated_at=now, **_columns(values))
            .returning(*_USER_COLUMNS)
        )
        try:
            row = await self._change(statement)
        except IntegrityError as error:
            raise await self._duplicate(application_id, values, error, user_id) from error
        return None if row is None else _user(row)

    async def set_password_hash(self, application_id: int, user_id: int, hashed: str) -> None:
        """See `Store`."""
        await self._count(
            update(users).where(*_is_user(application_id, user_id)).values(password_hash=hashed)
        )

    async def spend_password_hash(self, application_id: int, user_id: int, hashed: str) -> bool:
        """See `Store`."""
        statement = (
            update(users)
            .where(*_is_user(application_id, user_id), users.c.password_hash == hashed)
            .values(password_hash=None)
        )
        return await self._count(statement) > 0

    async def users_with(
        self, application_id: int, field: str, values: Collection[str]
    ) -> list[tuple[User, str | None]]:
        """See `Store`."""
        statement = select(users.c.password_hash, *_USER_COLUMNS).where(
            users.c.application_id == application_id,
            users.c[KEY_COLUMNS.get(field, field)].in_([fold(field, value) for value in values]),
        )
        return [
            (_user(row), row.password_hash)
            for row in (await self._all(statement) if values else ())
        ]

    async def save_users(
        self, application_id: int, entries: Sequence[UserEntry], now: int, *, dry_run: bool = False
    ) -> list[User | str]:
        """See `Store`."""

        def save(save_one: _SaveOne) -> list[User | str]:
            with self._writing.connect() as connection, connection.begin() as transaction:
                saved = [save_one(connection, application_id, entry, now) for entry in entries]
                if dry_run:
                    transaction.rollback()
                return saved

        def save_quickly_if_possible() -> list[User | str]:
            try:
                return save(_save_user)
            except IntegrityError:
                return save(_save_user_or_refuse)

        return await self._in_thread(save_quickly_if_possible)

    async def touch_user(self, user_id: int, now: int) -> None:
        """See `Store`."""
        await self._count(update(users).where(users.c.id == user_id).values(last_request_at=now))

    async def remove_user(self, application_id: int, user_id: int) -> bool:
        """See `Store`."""
        return await self._count(delete(users).where(*_is_user(application_id, user_id))) > 0

    async def find_users(self, application_id: int, query: UserQuery) -> tuple[int, list[User]]:
        """See `Store`."""
        matching = [users.c.application_id == application_id, *map(where, query.conditions)]
        order = [users.c[KEY_COLUMNS.get(query.sort, query.sort)], users.c.id]
        page = (
            select(*_USER_COLUMNS)
            .where(*matching)
            .order_by(*(column.desc() if query.descending else column.asc() for column in order))
            .offset(query.offset)
            .limit(query.limit)
        )
        total = await self._first(select(func.count()).select_from(users).where(*matching))
        rows = await self._all(page)
        return (total[0] if total else 0), [_user(row) for row in rows]

    async def users_with_ids(self, application_id: int, ids: Collection[int]) -> list[User]:
        """See `Store`."""
        statement = (
            select(*_USER_COLUMNS)
            .where(users.c.application_id == application_id, users.c.id.in_(ids))
            .order_by(users.c.id)
        )
        return [_user(row) for row in await self._all(statement)]

    async def expired_guests(self, created_before: int, limit: int) -> list[User]:
        """See `Store`."""
        statement = (
            select(*_USER_COLUMNS)
            .where(users.c.is_guest.is_(True), users.c.created_at < created_before)
            .order_by(users.c.created_at)
            .limit(limit)
        )
        return [_user(row) for row in await self._all(statement)]

    # Sessions

    async def add_session(
        self,
        application_id: int,
        user_id: int | None,
        token_hash: bytes,
        *,
        now: int,
        expires_at: int,
        fixed_expiry: bool,
    ) -> Session:
        """See `Store`."""
        statement = insert(sessions).values(
            application_id=application_id, user_id=user_id, token_hash=token_hash,
            created_at=now, updated_at=now, expires_at=expires_at, fixed_expiry=fixed_expiry,
        )  # fmt: skip
        row = await self._change_one(statement.returning(*_SESSION_COLUMNS))
        return Session(**row._mapping)

    async def session(self, token_hash: bytes) -> tuple[Session, User | None] | None:
        """See `Store`."""
        row = await self._first(_SESSION, token_hash=token_hash)
        if row is None:
            return None
        end = len(_SESSION_COLUMNS)
        session = Session(**dict(zip(_SESSION_NAMES, row[:end], strict=True)))
        return session, None if row[end] is None else _user(row)

    async def prolong_session(self, session_id: int, now: int, expires_at: int) -> None:
        """See `Store`."""
        await self._count(
            update(sessions)
            .where(sessions.c.id == session_id)
            .values(updated_at=now, expires_at=expires_at)
        )

    async def set_session_user(
        self,
        session_id: int,
        user_id: int | None,
        *,
        now: int,
        expires_at: int,
        fixed_expiry: bool,
    ) -> Session | None:
        """See `Store`."""
        statement = (
            update(sessions)
            .where(sessions.c.id == session_id)
            .values(
                user_id=user_id, updated_at=now, expires_at=expires_at, fixed_expiry=fixed_expiry
            )
            .returning(*_SESSION_COLUMNS)
        )
        row = await self._change(statement)
        return None if row is None else Session(**row._mapping)

    async def remove_session(self, session_id: int) -> None:
        """See `Store`."""
        await self._count(delete(sessions).where(sessions.c.id == session_id))

    async def remove_user_sessions(
        self, user_id: int, *, keep: int | None = None, only: int | None = None
    ) -> int:
        """See `Store`."""
        statement = delete(sessions).where(sessions.c.user_id == user_id)
        if keep is not None:
            statement = statement.where(sessions.c.id != keep)
        if only is not None:
            statement = statement.where(sessions.c.id == only)
        return await self._count(statement)

    async def remove_expired_sessions(self, now: int, limit: int) -> int:
        """See `Store`."""
        expired = select(sessions.c.id).where(sessions.c.expires_at < now).limit(limit)
        return await self._count(delete(sessions).where(sessions.c.id.in_(expired)))

    # SCRAM

    async def set_scram_keys(
        self, user_id: int, secret: int | str, keys: Mapping[str, bytes]
    ) -> None:
        """See `Store`."""
        is_token = isinstance(secret, int)
        session_id, password_hash = (secret, None) if is_token else (None, secret)
        old = scram_keys.c.session_id.is_not_distinct_from(session_id)
        values = {
            "user_id": user_id, "session_id": session_id, "password_hash": password_hash, **keys,
        }  # fmt: skip

        def replace() -> None:
            with self._writing.begin() as connection:
                connection.execute(delete(scram_keys).where(scram_keys.c.user_id == user_id, old))
                connection.execute(insert(scram_keys).values(values))

        with contextlib.suppress(IntegrityError):  # the user or the session is gone meanwhile
            await self._in_thread(replace)

    async def has_scram_password(self, user_id: int, hashed: str) -> bool:
        """See `Store`."""
        found = select(scram_keys.c.id).where(
            scram_keys.c.user_id == user_id, scram_keys.c.password_hash == hashed
        )
        return await self._first(found) is not None

    async def scram_keys(
        self, application_id: int, user_id: int, now: int
    ) -> list[Mapping[str, bytes]]:
        """See `Store`."""
        live = and_(sessions.c.user_id == user_id, sessions.c.expires_at > now)
        statement = (
            select(scram_keys.c.sha1, scram_keys.c.sha256)
            .join(users, users.c.id == scram_keys.c.user_id)
            .outerjoin(sessions, sessions.c.id == scram_keys.c.session_id)
            .where(*_is_user(application_id, user_id))
            .where(or_(scram_keys.c.password_hash == users.c.password_hash, live))
            .order_by(scram_keys.c.session_id.is_not(None), scram_keys.c.id.desc())
            .limit(_SCRAM_KEYS)
        )
        return [{"sha1": row.sha1, "sha256": row.sha256} for row in await self._all(statement)]

    # Helpers

    async def _first(self, statement: Select[Any], **values: Any) -> Row[Any] | None:
        rows = await self._all(statement, **values)
        return rows[0] if rows else None

    async def _all(self, statement: Select[Any], **values: Any) -> Sequence[Row[Any]]:
        def read() -> Sequence[Row[Any]]:
            with self._engine.connect() as connection:
                return connection.execute(statement, values).all()

        return await self._in_thread(read)

    async def _change(self, statement: Executable) -> Row[Any] | None:
        """Run a statement that returns the row it changed, if any."""

        def change() -> Row[Any] | None:
            with self._writing.begin() as connection:
                return connection.execute(statement).one_or_none()

        return await self._in_thread(change)

    async def _change_one(self, statement: Executable) -> Row[Any]:
        row = await self._change(statement)
        assert row is not None
        return row

    async def _count(self, statement: Executable) -> int:
        """Run a statement; how many rows it changed."""

        def change() -> int:
            with self._writing.begin() as connection:
                return connection.execute(statement).rowcount

        return await self._in_thread(change)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _duplicate(
        self,
        application_id: int,
        values: UserValues,
        error: IntegrityError,
        user_id: int | None = None,
    ) -> Exception:
        def find() -> str | None:
            with self._engine.connect() as connection:
                return _taken_field(connection, application_id, values, user_id)

        field = await self._in_thread(find)
        return error if field is None else DuplicateError(field)


def _save_user(
    connection: Connection, application_id: int, entry: UserEntry, now: int
) -> User | str:
    columns = _columns(entry.values) | {"updated_at": now}
    if entry.password_hash is not None:
        columns["password_hash"] = entry.password_hash
    statement: Insert | Update
    if entry.existing is not None:
        statement = update(users).where(*_is_user(application_id, entry.existing)).values(**columns)
    else:
        columns |= {"application_id": application_id, "is_guest": False, "created_at": now}
        if entry.new_id is not None:
            columns["id"] = entry.new_id
        statement = insert(users).values(**columns)
    row = connection.execute(statement.returning(*_USER_COLUMNS)).one_or_none()
    return "id" if row is None else _user(row)


def _save_user_or_refuse(
    connection: Connection, application_id: int, entry: UserEntry, now: int
) -> User | str:
    try:
        with connection.begin_nested():
            return _save_user(connection, application_id, entry, now)
    except IntegrityError:
        return _taken_field(connection, application_id, entry.values, entry.existing) or "id"


def _taken_field(
    connection: Connection, application_id: int, values: UserValues, user_id: int | None
) -> str | None:
    """Find out which value is taken: databases name the constraint each in its own way."""
    for field in _UNIQUE_FIELDS:
        value = values.get(field)
        if value is not None:
            column = users.c[KEY_COLUMNS.get(field, field)]
            owner = select(users.c.id).where(
                users.c.application_id == application_id, column == fold(field, value)
            )
            if connection.execute(owner).scalar() not in (None, user_id):
                return field
    return None


def _add_application(name: str, auth_key: str, secret: str, now: int) -> Executable:
    values = insert(applications).values(
        name=name, auth_key=auth_key, secret=secret, created_at=now
    )
    return values.returning(applications)


def _is_user(application_id: int, user_id: int) -> tuple[Any, Any]:
    return users.c.id == user_id, users.c.application_id == application_id


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """`User` fields as the table has them."""
    columns = dict(values)
    for field, key_column in KEY_COLUMNS.items():
        if field in values:
            columns[key_column] = fold(field, values[field])
    if "user_tags" in values:
        columns["user_tags"] = join_tags(values["user_tags"])
    return columns


def _user(row: Sequence[Any]) -> User:
    """From the columns of `_USER_COLUMNS`, at the end of a row."""
    values = dict(zip(_USER_NAMES, row[-len(_USER_NAMES) :], strict=True))
    tags = values["user_tags"]
    values["user_tags"] = tuple(tags.strip(",").split(",")) if tags else ()
    return User(**values)
