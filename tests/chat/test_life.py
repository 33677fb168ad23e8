"""How connections end, and how the service does."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from websockets.exceptions import InvalidStatus

from ringmesh.server.chat import ChatLimits
from ringmesh.server.chat.closing import CloseReason
from tests.chat.host import running, signal, user

CLOSE = '<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>'


async def test_a_client_says_goodbye() -> None:
    """``<close/>`` is answered by ``<close/>`` and an orderly end of the WebSocket."""
    async with running() as host:
        client = await host.online(1)
        await client.send(CLOSE)
        assert await client.end() == ([CLOSE], 1000)
        await host.until(lambda: host.chat.connection_count() == 0)
        assert host.chat.closed_by[CloseReason.CLIENT] == 1


async def test_mobile_sdks_say_goodbye_differently() -> None:
    """They end the stream as over TCP."""
    async with running() as host:
        client = await host.online(1)
        await client.send("</stream:stream>")
        assert (await client.end())[1] == 1000


async def test_a_websocket_may_end_without_the_stream() -> None:
    """A closed tab sends a closing frame only."""
    async with running() as host:
        client = await host.online(1)
        await client.websocket.close()
        await host.until(lambda: host.chat.closed_by[CloseReason.CLIENT] == 1)
        assert not host.chat.is_online(1, 1)


async def test_a_lost_socket_is_noticed() -> None:
    """Whoever vanishes goes offline, and others are still served."""
    async with running() as host:
        lost, other = await host.online(1), await host.online(2)
        lost.cut()
        await host.until(lambda: host.chat.closed_by[CloseReason.LOST] == 1)
        await other.send(signal(user(1)))
        await other.ping()


async def test_a_peer_that_does_not_answer_pings_is_given_up() -> None:
    """Silence is met with pings; who answers stays, who does not is cut off."""
    async with running(ChatLimits(idle_seconds=0.2)) as host:
        alive, dead = await host.online(1), await host.online(2)
        dead.websocket.transport.pause_reading()
        await host.until(lambda: host.chat.closed_by[CloseReason.SILENT] == 1)
        await alive.ping()
        assert host.chat.online_users(1) == [1]


async def test_pings_are_answered() -> None:
    """Clients may look after the connection themselves."""
    async with running() as host:
        client = await host.online(1)
        async with asyncio.timeout(10):
            await (await client.websocket.ping(b"hello"))


async def test_a_shutdown_closes_every_stream() -> None:
    """Everybody gets ``<close/>`` and then the WebSocket's "going away", logged in or not."""
    async with running() as host:
        clients = [await host.online(number) for number in (1, 2)]
        clients.append(await host.client())
        ends = [asyncio.create_task(client.end()) for client in clients]
        await host.chat.close()
        for end in ends:
            assert await end == ([CLOSE], 1001)
        assert host.chat.connection_count() == 0


async def test_a_shutdown_does_not_wait_for_ever() -> None:
    """A client that does not finish the closing handshake is cut off in time."""
    async with running(ChatLimits(close_seconds=0.2)) as host:
        client = await host.online(1)
        client.websocket.transport.pause_reading()
        async with asyncio.timeout(5):
            await host.chat.close()
        assert host.chat.connection_count() == 0


async def test_after_a_shutdown_nobody_comes_in() -> None:
    """Newcomers get an HTTP answer."""
    async with running() as host:
        await host.chat.close()
        with pytest.raises(InvalidStatus, match="503"):
            await host.client()


async def test_a_removed_user_is_disconnected() -> None:
    """Every device of theirs, and nobody else's."""
    async with running() as host:
        devices = [await host.online(1), await host.online(1)]
        other, namesake = await host.online(2), await host.online(1, 2)
        host.chat.disconnect_user(1, 1)
        for device in devices:
            frames, code = await device.end()
            assert "<not-authorized" in frames[0]
            assert code == 1008
        await other.ping()
        await namesake.ping()


async def test_a_login_that_takes_long_does_not_outlive_its_connection() -> None:
    """A client may leave while its password is being checked."""
    async with running() as host:
        client = await host.client()
        await client.open()
        asked = asyncio.Event()
        go_on = asyncio.Event()

        async def slow(_app_id: int, _user_id: int, _password: str, _address: str) -> None:
            asked.set()
            await go_on.wait()

        host.authenticate = slow
        trying = asyncio.create_task(client.authenticate("1-1", "secret"))
        await asked.wait()
        client.cut()
        await host.until(lambda: host.chat.connection_count() == 0)
        go_on.set()
        await asyncio.gather(trying, return_exceptions=True)
        other = await host.client()
        await other.open()


async def test_the_numbers_are_told() -> None:
    """What happened can be read in the Prometheus format."""
    async with running() as host:
        sender, receiver = await host.online(1), await host.online(2)
        stranger = await host.client()
        await stranger.open()
        await stranger.authenticate("1-1", "guess")
        await sender.send(signal(user(2)))
        await sender.send(signal(user(3)))
        await sender.ping()
        await receiver.receive()
        receiver.cut()
        await host.until(lambda: host.chat.connection_count() == 2)
        registry = CollectorRegistry()
        registry.register(host.chat)
        text = generate_latest(registry).decode()
    for line in (
        "ringmesh_chat_connections 2.0",
        "ringmesh_chat_devices 1.0",
        "ringmesh_chat_relayed_total 2.0",
        "ringmesh_chat_delivered_total 1.0",
        "ringmesh_chat_dropped_total 1.0",
        'ringmesh_chat_logins_total{outcome="accepted"} 2.0',
        'ringmesh_chat_logins_total{outcome="not-authorized"} 1.0',
        'ringmesh_chat_closed_total{reason="lost"} 1.0',
    ):
        assert line in text
