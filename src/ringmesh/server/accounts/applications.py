"""Applications: the tenants of a server."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable

from ringmesh.errors import AuthenticationError, RequestError
from ringmesh.server.accounts.models import Application
from ringmesh.server.store.contract import Store

DEFAULT_NAME = "default"
MAX_NAME = 255


class Applications:
    """Makes and recognises applications."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    async def create(self, name: str) -> Application:
        """Make an application with a new key and secret.

        Raises:
            RequestError: 422 when the name is empty or too long.
        """
        if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
            text = f"must have 1 to {MAX_NAME} printable characters"
            raise RequestError(422, {"name": [text]})
        return await self._store.add_application(
            name.strip(), _new_auth_key(), _new_secret(), int(self._clock())
        )

    async def ensure_default(self) -> tuple[Application, bool]:
        """The default application, and whether it had to be made because there was none."""
        return await self._store.first_application(
            DEFAULT_NAME, _new_auth_key(), _new_secret(), int(self._clock())
        )

    async def list(self) -> list[Application]:
        """All of them, the default one first."""
        return await self._store.applications()

    async def default(self) -> Application | None:
        """The first one made, which clients get to know by discovery."""
        return next(iter(await self._store.applications()), None)

    async def get(self, application_id: int) -> Application | None:
        """The application with this id."""
        return await self._store.application(application_id)

    async def with_key(self, auth_key: str) -> Application:
        """The application that this key belongs to.

        Raises:
            AuthenticationError: no application has this key.
        """
        for application in await self._store.applications():
            if _same(application.auth_key, auth_key):
                return application
        raise AuthenticationError("Unknown authorization key")

    async def authorize(self, application_id: int, auth_key: str) -> Application:
        """The application with this id and key.

        Raises:
            AuthenticationError: there is no such application, or the key is another one's.
        """
        application = await self._store.application(application_id)
        if application is None or not _same(application.auth_key, auth_key):
            raise AuthenticationError("Unknown application or wrong authorization key")
        return application


def _new_auth_key() -> str:
    return secrets.token_hex(10)


def _new_secret() -> str:
    return secrets.token_hex(20)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
