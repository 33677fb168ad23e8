"""Bounds and edges of the parts below calls: events, callbacks, ICE servers, user info."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Sequence

import pytest

from ringmesh import ConfigurationError, ConnectionFailedError, IceServer, InvalidStateError
from ringmesh.client.broadcast import QUEUE_LIMIT, Broadcast
from ringmesh.client.callbacks import MAX_RUNNING, CallbackRunner
from ringmesh.client.ice_servers import IceServerCache
from ringmesh.client.peer import MAX_OPERATIONS, Peer
from ringmesh.client.user_info import announced_bandwidth, check_user_info
from ringmesh.media.engine import PeerConnection
from tests.client.calling import eventually


async def test_a_slow_reader_loses_the_oldest(caplog: pytest.LogCaptureFixture) -> None:
    """A reader who lags too far behind is bounded, and it is logged."""
    broadcast: Broadcast[int] = Broadcast()
    slow = broadcast.subscribe()
    for number in range(QUEUE_LIMIT + 2):
        broadcast.publish(number)
    broadcast.close()
    assert [number async for number in slow][:2] == [2, 3]
    assert "too slowly" in caplog.text


async def test_a_closed_reader_hears_nothing_more() -> None:
    """Closing a subscription ends it for whoever waits on it, and unread values are dropped."""
    broadcast: Broadcast[int] = Broadcast()
    subscription = broadcast.subscribe()
    waiting = asyncio.ensure_future(anext(subscription))
    await asyncio.sleep(0)
    subscription.close()
    with pytest.raises(StopAsyncIteration):
        await waiting
    broadcast.publish(1)
    assert [value async for value in subscription] == []


async def test_a_reader_who_breaks_off_costs_nothing() -> None:
    """Nothing is kept for who left his loop without closing."""
    broadcast: Broadcast[int] = Broadcast()
    for number in range(3):
        asyncio.get_running_loop().call_soon(broadcast.publish, number)
        async for value in broadcast.subscribe():
            assert value == number
            break
        assert not broadcast.has_subscriptions


async def test_a_reader_who_waits_is_not_forgotten() -> None:
    """A task that nobody holds, and that waits for a value, gets it."""
    broadcast: Broadcast[int] = Broadcast()
    got: list[int] = []

    async def read() -> None:
        async for value in broadcast.subscribe():
            got.append(value)

    asyncio.get_running_loop().create_task(read())
    for number in range(3):
        await eventually(lambda: broadcast.has_subscriptions)
        gc.collect()
        broadcast.publish(number)
        await eventually(lambda number=number: got[-1:] == [number])
    broadcast.close()
    assert got == [0, 1, 2]


async def test_callbacks_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Coroutine callbacks that never end are refused beyond a limit, and cancelled at the end."""
    runner = CallbackRunner()
    started = 0

    async def endless() -> None:
        nonlocal started
        started += 1
        await asyncio.Event().wait()

    for _ in range(MAX_RUNNING + 1):
        runner.run(endless)
    await asyncio.sleep(0)
    assert started == MAX_RUNNING
    assert "not run" in caplog.text
    await runner.aclose(grace=0.01)


async def test_a_callback_may_close_its_own_runner() -> None:
    """Closing from inside a callback does not wait for that callback."""
    runner = CallbackRunner()
    closed = asyncio.Event()

    async def close() -> None:
        await runner.aclose(grace=30.0)
        closed.set()

    runner.run(close)
    await asyncio.wait_for(closed.wait(), 10)


async def test_ice_servers_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    """They are fetched once; when that fails, calls go on without, and it is tried again."""
    known = IceServer(("stun:example.org",))
    answers: list[Sequence[IceServer] | Exception] = [ConnectionFailedError("away"), [known]]

    async def fetch() -> Sequence[IceServer]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    cache = IceServerCache(fetch)
    with caplog.at_level(logging.WARNING):
        assert await cache.get() == ()
    assert "away" in caplog.text
    assert await cache.get() == [known]
    assert await cache.get() == [known]


@pytest.mark.parametrize(
    "info",
    [
        {"a b": "1"},
        {"1": "x"},
        {1: "x"},
        {"a": "\x00"},
        {"a": 1},
        {"a": {"b c": "1"}},
        {"a": ["x"]},
        {"a": "x" * 8000},
    ],
)
def test_user_info_that_cannot_be_sent(info: object) -> None:
    """What cannot be written as XML is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match="user_info"):
        check_user_info(info)  # type: ignore[arg-type]


def test_user_info_that_can_be_sent() -> None:
    """Text, nothing, and nested mappings of them."""
    info = {"name": "Zoë <&>", "none": None, "nested": {"a": "1"}}
    assert check_user_info(info) == info
    assert check_user_info(None) == {}


@pytest.mark.parametrize(
    ("text", "kbps"),
    [("256", 256), ("0", 0), ("-1", 0), ("x", 0), (None, 0), ("9" * 40, 0), ("9999999", 1_000_000)],
)
def test_announced_bandwidth(text: str | None, kbps: int) -> None:
    """A caller's limit is taken if it is one, within bounds."""
    assert announced_bandwidth({"maxBandwidth": text}) == kbps


class Connection:
    """Stands in for a peer connection whose operations the test controls."""

    closed = False

    async def close(self) -> None:
        self.closed = True


async def test_a_peer_closes_what_it_opened() -> None:
    """Operations that wait are dropped on close, waiting callers are told, and it is bounded."""
    connection, failures, gate = Connection(), [], asyncio.Event()

    async def open_connection(_peer: Peer) -> PeerConnection:
        return connection  # type: ignore[return-value]

    async def blocked(_: object) -> None:
        await gate.wait()

    peer = Peer(open_connection, lambda _peer, reason: failures.append(reason), name="test")
    for _ in range(MAX_OPERATIONS + 1):
        peer.submit(blocked)
    await eventually(lambda: failures == ["too many operations wait"])
    await eventually(lambda: peer.connection is not None)
    waiting = asyncio.ensure_future(peer.run(blocked))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    peer.close()
    gate.set()
    await asyncio.wait_for(peer.wait_closed(), 10)
    assert connection.closed
    with pytest.raises(InvalidStateError):
        await waiting


async def test_a_peer_that_cannot_open(caplog: pytest.LogCaptureFixture) -> None:
    """An engine that breaks is a failure of this peer, logged, and nothing else."""
    failures: list[str] = []

    async def broken(_peer: Peer) -> PeerConnection:
        raise ZeroDivisionError

    peer = Peer(broken, lambda _peer, reason: failures.append(reason), name="test")
    await eventually(lambda: failures == ["media engine error"])
    assert "ZeroDivisionError" in caplog.text
    peer.close()
    await asyncio.wait_for(peer.wait_closed(), 10)
