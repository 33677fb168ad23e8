"""The chat over TCP on real ports, and clients for it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from ringmesh.protocol.element import Element, read
from ringmesh.protocol.tcp_framing import TcpFraming
from ringmesh.server.certificates import self_signed
from ringmesh.server.chat import ChatLimits, TcpSecurity
from tests.chat.host import DOMAIN, LIMIT, Host, running

HEADER = (
    f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' "
    f"xmlns:stream='http://etherx.jabber.org/streams' to='{DOMAIN}' xml:lang='en'>"
)
END = "</stream:stream>"


@functools.cache
def server_context() -> ssl.SSLContext:
    """A server's TLS, with one certificate for all tests."""
    with tempfile.TemporaryDirectory() as folder:
        return self_signed(Path(folder), (DOMAIN, "127.0.0.1")).context()


def client_context() -> ssl.SSLContext:
    """A client's TLS that trusts anybody, as one mobile SDK does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class TcpHost:
    """A running chat with three TCP ports: STARTTLS, direct TLS, and one without TLS."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.ports: dict[str, int] = {}

    async def client(self, port: str = "starttls") -> TcpClient:
        """A connection on which nothing has been said; under TLS on the port for direct TLS."""
        tls = client_context() if port == "direct" else None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[port], ssl=tls)
        self.host.leaves_open(writer.transport)
        return TcpClient(reader, writer)

    async def online(self, user_id: int, resource: str = "", port: str = "starttls") -> TcpClient:
        """A client that is logged in, as a user who is made for it."""
        self.host.passwords.setdefault((1, user_id), "secret")
        client = await self.client(port)
        await client.log_in(f"{user_id}-1", "secret", resource, tls=port == "starttls")
        return client


class TcpClient:
    """An XMPP client over TCP that sends exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.jid = ""
        self._framing = TcpFraming()
        self._frames: list[bytes] = []

    async def send(self, data: str | bytes) -> None:
        """Send some bytes."""
        self.writer.write(data.encode() if isinstance(data, str) else data)
        await self.writer.drain()

    async def receive_text(self) -> str:
        """The next element; the server's header as ``<open/>``, its end tag as ``<close/>``."""
        async with asyncio.timeout(LIMIT):
            while not self._frames:
                data = await self.reader.read(65_536)
                if not data:
                    raise EOFError
                self._frames += self._framing.receive(data)
        return self._frames.pop(0).decode()

    async def receive(self) -> Element:
        """The next element, read."""
        return read(await self.receive_text())

    async def open(self) -> Element:
        """Open the stream and return its features."""
        self._framing = TcpFraming()
        await self.send(HEADER)
        header = await self.receive()
        assert (header.name, header.get("version")) == ("open", "1.0")
        return await self.receive()

    async def start_tls(self) -> None:
        """STARTTLS."""
        await self.send('<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>')
        assert (await self.receive()).name == "proceed"
        await self.writer.start_tls(client_context())

    async def authenticate(self, user: str, password: str) -> Element:
        """Try to log in; the answer."""
        plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        await self.send(
            f'<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">{plain}</auth>'
        )
        return await self.receive()

    async def bind(self, resource: str = "") -> None:
        """Open the stream again after a login, and become a device."""
        await self.open()
        wanted = f"<resource>{resource}</resource>" if resource else ""
        bind = f'<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind">{wanted}</bind>'
        await self.send(f'<iq type="set" id="b">{bind}</iq>')
        bound = (await self.receive()).child("bind")
        assert bound is not None
        self.jid = bound.child_text("jid") or ""

    async def log_in(self, user: str, password: str, resource: str = "", *, tls: bool) -> None:
        """All of it."""
        await self.open()
        if tls:
            await self.start_tls()
            await self.open()
        assert (await self.authenticate(user, password)).name == "success"
        await self.bind(resource)

    async def ping(self) -> None:
        """Ask for a sign of life; nothing else has come meanwhile."""
        await self.send('<iq type="get" id="p"><ping xmlns="urn:xmpp:ping"/></iq>')
        assert (await self.receive()).get("id") == "p"

    async def end_or_ping(self) -> Element | None:
        """What comes next, None when that is the end of the connection."""
        try:
            return await self.receive()
        except (EOFError, ConnectionError):
            return None

    async def end(self) -> list[str]:
        """Wait for the end of the connection; what came before it."""
        frames: list[str] = []
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                frames.append(await self.receive_text())
        return frames


@contextlib.asynccontextmanager
async def tcp_running(limits: ChatLimits | None = None) -> AsyncIterator[TcpHost]:
    """A host with TCP ports beside its HTTP port."""
    async with running(limits) as host, contextlib.AsyncExitStack() as stack:
        tcp = TcpHost(host)
        for name, security in {
            "starttls": TcpSecurity(server_context()),
            "direct": TcpSecurity(server_context(), direct=True),
            "plain": TcpSecurity(None),
        }.items():
            make = functools.partial(host.chat.tcp, security)
            server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
            stack.callback(server.close)
            tcp.ports[name] = server.sockets[0].getsockname()[1]
        yield tcp
