"""Where a provider's name leads, and a TCP connection to there."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeAlias

from ringmesh.server.push.endpoints import is_allowed_host, is_public

STAGGER_SECONDS = 0.25
"""How long one address may take before the next one is tried beside it (RFC 8305 section 5)."""

_MOST = 4

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host, the best first."""


class PrivateAddressError(Exception):
    """The host's name leads into a private network."""


async def any_address(host: str, port: int) -> list[str]:
    """Wherever the name leads.

    Raises:
        OSError: the name is unknown.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a part of it is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, "no name of a host") from None
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def public_address(allowed_hosts: Collection[str]) -> Resolve:
    """Only what is on the Internet, whatever the name says; all the same for allowed hosts.

    The name is asked for once: whoever connects to the answer connects to what was checked.
    """

    async def resolve(host: str, port: int) -> list[str]:
        found = await any_address(host, port)
        if is_allowed_host(host, port, allowed_hosts):
            return found
        public = [address for address in found if is_public(address)]
        if not public:
            raise PrivateAddressError("leads into a private network")
        return public

    return resolve


async def connect(addresses: Sequence[str], port: int) -> socket.socket:
    """Whichever address answers first; the later ones get a little less time.

    Raises:
        OSError: none of them does; the last one's error.
    """
    waiting = deque(_alternating(addresses)[:_MOST])
    running: set[asyncio.Task[socket.socket]] = set()
    error: BaseException = OSError("no address")
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_connect(waiting.popleft(), port)))
            timeout = STAGGER_SECONDS if waiting else None
            done, running = await asyncio.wait(
                running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            connected = [task.result() for task in done if task.exception() is None]
            for late in connected[1:]:
                late.close()
            if connected:
                return connected[0]
            error = next((e for task in done if (e := task.exception()) is not None), error)
        raise error
    finally:
        for task in running:
            task.add_done_callback(_drop)
            task.cancel()


async def _connect(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(made, (address, port))
    except BaseException:
        made.close()
        raise
    return made


def _drop(task: asyncio.Task[socket.socket]) -> None:
    """It came too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _alternating(addresses: Sequence[str]) -> list[str]:
    """IPv6 and IPv4 in turn: where one of them leads nowhere, the other is tried soon."""
    first = [one for one in addresses if (":" in one) == (":" in addresses[0])]
    others = [one for one in addresses if one not in first]
    pairs = itertools.zip_longest(first, others)
    return [one for pair in pairs for one in pair if one is not None]
