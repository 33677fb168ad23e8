"""A chat service on a real port, and clients for it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from ringmesh.errors import AuthenticationError
from ringmesh.protocol.element import Element, read, write
from ringmesh.server.bus import Bus, InProcessBus
from ringmesh.server.chat import Authenticate, ChatLimits, ChatService

DOMAIN = "chat.test"
ENABLE_CARBONS = (
    '<iq type="set" id="u:enableCarbons" xmlns="jabber:client">'
    '<enable xmlns="urn:xmpp:carbons:2"/></iq>'
)
LIMIT = 10.0
"""Seconds that anything may take here; only failures take that long."""


async def page(_scope: Any, _receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    """An HTTP application beside the chat."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"ok"})


class Host:
    """A running chat service and what it was asked.

    Attributes:
        passwords: of the users, by (application id, user id); others are refused.
        asked: addresses from which logins came.
    """

    def __init__(self, limits: ChatLimits | None, bus: Bus) -> None:
        self.passwords: dict[tuple[int, int], str] = {}
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.seen: dict[tuple[int, int], datetime] = {}
        self.authenticate: Authenticate = self._authenticate
        self.chat = ChatService(
            domain=DOMAIN,
            authenticate=lambda *login: self.authenticate(*login),
            last_activity=self._last_activity,
            bus=bus,
            limits=limits,
        )
        self.port = 0
        self._left_open: list[asyncio.WriteTransport] = []

    def url(self, path: str = "/chat", scheme: str = "ws") -> str:
        """The address of the chat."""
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    async def client(self, tls: ssl.SSLContext | None = None) -> Client:
        """A WebSocket that has not said anything yet."""
        url = self.url(scheme="wss" if tls else "ws")
        client = Client(
            await connect(
                url,
                subprotocols=[Subprotocol("xmpp")],
                compression=None,
                ssl=tls,
                proxy=None,
                ping_interval=None,
            )
        )
        self.leaves_open(client.websocket.transport)
        return client

    async def online(
        self, user_id: int, app_id: int = 1, *, carbons: bool = False, javascript: bool = False
    ) -> Client:
        """A client that is logged in, as a user who is made for it.

        Args:
            javascript: it asks for carbons as the JavaScript SDK does.
        """
        self.passwords.setdefault((app_id, user_id), "secret")
        client = await self.client()
        await client.log_in(f"{user_id}-{app_id}", self.passwords[app_id, user_id])
        if carbons:
            answer = await client.ask("set", Element("enable", "urn:xmpp:carbons:2"))
            assert answer.get("type") == "result"
        if javascript:
            await client.send(ENABLE_CARBONS)
            assert (await client.receive()).get("type") == "result"
        return client

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to become true of the server."""
        async with asyncio.timeout(LIMIT):
            while not condition():  # noqa: ASYNC110 - the server knows nothing of tests
                await asyncio.sleep(0.01)

    def leaves_open(self, transport: asyncio.WriteTransport) -> None:
        """Cut this connection when the test ends."""
        self._left_open.append(transport)

    def cut_clients(self) -> None:
        """Cut what the test left open."""
        for transport in self._left_open:
            transport.abort()

    async def _authenticate(self, app_id: int, user_id: int, password: str, address: str) -> None:
        self.asked.append(address)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        if self.passwords.get((app_id, user_id)) != password:
            raise AuthenticationError("wrong")

    async def _last_activity(self, app_id: int, user_id: int) -> datetime | None:
        return self.seen.get((app_id, user_id))


class Client:
    """An XMPP client that sends exactly what it is told to."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.jid = ""
        self._ids = 0

    async def send(self, frame: str | bytes) -> None:
        """Send one frame; bytes make a binary one."""
        await self.websocket.send(frame)

    async def receive_text(self) -> str:
        """The next frame."""
        async with asyncio.timeout(LIMIT):
            frame = await self.websocket.recv()
        assert isinstance(frame, str)
        return frame

    async def receive(self) -> Element:
        """The next frame, read."""
        return read(await self.receive_text())

    async def open(self) -> Element:
        """Open the stream and return its features."""
        await self.send(
            '<open version="1.0" xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="127.0.0.1"/>'
        )
        header = await self.receive()
        assert (header.name, header.get("version")) == ("open", "1.0")
        return await self.receive()

    async def authenticate(self, user: str, password: str) -> Element:
        """Try to log in; the answer."""
        plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        await self.send(
            f'<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">{plain}</auth>'
        )
        return await self.receive()

    async def bind(self, resource: str | None = None) -> None:
        """Open the stream again after a login, and become a device."""
        await self.open()
        wanted = f"<resource>{resource}</resource>" if resource else ""
        await self.send(
            '<iq type="set" id="bind" xmlns="jabber:client">'
            f'<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind">{wanted}</bind></iq>'
        )
        bound = (await self.receive()).child("bind")
        assert bound is not None
        self.jid = bound.child_text("jid") or ""

    async def log_in(self, user: str, password: str, resource: str | None = None) -> None:
        """All of it."""
        await self.open()
        assert (await self.authenticate(user, password)).name == "success"
        await self.bind(resource)

    async def ask(self, kind: str, child: Element, to: str | None = None) -> Element:
        """Send an iq and wait for its answer, which must be the next frame."""
        self._ids += 1
        attributes = {"type": kind, "id": f"ask{self._ids}"} | ({"to": to} if to else {})
        await self.send(write(Element("iq", "jabber:client", attributes, [child])))
        answer = await self.receive()
        assert (answer.name, answer.get("id")) == ("iq", f"ask{self._ids}")
        return answer

    async def ping(self) -> None:
        """Ask for a sign of life. Everything sent before has then been dealt with, and nothing
        has come that was not received before."""
        assert await self.drain() == []

    async def drain(self) -> list[Element]:
        """Everything that has come and was not received yet."""
        await self.send('<iq type="get" id="drain"><ping xmlns="urn:xmpp:ping"/></iq>')
        received = [await self.receive()]
        while received[-1].get("id") != "drain":
            received.append(await self.receive())
        return received[:-1]

    async def end(self) -> tuple[list[str], int | None]:
        """Wait for the end: the frames before it, and the WebSocket's closing code."""
        frames: list[str] = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                frames.append(await self.receive_text())
        return frames, self.websocket.close_code

    def cut(self) -> None:
        """Drop the connection without a word."""
        self.websocket.transport.abort()


