"""Knocking at a server whose network may come back at any moment."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from ringmesh.client.network_reach import ServerAddress, reach
from tests.client.calling import eventually
from tests.interop.people import LIMIT


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that is not there yet: it has an address and does not listen."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        yield server


def _address(server: socket.socket) -> ServerAddress:
    return ServerAddress(server.family, server.getsockname())


async def test_who_listens_is_reached(listener: socket.socket) -> None:
    """The connection is one that the server accepted."""
    listener.listen()
    async with asyncio.timeout(LIMIT):
        found = await reach(_address(listener))
    with found, listener.accept()[0] as accepted:
        assert accepted.getpeername() == found.getsockname()


async def test_nobody_listens(listener: socket.socket) -> None:
    """A refusal ends it at once: the network is there, and the server has to be waited for."""
    with pytest.raises(ConnectionRefusedError):
        async with asyncio.timeout(LIMIT):
            await reach(_address(listener))


async def test_goes_on_while_earlier_tries_wait(listener: socket.socket) -> None:
    """Packets that vanish do not end it: it goes on until one of them comes through."""
    listener.listen(0)  # beyond one that waits to be accepted, Linux drops what knocks
    with socket.create_connection(listener.getsockname()):
        knocking = asyncio.create_task(reach(_address(listener)))
        await eventually(
            lambda: sum(task.get_name() == "knock" for task in asyncio.all_tasks()) > 1
        )
        assert not knocking.done()
        listener.accept()[0].close()
        async with asyncio.timeout(LIMIT):
            (await knocking).close()


async def test_leaves_nothing_behind(listener: socket.socket) -> None:
    """Cancelled while it knocks, it takes its tries along."""
    listener.listen(0)
    with socket.create_connection(listener.getsockname()):
        knocking = asyncio.create_task(reach(_address(listener)))
        await eventually(lambda: any(task.get_name() == "knock" for task in asyncio.all_tasks()))
        knocking.cancel()
        await asyncio.wait({knocking})
        await eventually(
            lambda: not any(task.get_name() == "knock" for task in asyncio.all_tasks())
        )
