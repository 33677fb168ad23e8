"""A TCP connection to a server that may come back into reach at any moment."""

from __future__ import annotations

import asyncio
import random
import socket
from typing import Any, NamedTuple

KNOCK_INTERVAL = 0.25
"""Seconds from one try to the next, at most; each is shortened by up to half at random."""

KNOCK_TIMEOUT = 3.0
"""Seconds until a try counts as lost."""


class ServerAddress(NamedTuple):
    """Where a server was reached, see `socket.socket.getpeername`."""

    family: int
    address: tuple[Any, ...]


async def reach(server: ServerAddress) -> socket.socket:
    """Knock until somebody opens: try again and again, also while earlier tries wait.

    A try that began while the network was dead waits long for its next packet; a new one does not.
    Nothing is sent on the connection. Goes on until it is cancelled.

    Raises:
        ConnectionRefusedError: the network is there, and nobody listens.
    """
    found: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
    tries: set[asyncio.Task[socket.socket]] = set()

    def ended(task: asyncio.Task[socket.socket]) -> None:
        tries.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None and found.done():
            task.result().close()
        elif error is None:
            found.set_result(task.result())
        elif isinstance(error, ConnectionRefusedError) and not found.done():
            found.set_exception(error)

    try:
        while not found.done():
            task = asyncio.create_task(_knock(server), name="knock")
            tries.add(task)
            task.add_done_callback(ended)
            await asyncio.wait({found}, timeout=KNOCK_INTERVAL * (1 - random.random() / 2))
        return found.result()
    except asyncio.CancelledError:
        if found.done() and found.exception() is None:
            found.result().close()
        raise
    finally:
        found.cancel()
        for task in tries:
            task.cancel()


async def _knock(server: ServerAddress) -> socket.socket:
    sock = socket.socket(server.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        async with asyncio.timeout(KNOCK_TIMEOUT):
            await asyncio.get_running_loop().sock_connect(sock, server.address)
    except BaseException:
        sock.close()
        raise
    return sock