def user(user_id: int, app_id: int = 1) -> str:
    """The bare address of a user."""
    return f"{user_id}-{app_id}@{DOMAIN}"


def signal(
    to: str, kind: str = "call", session: str = "s1", extra: str = "", caller: int = 1
) -> str:
    """A call signal as the JavaScript SDK writes it."""
    return (
        f'<message to="{to}" type="headline" id="65f00000000000000000000a">'
        '<extraParams xmlns="jabber:client"><moduleIdentifier>WebRTCVideoChat</moduleIdentifier>'
        f"<signalType>{kind}</signalType><sessionID>{session}</sessionID><callType>2</callType>"
        f"<callerID>{caller}</callerID><platform>web</platform>{extra}</extraParams></message>"
    )


@contextlib.asynccontextmanager
async def running(
    limits: ChatLimits | None = None, bus: Bus | None = None, **options: Any
) -> AsyncIterator[Host]:
    """A host behind uvicorn's HTTP on a free port; `options` go to uvicorn."""
    host = Host(limits, bus or InProcessBus())
    options |= {"ws": host.chat.websocket, "lifespan": "off", "log_config": None}
    config = uvicorn.Config(page, **options)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: HttpToolsProtocol(config, state, {}), "127.0.0.1", 0, ssl=config.ssl
    )
    host.port = server.sockets[0].getsockname()[1]
    await host.chat.start()
    try:
        yield host
    finally:
        host.cut_clients()
        server.close()
        await host.chat.close()
