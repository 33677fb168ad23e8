"""What the accounts need of a store, and the terms in which they ask."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from ringmesh.server.accounts.models import Application, Session, User

UserValues: TypeAlias = Mapping[str, Any]
"""Values of `User` by field name."""


class DuplicateError(Exception):
    """A value that must be unique within the application is taken.

    Attributes:
        field: name of the `User` field.
    """

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class Operator(StrEnum):
    """How a `Condition` compares. `user_tags` compares tag by tag: any of them is enough."""

    IN = "in"
    NOT_IN = "nin"
    STARTS_WITH = "start_with"
    GREATER = "gt"
    LESS = "lt"
    GREATER_OR_EQUAL = "gte"
    LESS_OR_EQUAL = "lte"


@dataclass(frozen=True, slots=True)
class Condition:
    """One test on a field of `User`. Only `Operator.IN` and NOT_IN take several values.

    ``login`` and ``email`` compare without regard to case.
    """

    field: str
    operator: Operator
    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserQuery:
    """A search: all conditions hold. Sorted by `sort`, then by id, both in the same direction."""

    conditions: Sequence[Condition] = field(default=())
    sort: str = "id"
    descending: bool = False
    offset: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class UserEntry:
    """One of many users to be written at once.

    Attributes:
        existing: id of the user to change; None makes one.
        new_id: the id that a new user is to have; None takes any.
        values: only these change.
        password_hash: None leaves it as it is.
    """

    existing: int | None
    new_id: int | None
    values: UserValues
    password_hash: str | None


class Store(Protocol):
    """Every method is one transaction. Times are whole seconds since 1970-01-01 UTC."""

    async def close(self) -> None:
        """Release the connections."""

    # Applications
    async def add_application(
        self, name: str, auth_key: str, secret: str, now: int
    ) -> Application: ...

    async def first_application(
        self, name: str, auth_key: str, secret: str, now: int
    ) -> tuple[Application, bool]:
        """The oldest application, and whether it had to be made with these values because there
        was none; one is made even when several processes ask at once."""

    async def applications(self) -> list[Application]:
        """All of them, by ascending id."""

    async def application(self, application_id: int) -> Application | None: ...

    # Users
    async def add_user(
        self, application_id: int, values: UserValues, password_hash: str | None, now: int
    ) -> User:
        """Raises `DuplicateError`. Ids are never used twice."""

    async def user(self, application_id: int, user_id: int) -> User | None: ...

    async def user_by(self, application_id: int, field: str, value: str | int) -> User | None:
        """The user with this value in an identifying field; the oldest if there are several."""

    async def password_hash(self, application_id: int, user_id: int) -> str | None:
        """None when there is no such user or the user has no password."""

    async def update_user(
        self, application_id: int, user_id: int, values: UserValues, now: int
    ) -> User | None:
        """Change some fields. None when there is no such user; raises `DuplicateError`."""

    async def users_with(
        self, application_id: int, field: str, values: Collection[str]
    ) -> list[tuple[User, str | None]]:
        """Users with one of these values in an identifying field, with their password hashes."""

    async def save_users(
        self, application_id: int, entries: Sequence[UserEntry], now: int, *, dry_run: bool = False
    ) -> list[User | str]:
        """Make and change many users. For each the user, or the name of the field that is taken
        (``id`` also for a user to change who is gone). A dry run changes nothing."""

    async def set_password_hash(self, application_id: int, user_id: int, hashed: str) -> None: ...

    async def spend_password_hash(self, application_id: int, user_id: int, hashed: str) -> bool:
        """Remove a user's password hash if it is still this one; False when it is not."""

    async def touch_user(self, user_id: int, now: int) -> None:
        """Remember the time of the user's last request."""

    async def remove_user(self, application_id: int, user_id: int) -> bool:
        """Remove a user with all sessions; False when there was none."""

    async def find_users(self, application_id: int, query: UserQuery) -> tuple[int, list[User]]:
        """How many match, and the page asked for."""

    async def users_with_ids(self, application_id: int, ids: Collection[int]) -> list[User]:
        """Those that exist, by ascending id."""

    async def expired_guests(self, created_before: int, limit: int) -> list[User]:
        """Guests that were created before a time, oldest first."""

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
    ) -> Session: ...

    async def session(self, token_hash: bytes) -> tuple[Session, User | None] | None:
        """The session of a token, whether it has expired or not, with its user: one look-up."""

    async def prolong_session(self, session_id: int, now: int, expires_at: int) -> None: ...

    async def set_session_user(
        self,
        session_id: int,
        user_id: int | None,
        *,
        now: int,
        expires_at: int,
        fixed_expiry: bool,
    ) -> Session | None:
        """Sign a user in to a session, or out of it. None when the session is gone."""

    async def remove_session(self, session_id: int) -> None: ...

    async def remove_user_sessions(
        self, user_id: int, *, keep: int | None = None, only: int | None = None
    ) -> int:
        """Remove a user's sessions, except `keep`, or just `only`; returns how many."""

    async def remove_expired_sessions(self, now: int, limit: int) -> int:
        """Remove sessions that ended before `now`; returns how many."""

    # SCRAM
    async def set_scram_keys(
        self, user_id: int, secret: int | str, keys: Mapping[str, bytes]
    ) -> None:
        """Keep a secret's keys by name of the hash function.

        Args:
            secret: id of the session whose token it is, or the hash of the password that it is.
                The keys count as long as the session or that hash is there.
        """

    async def has_scram_password(self, user_id: int, hashed: str) -> bool:
        """Whether the keys of the password with this hash are there."""

    async def scram_keys(
        self, application_id: int, user_id: int, now: int
    ) -> list[Mapping[str, bytes]]:
        """Keys of the user's password and of the newest live sessions, at most 64."""
