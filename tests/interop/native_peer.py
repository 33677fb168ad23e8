"""A person with an XMPP client over TCP that is not ours: slixmpp."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import slixmpp
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from ringmesh.protocol.element import read
from ringmesh.protocol.signal_xml import decode_signal, encode_signal
from ringmesh.signals import Signal

LIMIT = 30.0


class NativePeer:
    """One user's device, and the signals that reached it."""

    def __init__(self, client: slixmpp.ClientXMPP, user_id: int, port: int) -> None:
        self.client = client
        self.user_id = user_id
        self._port = port
        self._signals: asyncio.Queue[tuple[str, Signal]] = asyncio.Queue()
        self._happened: dict[str, asyncio.Event] = {}
        for name in ("session_start", "sm_enabled", "session_resumed", "disconnected"):
            self._happened[name] = asyncio.Event()
            client.add_event_handler(name, lambda _, name=name: self._happened[name].set())
        matcher = MatchXPath("{jabber:client}message")
        client.register_handler(Callback("every message", matcher, self._heard))

    def connect(self) -> None:
        """Connect, the first time or again."""
        self.client.connect("127.0.0.1", self._port)

    async def happens(self, name: str) -> None:
        """Wait for an event of slixmpp's."""
        async with asyncio.timeout(LIMIT):
            await self._happened[name].wait()

    async def signal(self) -> tuple[str, Signal]:
        """The next signal and its sender's address."""
        async with asyncio.timeout(LIMIT):
            return await self._signals.get()

    def send(self, signal: Signal, to: str) -> None:
        """Send a signal."""
        self.client.send_raw(encode_signal(signal, to, "65f00000000000000000000a"))

    def _heard(self, message: slixmpp.Message) -> None:
        element = read(str(message))
        signal = decode_signal(element)
        if signal is not None:
            self._signals.put_nowait((element.get("from") or "", signal))


@asynccontextmanager
async def native_peer(
    jid: str, password: str, port: int, certificate: Path, *, direct_tls: bool
) -> AsyncIterator[NativePeer]:
    """A user who is online over TCP, under TLS that trusts only this certificate."""
    client = slixmpp.ClientXMPP(jid, password)
    client.register_plugin("xep_0198")
    client.register_plugin("xep_0199")
    client.enable_direct_tls, client.enable_starttls = direct_tls, not direct_tls
    client.enable_plaintext = False
    client.ssl_context = ssl.create_default_context(cafile=str(certificate))
    peer = NativePeer(client, int(jid.partition("-")[0]), port)
    peer.connect()
    try:
        await peer.happens("session_start")
        client.send_presence()
        await client.get_roster()
        yield peer
    finally:
        await client.disconnect()
