"""One connection to one opponent, whose operations run in order and hold up nobody else."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ringmesh.errors import InvalidStateError, RingmeshError
from ringmesh.media.engine import PeerConnection

_logger = logging.getLogger(__name__)

MAX_OPERATIONS = 1000
"""Operations that may wait; a peer with more of them counts as broken."""

OPERATION_TIMEOUT = 20.0
"""Seconds that one operation of the engine may take."""

T = TypeVar("T")


class Peer:
    """Owns a peer connection and the task that operates it.

    Args:
        open_connection: makes the connection for this peer, ready to offer or answer.
        on_failure: told this peer and a reason, when the connection cannot be made or an operation
            fails.
    """

    def __init__(
        self,
        open_connection: Callable[[Peer], Awaitable[PeerConnection]],
        on_failure: Callable[[Peer, str], None],
        *,
        name: str,
    ) -> None:
        self.connection: PeerConnection | None = None
        self._open_connection = open_connection
        self._on_failure = on_failure
        self._operations: deque[Callable[[PeerConnection], Awaitable[None]]] = deque()
        self._wakeup = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._work(), name=f"peer {name}")

    @property
    def closing(self) -> bool:
        """Whether `close` was called: nothing it reports matters any more."""
        return self._closing

    def submit(self, operation: Callable[[PeerConnection], Awaitable[None]]) -> None:
        """Run this after the operations submitted before; its failure is the peer's."""
        if len(self._operations) >= MAX_OPERATIONS:
            asyncio.get_running_loop().call_soon(self._fail, "too many operations wait")
            return
        self._operations.append(operation)
        self._wakeup.set()

    async def run(self, operation: Callable[[PeerConnection], Awaitable[T]]) -> T:
        """Run this after the operations submitted before; its failure is the caller's.

        Raises `InvalidStateError` when the peer is closed first.
        """
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def settle(connection: PeerConnection) -> None:
            try:
                value = await operation(connection)
            except Exception as error:
                if not result.done():
                    result.set_exception(error)
            else:
                if not result.done():
                    result.set_result(value)

        self.submit(settle)
        either: set[asyncio.Future[Any]] = {result, self._task}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise InvalidStateError("the connection was closed")
        return await result

    def close(self) -> None:
        """Let the running operation finish, drop the waiting ones, close the connection."""
        self._closing = True
        self._wakeup.set()

    async def wait_closed(self) -> None:
        """Wait for what `close` began."""
        await asyncio.wait({self._task})

    async def _work(self) -> None:
        try:
            if not self._closing:
                await self._guarded(self._open())
            while not self._closing:
                if self._operations and self.connection is not None:
                    await self._guarded(self._operations.popleft()(self.connection))
                else:
                    self._wakeup.clear()
                    await self._wakeup.wait()
        finally:
            connection, self.connection = self.connection, None
            if connection is not None:
                await connection.close()

    async def _open(self) -> None:
        self.connection = await self._open_connection(self)

    async def _guarded(self, operation: Awaitable[None]) -> None:
        try:
            await asyncio.wait_for(operation, OPERATION_TIMEOUT)
        except RingmeshError as error:
            self._fail(str(error))
        except TimeoutError:
            self._fail(f"the media engine took more than {OPERATION_TIMEOUT:g} s")
        except Exception:
            _logger.exception("%s: media engine error", self._task.get_name())
            self._fail("media engine error")

    def _fail(self, reason: str) -> None:
        if not self._closing:
            _logger.warning("%s failed: %s", self._task.get_name(), reason)
            self._on_failure(self, reason)
