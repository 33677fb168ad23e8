"""Calls whose relay lies or is full go another way."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import ringmesh
from ringmesh import CallType, EndReason, IceServer, RTCConfig
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from ringmesh.stun.message import (
    Attribute,
    Kind,
    Message,
    Method,
    TransportAddress,
    decode,
    pack_address,
)
from ringmesh.stun.probe import Verdict, probe_relay
from tests.client.calling import Phone, all_meet, over
from tests.turn.relays import allocated, credentials, managed_relay

NOWHERE = TransportAddress.of("203.0.113.9", 9)


class Liar(asyncio.DatagramProtocol):
    """Says yes to everything, and gives addresses at which nobody is.

    Attributes:
        asked: the methods that it was asked for.
    """

    def __init__(self) -> None:
        self.asked: set[Method] = set()
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        assert isinstance(transport, asyncio.DatagramTransport)
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Answer with a lie, and with rubbish after it."""
        try:
            request = decode(data)
        except ringmesh.ProtocolError:
            return
        self.asked.add(request.method)
        lie = pack_address(NOWHERE, request.transaction_id)
        answer = Message(
            request.method,
            Kind.SUCCESS,
            request.transaction_id,
            (
                (Attribute.XOR_MAPPED_ADDRESS, lie),
                (Attribute.XOR_RELAYED_ADDRESS, lie),
                (Attribute.LIFETIME, (600).to_bytes(4, "big")),
            ),
        )
        self._transport.sendto(answer.encode(), address)
        self._transport.sendto(answer.encode()[:-3], address)
        self._transport.sendto(secrets.token_bytes(1200), address)


@asynccontextmanager
async def two_phones(folder: Path, server: IceServer) -> AsyncIterator[list[Phone]]:
    """Two people who know this relay."""
    rtc = RTCConfig(ice_servers=(server,))
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(Server(folder, load_settings(port=0)))
        people = []
        for number, login in enumerate(("alice", "bob"), 1):
            signing_in = ringmesh.connect(
                running.url, login=login, password="correct horse", rtc=rtc
            )
            people.append(Phone(await stack.enter_async_context(signing_in), number))
        yield people


async def talk(alice: Phone, bob: Phone) -> None:
    """A call with sound both ways, by content."""
    outgoing = await alice.calls(bob, call_type=CallType.AUDIO_CALL)
    incoming = await bob.answers()
    await all_meet({alice: outgoing, bob: incoming})
    await outgoing.hang_up()
    assert await over(outgoing, incoming) == [EndReason.HUNG_UP, EndReason.REMOTE_HUNG_UP]


async def test_lying_relay(tmp_path: Path) -> None:
    """Invented addresses and rubbish from a relay do not keep a call from its direct path."""
    loop = asyncio.get_running_loop()
    transport, liar = await loop.create_datagram_endpoint(Liar, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    urls = (f"stun:127.0.0.1:{port}", f"turn:127.0.0.1:{port}?transport=udp")
    try:
        async with two_phones(tmp_path, IceServer(urls, "name", "password")) as (alice, bob):
            await talk(alice, bob)
    finally:
        transport.close()
    assert liar.asked == {Method.BINDING, Method.ALLOCATE}


async def test_full_relay(tmp_path: Path) -> None:
    """With no place left on the relay, a call goes directly."""
    async with managed_relay(turn_allocations_per_user=2) as relay:
        url, account = relay.settings.turn_urls[0], credentials(relay)
        async with allocated(relay), allocated(relay):
            assert (await probe_relay(url, *account)).verdict is Verdict.FULL
            async with two_phones(tmp_path, IceServer((url,), *account)) as (alice, bob):
                await talk(alice, bob)
            assert (await probe_relay(url, *account)).verdict is Verdict.FULL
