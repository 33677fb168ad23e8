"""User accounts: making, finding, changing and removing them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from ringmesh.errors import RequestError
from ringmesh.server.accounts.models import GUEST_LOGIN_PREFIX, User
from ringmesh.server.accounts.passwords import Passwords
from ringmesh.server.accounts.user_input import UserInput
from ringmesh.server.store.contract import DuplicateError, Store, UserQuery

_BATCH = 500


class Users:
    """Makes, finds, changes and removes user accounts."""

    def __init__(self, store: Store, passwords: Passwords, clock: Callable[[], float]) -> None:
        self._store = store
        self._passwords = passwords
        self._clock = clock

    async def get(self, application_id: int, user_id: int) -> User | None:
        """The user with this id."""
        return await self._store.user(application_id, user_id)

    async def by(self, application_id: int, field: str, value: str | int) -> User | None:
        """The user with this value in an identifying field."""
        return await self._store.user_by(application_id, field, value)

    async def find(self, application_id: int, query: UserQuery) -> tuple[int, list[User]]:
        """How many users match, and a page of them."""
        return await self._store.find_users(application_id, query)

    async def with_ids(self, application_id: int, ids: Sequence[int]) -> list[User]:
        """Those that exist."""
        found: list[User] = []
        for start in range(0, len(ids), _BATCH):
            found += await self._store.users_with_ids(application_id, ids[start : start + _BATCH])
        return found

    async def last_activity(self, application_id: int, user_id: int) -> datetime | None:
        """When the user last used the REST API; None: never, or there is no such user."""
        user = await self.get(application_id, user_id)
        if user is None or user.last_request_at is None:
            return None
        return datetime.fromtimestamp(user.last_request_at, UTC)

    async def create(self, application_id: int, user: UserInput) -> User:
        """Make a user who can log in.

        Raises:
            RequestError: 422 naming what is missing or taken.
        """
        problems = {}
        if user.login is None and user.email is None:
            problems["login"] = ["is required, or email"]
        if user.password is None:
            problems["password"] = ["is required"]
        if user.login is not None and user.login.casefold().startswith(GUEST_LOGIN_PREFIX):
            problems["login"] = [f"must not begin with {GUEST_LOGIN_PREFIX}"]
        if problems or user.password is None:
            raise RequestError(422, problems)
        hashed = await self._passwords.hash(user.password)
        return await self._add(application_id, user.values(), hashed)

    async def create_guest(self, application_id: int, user: UserInput) -> User:
        """Make a guest, who has no password and cannot log in again."""
        values = {
            **user.values(),
            "login": GUEST_LOGIN_PREFIX + secrets.token_hex(10).upper(),
            "email": None,
            "is_guest": True,
        }
        return await self._add(application_id, values, None)

    async def update(self, user: User, changes: UserInput) -> tuple[User, bool]:
        """Change an account; returns it, and whether the password changed.

        The caller has checked the old password.

        Raises:
            RequestError: 422 naming what is wrong or taken, 404 when the user is gone.
        """
        values = changes.values()
        if values.get("login", user.login) is None and values.get("email", user.email) is None:
            raise RequestError(422, {"login": ["is required, or email"]})
        if user.is_guest and values.get("login", user.login) != user.login:
            raise RequestError(422, {"login": ["of a guest cannot be changed"]})
        try:
            updated = await self._store.update_user(
                user.application_id, user.id, values, int(self._clock())
            )
        except DuplicateError as error:
            raise _taken(error) from error
        if updated is None:
            raise RequestError(404, {"base": ["There is no such user"]})
        if changes.password is not None:
            await self.set_password(updated, changes.password)
        return updated, changes.password is not None

    async def set_password(self, user: User, password: str) -> None:
        """Give a user another password."""
        hashed = await self._passwords.hash(password)
        await self._store.set_password_hash(user.application_id, user.id, hashed)

    async def remove(self, user: User) -> None:
        """Remove a user with everything that is the user's."""
        await self._store.remove_user(user.application_id, user.id)

    async def remove_expired_guests(self, lifetime: int) -> None:
        """Remove some of the guests that were made more than `lifetime` seconds ago."""
        for guest in await self._store.expired_guests(int(self._clock()) - lifetime, _BATCH):
            await self.remove(guest)

    async def _add(self, application_id: int, values: dict[str, Any], hashed: str | None) -> User:
        try:
            return await self._store.add_user(application_id, values, hashed, int(self._clock()))
        except DuplicateError as error:
            raise _taken(error) from error


def _taken(error: DuplicateError) -> RequestError:
    return RequestError(422, {error.field: ["has already been taken"]})
