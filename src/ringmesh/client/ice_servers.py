"""The STUN and TURN servers that calls use, fetched before they are needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from ringmesh.errors import RingmeshError
from ringmesh.ice import IceServer

_logger = logging.getLogger(__name__)

MAX_AGE = 600.0
"""Seconds after which they are fetched anew, since their credentials are short-lived."""


class IceServerCache:
    """Asks the server at most every ten minutes.

    When it cannot be asked, the servers known so far are used, or none: calls then still work
    within one network.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Sequence[IceServer]]]) -> None:
        self._fetch = fetch
        self._servers: Sequence[IceServer] = ()
        self._fetched_at: float | None = None
        self._fetching = asyncio.Lock()

    async def get(self) -> Sequence[IceServer]:
        """The servers to use now."""
        async with self._fetching:
            now = asyncio.get_running_loop().time()
            if self._fetched_at is None or now - self._fetched_at > MAX_AGE:
                try:
                    self._servers = await self._fetch()
                    self._fetched_at = now
                except RingmeshError as error:
                    _logger.warning("no ICE servers from the server: %s", error)
            return self._servers
