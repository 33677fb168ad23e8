"""Which of a name's addresses are tried, and in what order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from ringmesh.server.push.addresses import (
    PrivateAddressError,
    _alternating,
    any_address,
    connect,
    public_address,
)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Takes connections at 127.0.0.1 alone."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


async def test_an_address_that_refuses(listener: socket.socket) -> None:
    """The next one is tried; without a next one the error comes out."""
    port = listener.getsockname()[1]
    with await connect(["127.0.0.2", "127.0.0.1"], port) as connected:
        assert connected.getpeername()[0] == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        await connect(["127.0.0.2", "127.0.0.3"], port)


async def test_an_address_that_does_not_answer(listener: socket.socket) -> None:
    """Nobody waits for its end before the next one is tried."""
    port = listener.getsockname()[1]
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind(("127.0.0.2", port))
        deaf.listen(0)
        for _ in range(4):  # fill its queue: what comes then is dropped
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.2", port))
        with await connect(["127.0.0.2", "127.0.0.1"], port) as connected:
            assert connected.getpeername()[0] == "127.0.0.1"


async def test_given_up(listener: socket.socket) -> None:
    """Whoever is cancelled while connecting leaves nothing behind."""
    port = listener.getsockname()[1]
    task = asyncio.create_task(connect(["127.0.0.1"], port))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_both_families_in_turn() -> None:
    """The best one first."""
    found = ["2001:db8::1", "2001:db8::2", "192.0.2.1", "2001:db8::3"]
    turns = ["2001:db8::1", "192.0.2.1", "2001:db8::2", "2001:db8::3"]
    assert _alternating(found) == turns
    assert _alternating([]) == []


async def test_names_that_are_none() -> None:
    """They are unknown, whatever the system's resolver thinks of them."""
    for host in ("a..example.org", f"{'a' * 64}.example.org"):
        with pytest.raises(OSError):  # noqa: PT011 - the resolver has words of its own
            await any_address(host, 443)


async def test_public_ones_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Private addresses among a name's are left out; those of allowed hosts are not."""

    async def resolve(_host: str, port: int, **_options: object) -> list[Any]:
        addresses = ("10.0.0.1", "1.1.1.1", "fd00::1", "1.1.1.1")
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    assert await public_address(())("push.example.org", 443) == ["1.1.1.1"]
    assert "10.0.0.1" in await public_address({"push.example.org"})("push.example.org", 443)
    monkeypatch.setattr("ringmesh.server.push.addresses.is_public", lambda _: False)
    with pytest.raises(PrivateAddressError):
        await public_address(())("push.example.org", 443)
