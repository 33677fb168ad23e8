"""The chat over a network that loses data, falls silent or breaks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

import ringmesh
from ringmesh import (
    ConnectionFailedError,
    CubeChatConnectionSettings,
    CubeChatConnectionState,
    Endpoints,
    ReceiveHungUpFromUser,
)
from ringmesh.server.app import Server
from tests.client.calling import Phone, all_meet, told
from tests.client.conftest import PASSWORD, SignIn
from tests.client.tcp_server import Proxy, serving
from tests.client.test_reconnecting import reaches

READY = CubeChatConnectionState.READY
RECONNECTING = CubeChatConnectionState.RECONNECTING
QUICK = CubeChatConnectionSettings(
    reconnection_timeout=100, keep_alive_interval=0.2, keep_alive_timeout=0.2, connect_timeout=1.0
)


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    """A network to the server that the test controls."""
    address = urlsplit(server.url)
    async with Proxy(address.hostname or "", address.port or 0) as running:
        yield running


async def through(proxy: Proxy, server: Server) -> Endpoints:
    """The server, with its chat behind the proxy."""
    endpoints = await ringmesh.discover(server.url)
    return replace(endpoints, chat_url=f"ws://127.0.0.1:{proxy.port}/chat")


async def test_what_was_lost_is_sent_again(server: Server, proxy: Proxy, sign_in: SignIn) -> None:
    """A hang-up that vanished with the connection arrives over the next one."""
    bob = Phone(await sign_in(), 2)
    async with ringmesh.connect(
        endpoints=await through(proxy, server),
        login="lossy-alice",
        password=PASSWORD,
        chat=CubeChatConnectionSettings(reconnection_timeout=100),
    ) as me:
        alice = Phone(me, 1)
        outgoing, incoming = await alice.calls(bob), await bob.answers()
        await all_meet({alice: outgoing, bob: incoming})
        proxy.stalled = True
        await outgoing.hang_up({"said": "into the void"})
        assert me.chat.state is READY
        proxy.cut()
        await reaches(me.chat, RECONNECTING)
        proxy.stalled = False
        left = await told(incoming, ReceiveHungUpFromUser, alice)
        assert left.user_info == {"said": "into the void"}


async def test_what_is_sent_meanwhile_arrives(
    server: Server, proxy: Proxy, sign_in: SignIn
) -> None:
    """A hang-up while our connection is down arrives when it is back."""
    bob = Phone(await sign_in(), 2)
    async with ringmesh.connect(
        endpoints=await through(proxy, server), login="down-alice", password=PASSWORD, chat=QUICK
    ) as me:
        alice = Phone(me, 1)
        outgoing, incoming = await alice.calls(bob), await bob.answers()
        await all_meet({alice: outgoing, bob: incoming})
        proxy.down = True
        proxy.cut()
        await reaches(me.chat, RECONNECTING)
        await outgoing.hang_up({"said": "while it was down"})
        assert incoming.close_reason is None
        proxy.down = False
        left = await told(incoming, ReceiveHungUpFromUser, alice)
        assert left.user_info == {"said": "while it was down"}


async def test_silence_is_noticed(server: Server, proxy: Proxy) -> None:
    """A connection that carries nothing any more is given up and made anew."""
    async with ringmesh.connect(
        endpoints=await through(proxy, server), login="deaf", password=PASSWORD, chat=QUICK
    ) as me:
        proxy.stalled = True
        await reaches(me.chat, RECONNECTING)
        proxy.stalled = False
        await reaches(me.chat, READY)


async def test_a_cut_is_repaired(server: Server, proxy: Proxy) -> None:
    """After a broken connection a new one is made."""
    async with ringmesh.connect(
        endpoints=await through(proxy, server), login="cut", password=PASSWORD, chat=QUICK
    ) as me:
        for _ in range(3):
            proxy.cut()
            await reaches(me.chat, RECONNECTING, READY)


async def test_a_chat_that_never_answers(server: Server, proxy: Proxy) -> None:
    """Logging in has a limit in time."""
    proxy.stalled = True
    with pytest.raises(ConnectionFailedError, match="cannot log in"):
        async with ringmesh.connect(
            endpoints=await through(proxy, server), login="patient", password=PASSWORD, chat=QUICK
        ):
            pytest.fail("logged in to silence")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
    ],
)
async def test_no_chat_there(server: Server, answer: bytes) -> None:
    """Something else than a chat server is a failed connection."""
    async with serving(answer) as url:
        endpoints = replace(await ringmesh.discover(server.url), chat_url=url.replace("http", "ws"))
        with pytest.raises(ConnectionFailedError, match="cannot log in"):
            async with ringmesh.connect(
                endpoints=endpoints, login="lost", password=PASSWORD, chat=QUICK
            ):
                pytest.fail("logged in to something else")
