"""TLS as a client sees it on the socket: how often it waits, and what records come."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ringmesh.server.chat.tls_layer import TlsLayer
from tests.chat.host import DOMAIN, LIMIT, signal, user
from tests.chat.tcp import HEADER, TcpHost, client_context, server_context, tcp_running

STARTTLS = '<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>'
PLAIN = (
    '<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">'
    f"{base64.b64encode(chr(0).join(('', '1-1', 'secret')).encode()).decode()}</auth>"
)
BIND = '<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>'
FEATURES, SUCCESS, BOUND = "</stream:features>", "<success", "</iq>"


class Line:
    """A client's end of a connection that does its TLS itself.

    Attributes:
        round_trips: how often something was sent and then waited for.
        records: octets of each TLS record that came.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.round_trips = 0
        self.records: list[int] = []
        self._reader = reader
        self._writer = writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None

    async def begin_tls(self) -> None:
        """Do the handshake. Its last flight waits for what is said first."""
        self._tls = client_context().wrap_bio(
            self._incoming, self._outgoing, server_hostname=DOMAIN
        )
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._wait()
            else:
                assert self._tls.version() == "TLSv1.3"
                return

    async def say(self, text: str, awaited: str) -> str:
        """Say this at once, and wait until that is heard; all that was heard."""
        if self._tls is None:
            self._outgoing.write(text.encode())
        else:
            self._tls.write(text.encode())
        heard = self._hear()
        while awaited.encode() not in heard:
            await self._wait()
            heard += self._hear()
        return heard.decode()

    def _hear(self) -> bytes:
        if self._tls is None:
            return self._incoming.read()
        heard = b""
        try:
            while more := self._tls.read(65_536):
                heard += more
        except ssl.SSLWantReadError:
            pass
        return heard

    async def _wait(self) -> None:
        if sent := self._outgoing.read():
            self._writer.write(sent)
            self.round_trips += 1
        async with asyncio.timeout(LIMIT):
            if self._tls is None:
                data = await self._reader.read(65_536)
            else:
                head = await self._reader.readexactly(5)  # RFC 8446 section 5.1
                size = int.from_bytes(head[3:])
                data = head + await self._reader.readexactly(size)
                self.records.append(size)
        assert data
        self._incoming.write(data)


@asynccontextmanager
async def line(port: str) -> AsyncIterator[tuple[TcpHost, Line]]:
    """A server on which user 1 may log in, and a line to one of its ports."""
    async with tcp_running() as tcp:
        tcp.host.passwords[1, 1] = "secret"
        reader, writer = await asyncio.open_connection("127.0.0.1", tcp.ports[port])
        tcp.host.leaves_open(writer.transport)
        yield tcp, Line(reader, writer)


class Recorder(asyncio.WriteTransport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken, self.written = self.written, b""
        return taken


STEP_BY_STEP = ((HEADER, FEATURES), (PLAIN, SUCCESS), (HEADER, FEATURES), (BIND, BOUND))
AT_ONCE = ((HEADER + PLAIN, SUCCESS), (HEADER + BIND, BOUND))


@pytest.mark.parametrize(
    ("before_tls", "in_tls", "round_trips"),
    [
        pytest.param((), STEP_BY_STEP, 5, id="direct"),
        pytest.param((), AT_ONCE, 3, id="direct-pipelined"),
        pytest.param(((HEADER, FEATURES), (STARTTLS, "<proceed")), STEP_BY_STEP, 7, id="starttls"),
        pytest.param(((HEADER + STARTTLS, "<proceed"),), AT_ONCE, 4, id="starttls-pipelined"),
    ],
)
async def test_a_login_takes_no_more_round_trips_than_the_protocols_ask_for(
    before_tls: tuple[tuple[str, str], ...], in_tls: tuple[tuple[str, str], ...], round_trips: int
) -> None:
    """TLS 1.3 takes one, and each thing said one; a client that knows what the server offers says
    its login with the header, and its resource with the next. No delay is measured: waits are
    counted."""
    async with line("starttls" if before_tls else "direct") as (tcp, client):
        for said, awaited in before_tls:
            await client.say(said, awaited)
        await client.begin_tls()
        for said, awaited in in_tls:
            await client.say(said, awaited)
        assert client.round_trips == round_trips
        assert tcp.host.chat.is_online(1, 1)


async def test_records_are_short_so_that_no_connection_keeps_long_buffers() -> None:
    """OpenSSL keeps a buffer as long as the longest piece, for as long as the connection stands."""
    async with line("direct") as (tcp, client):
        await client.begin_tls()
        for said, awaited in STEP_BY_STEP:
            await client.say(said, awaited)
        other = await tcp.host.online(2)
        sdp = f"<sdp>{'x' * 60_000}</sdp>"
        await other.send(signal(user(1), extra=sdp))
        assert sdp in await client.say(" ", "</message>")
        await client.say(signal(user(2), extra=sdp) + BIND, BOUND)
        assert sdp in await other.receive_text()
        assert max(client.records) < 2200


async def test_header_and_features_come_in_one_record() -> None:
    """One mobile SDK never recovers from a part of them, and reads record by record."""
    async with line("direct") as (_, client):
        await client.begin_tls()
        host = ".".join(["a" * 60] * 4)  # about as long as they get
        heard = await client.say(HEADER.replace(DOMAIN, host), "<stream:stream ")
        assert f'from="{host}"' in heard
        assert heard.endswith(FEATURES)


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_tls_may_come_in_any_pieces(size: int) -> None:
    """Handshake, data and goodbye, cut where the network likes."""
    transport = Recorder()
    layer = TlsLayer(server_context(), transport)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, outgoing, server_hostname=DOMAIN)

    def pass_on() -> bytes:
        data = outgoing.read()
        pieces = [data[i : i + size] for i in range(0, len(data), size)]
        return b"".join([layer.receive(piece) for piece in pieces])

    for _ in range(2):
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        assert pass_on() == b""
        incoming.write(transport.take())
    text = bytes(range(256)) * 100
    client.write(text)
    assert pass_on() == text
    layer.send(text)
    incoming.write(transport.take())
    heard = b""
    while len(heard) < len(text):
        heard += client.read(65_536)
    assert heard == text
    with contextlib.suppress(ssl.SSLWantReadError):
        client.unwrap()
    with pytest.raises(ssl.SSLError):
        pass_on()
