"""Password hashing: Argon2id, off the event loop, never more at once than the machine can bear."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from ringmesh.errors import RequestError
from ringmesh.server.accounts.one_time import is_one_time

_T = TypeVar("_T")

# OWASP's recommended setting for Argon2id: 19 MiB, two passes, one lane.
_HASHER = Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_THREADS = 2
_MAX_WAITING = 200
_MAX_REMEMBERED = 20_000


class Passwords:
    """Hashes and verifies passwords.

    Hashing is slow on purpose. So that a user who comes back, for instance after every network
    change, does not cost that much each time, a password that was right is remembered as an HMAC
    under a key that exists only in this process. It is remembered for the *stored hash*: as soon
    as the password changes or the user is gone, nothing is remembered any more.
    """

    def __init__(self) -> None:
        self._hash = PasswordHash((_HASHER,))
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="password")
        self._waiting = 0
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[str, bytes] = OrderedDict()
        self._nobody = self._hash.hash(secrets.token_hex(16))

    async def hash(self, password: str) -> str:
        """The hash to store."""
        return await self._in_thread(lambda: self._hash.hash(password))

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Whether a password is the right one.

        `hashed` is None where there is no user or no password: that takes as long as a wrong
        password, so that the time says nothing. One-time passwords are none.
        """
        if is_one_time(hashed):
            hashed = None
        digest = hmac.digest(self._key, password.encode(), hashlib.sha256)
        if hashed is not None:
            known = self._remembered.get(hashed)
            if known is not None and hmac.compare_digest(known, digest):
                self._remembered.move_to_end(hashed)
                return True
        right = await self._verify(password, hashed or self._nobody)
        if hashed is None or not right:
            return False
        self._remembered[hashed] = digest
        if len(self._remembered) > _MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return True

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _verify(self, password: str, hashed: str) -> bool:
        return await self._in_thread(lambda: self._hash.verify(password, hashed))

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        if self._waiting >= _MAX_WAITING:
            raise RequestError(503, {"base": ["The server is busy, try again in a moment"]})
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
