"""Keys with which users prove that they know a secret, without telling it (SCRAM, RFC 5802)."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ringmesh.errors import AuthenticationError
from ringmesh.protocol.sasl import SCRAM_HASHES, ScramCredentials, ScramKeys, scram_keys
from ringmesh.server.accounts.login_guard import LoginGuard
from ringmesh.server.accounts.models import Session
from ringmesh.server.store.contract import Store

ITERATIONS = 10_000
"""As many as the slowest SDK bears. Keys of passwords are easier to guess from a stolen database
than Argon2id hashes are, which is why they are made only where SCRAM is switched on. Tokens are
random, so for them the number means nothing."""

_SALT_BYTES = 16


class Scram:
    """Makes and finds keys. A user has those of the password, once the server has seen it in a
    login, and those of each session's token.

    All keys of a user have one salt, since a client says only later which secret it means. It is
    derived from the application's secret, so that users who do not exist have one as well.

    Args:
        guard: the limits on failed logins.
        clock: seconds since 1970-01-01 UTC.
    """

    def __init__(self, store: Store, guard: LoginGuard, clock: Callable[[], float]) -> None:
        self._store = store
        self._guard = guard
        self._clock = clock
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="scram")

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.to_thread(self._threads.shutdown)

    async def learn_password(
        self, application_id: int, user_id: int, password: str, hashed: str
    ) -> None:
        """The user has this password, of which that is the hash."""
        if not await self._store.has_scram_password(user_id, hashed):
            keys = await self._derive(application_id, user_id, password)
            await self._store.set_scram_keys(user_id, hashed, keys)

    async def learn_token(self, session: Session, token: str) -> None:
        """A session begins for a user, or gets another one."""
        if session.user_id is not None:
            keys = await self._derive(session.application_id, session.user_id, token)
            await self._store.set_scram_keys(session.user_id, session.id, keys)

    async def credentials(
        self, application_id: int, user_id: int, hash_name: str, address: str
    ) -> ScramCredentials:
        """What a user's proof is checked against; `answered` must be told how that went.

        Raises:
            AuthenticationError: there is no such application.
            RequestError: 429 after too many failures.
        """
        self._guard.check(_account(application_id, user_id), address)
        found = await self._store.scram_keys(application_id, user_id, int(self._clock()))
        keys = tuple(_split(each[hash_name]) for each in found)
        return ScramCredentials(await self._salt(application_id, user_id), ITERATIONS, keys)

    def answered(self, application_id: int, user_id: int, address: str, right: bool) -> None:
        """A proof was checked.

        Raises:
            AuthenticationError: it was wrong.
            RequestError: 429 after too many failures, even if it was right.
        """
        account = _account(application_id, user_id)
        self._guard.check(account, address)
        if not right:
            self._guard.failed(account, address)
            raise AuthenticationError("Unauthorized")
        self._guard.succeeded(account, address)

    async def _derive(self, application_id: int, user_id: int, secret: str) -> dict[str, bytes]:
        salt = await self._salt(application_id, user_id)

        def derive() -> dict[str, bytes]:
            made = {name: scram_keys(name, secret, salt, ITERATIONS) for name in _HASH_NAMES}
            return {name: keys.stored_key + keys.server_key for name, keys in made.items()}

        return await asyncio.get_running_loop().run_in_executor(self._threads, derive)

    async def _salt(self, application_id: int, user_id: int) -> bytes:
        application = await self._store.application(application_id)
        if application is None:
            raise AuthenticationError("Unauthorized")
        text = f"scram {user_id}".encode()
        return hmac.digest(application.secret.encode(), text, "sha256")[:_SALT_BYTES]


_HASH_NAMES = tuple(SCRAM_HASHES.values())


def _split(keys: bytes) -> ScramKeys:
    half = len(keys) // 2
    return ScramKeys(keys[:half], keys[half:])


def _account(application_id: int, user_id: int) -> str:
    return f"{application_id}#{user_id}"
