"""One chat connection: a WebSocket, the stream on it, and signals in and out. Never reused."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.request import getproxies

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from ringmesh.client.config import CubeChatConnectionSettings
from ringmesh.client.network_reach import ServerAddress
from ringmesh.errors import (
    AuthenticationError,
    ConnectionFailedError,
    ProtocolError,
    RingmeshError,
)
from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.carbons import unwrap
from ringmesh.protocol.element import MAX_RECEIVED_BYTES, Element, write
from ringmesh.protocol.iq import request
from ringmesh.protocol.jid import JID, user_jid
from ringmesh.protocol.signal_xml import decode_signal, encode_signal
from ringmesh.protocol.stream import (
    Acknowledged,
    AuthenticationFailed,
    Bound,
    CaughtUp,
    ClientEvent,
    ClientStream,
    Closed,
    FrameRefused,
    MessageReceived,
    Resumed,
    SendFrame,
)
from ringmesh.signals import Call, Signal

_logger = logging.getLogger(__name__)
_socket_logger = logging.getLogger(f"{__name__}.socket")
_socket_logger.setLevel(logging.INFO)  # at DEBUG it would log frames, and so tokens

MAX_OUTGOING = 256
"""Frames that may wait to be sent; a connection with more of them counts as lost."""

CLOSE_TIMEOUT = 2.0
"""Seconds that each step of an orderly close may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatLogin:
    """Who logs in.

    Attributes:
        password: the user's password or a session token.
    """

    user_id: int
    app_id: int
    domain: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A signal on its way.

    Attributes:
        frame: it as one frame, always the same one, so that a receiver can tell a repeat.
        device: resource of the only device that is to get it; empty: all of the user's.
        at: when it was first to be sent, in seconds of the event loop's clock.
    """

    message_id: str
    user_id: int
    signal: Signal
    device: str
    frame: str
    at: float


def outgoing(user_id: int, signal: Signal, device: str, login: ChatLogin) -> Outgoing:
    """Write a signal for a user of our application; `SignalError` if that is not possible."""
    to = user_jid(user_id, login.app_id, login.domain)
    if device:
        to = to.with_resource(device)
    message_id = secrets.token_hex(12)
    frame = encode_signal(signal, str(to), message_id)
    now = asyncio.get_running_loop().time()
    return Outgoing(message_id, user_id, signal, device, frame, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatListener:
    """Whom a chat connection tells.

    Attributes:
        signal: told (sender's user id, signal, sender's resource, message id), also of what our own
            user's other devices send.
        undelivered: told the message id of a signal that did not surely arrive.
    """

    signal: Callable[[int, Signal, str, str], None]
    undelivered: Callable[[str], None]


class Chat:
    """Open it, then let one task `serve` it to its end; `close` makes that end come.

    Args:
        listener: told what comes in.
        before: the connection that was lost: this one goes on with its stream if the server can.
    """

    def __init__(
        self,
        url: str,
        login: ChatLogin,
        settings: CubeChatConnectionSettings,
        listener: ChatListener,
        before: Chat | None = None,
    ) -> None:
        self._url = url
        self._login = login
        self._settings = settings
        self._listener = listener
        self._stream: ClientStream = ClientStream(
            login.domain,
            resource=before.resource if before else None,
            stream_management=True,
            resume=before._stream.resumption if before else None,
        )
        self._socket: ClientConnection | None = None
        self._jid: JID | None = None
        self._outgoing: deque[str] = deque()
        self._wakeup = asyncio.Event()
        self._leaving = False
        self._finished: RingmeshError | None = None
        self._ended = asyncio.Event()
        self._sent: OrderedDict[str, Outgoing] = OrderedDict()
        self._arrived: set[str] = set()
        self._waiting_calls: deque[Element] | None = None

    @property
    def resource(self) -> str | None:
        """The device's part of our address, once bound."""
        return self._jid.resource if self._jid else None

    @property
    def server(self) -> ServerAddress | None:
        """Where the server was reached; None before, and when a proxy may be in between."""
        if self._socket is None or getproxies():
            return None
        transport = self._socket.transport
        address = transport.get_extra_info("peername")
        used = transport.get_extra_info("socket")
        return None if address is None or used is None else ServerAddress(used.family, address)

    async def open(self, timeout: float, sock: socket.socket | None = None) -> None:
        """Connect, or take this connected `sock`, authenticate, and resume or bind, within so many
        seconds.

        Raises `AuthenticationError`, or `ConnectionFailedError` for everything else.
        """
        try:
            async with asyncio.timeout(timeout):
                self._socket = await connect(
                    self._url,
                    subprotocols=[Subprotocol("xmpp")],
                    compression=None,
                    open_timeout=None,
                    ping_interval=self._settings.keep_alive_interval,
                    ping_timeout=self._settings.keep_alive_timeout,
                    close_timeout=CLOSE_TIMEOUT,
                    max_size=MAX_RECEIVED_BYTES,
                    logger=_socket_logger,
                    sock=sock,
                )
                await self._negotiate(self._socket)
        except (OSError, WebSocketException) as error:  # TimeoutError is an OSError
            await self._disconnect()
            reason = str(error) or type(error).__name__
            raise ConnectionFailedError(f"cannot log in to {self._url}: {reason}") from error
        except BaseException:
            await self._disconnect()
            raise

    async def _negotiate(self, socket: ClientConnection) -> None:
        local_part = f"{self._login.user_id}-{self._login.app_id}"
        self._handle(self._stream.open(local_part, self._login.password))
        while True:
            while self._outgoing:
                await socket.send(self._outgoing.popleft())
            if self._finished is not None:
                raise self._finished
            if self._jid is not None:
                return
            self._handle(self._stream.receive(await socket.recv()))

    async def serve(self) -> RingmeshError:
        """Send and receive until the connection ends; returns why it did."""
        assert self._socket is not None
        tasks = {
            asyncio.create_task(self._read(self._socket), name="chat reader"),
            asyncio.create_task(self._write(self._socket), name="chat writer"),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except Exception:
            _logger.exception("chat connection broke")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._disconnect()
            self._ended.set()
        return self._finished or ConnectionFailedError("the chat connection ended")

    async def close(self) -> None:
        """Say goodbye and wait, within bounds, until `serve` has ended. Idempotent."""
        if self._ended.is_set() or self._jid is None:
            return
        if not self._leaving:
            self._leaving = True
            self._handle(self._stream.close())
        try:
            await asyncio.wait_for(self._ended.wait(), CLOSE_TIMEOUT)
        except TimeoutError:
            await self._disconnect()

    def cut(self) -> None:
        """Drop the socket without a word: its network is gone."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def prove(self, timeout: float) -> None:
        """Ask for a sign of life, and drop a connection that gives none within so many seconds."""
        if self._socket is None or self._closing:
            return
        try:
            async with asyncio.timeout(timeout):
                await (await self._socket.ping())
        except TimeoutError:
            _logger.info("chat gives no sign of life")
            self.cut()
        except ConnectionClosed:
            return

    def send(self, outgoing: Outgoing) -> bool:
        """Queue a signal after those before; False if this connection is done for."""
        if self._closing or self._leaving:
            return False
        self._handle(self._stream.send(outgoing.frame))
        if self._closing:
            return False
        self._sent[outgoing.frame] = outgoing
        if len(self._sent) > MAX_OUTGOING:
            self._sent.popitem(last=False)
        return True

    def set_active(self, active: bool) -> None:
        """Tell the server whether this device is in use, or may need to be woken by a push."""
        enable = "false" if active else "true"
        mobile = Element("mobile", ns.MOBILE, {"enable": enable})
        frame = write(request("set", secrets.token_hex(12), mobile))
        if not (self._closing or self._leaving):
            self._handle(self._stream.send(frame))

    def has_arrived(self, outgoing: Outgoing) -> bool:
        """Whether the server said at our beginning that it got this by the connection before."""
        return outgoing.frame in self._arrived

    def unconfirmed(self) -> list[Outgoing]:
        """What was given to `send` whose arrival the server has not confirmed, oldest first.

        Empty when the server does not confirm arrivals (XEP-0198).
        """
        return [self._sent[frame] for frame in self._stream.unacknowledged if frame in self._sent]

    @property
    def _closing(self) -> bool:
        return self._finished is not None or self._ended.is_set()

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for frame in socket:
                self._handle(self._stream.receive(frame))
        except ConnectionClosed:
            pass
        self._finish(ConnectionFailedError("the chat connection ended"))

    async def _write(self, socket: ClientConnection) -> None:
        """Send what waits, until the connection is finished and everything was sent."""
        while True:
            while self._outgoing:
                try:
                    await socket.send(self._outgoing.popleft())
                except ConnectionClosed:
                    self._finish(ConnectionFailedError("the chat connection ended"))
                    return
            if self._closing:
                return
            self._wakeup.clear()
            await self._wakeup.wait()

    def _handle(self, events: Sequence[ClientEvent]) -> None:
        for event in events:
            match event:
                case SendFrame(frame):
                    self._enqueue(frame)
                case MessageReceived(message) if self._jid is not None:
                    self._receive(message, self._jid)
                case Acknowledged(frames):
                    if self._jid is None:
                        self._arrived.update(frames)
                    for frame in frames:
                        self._sent.pop(frame, None)
                case Bound(jid):
                    self._jid = jid
                case Resumed(jid):
                    self._jid = jid
                    self._waiting_calls = deque(maxlen=MAX_OUTGOING)
                case CaughtUp():
                    self._take_waiting_calls(self._jid)
                case AuthenticationFailed("temporary-auth-failure"):
                    self._finish(ConnectionFailedError("the chat can check no logins now"))
                case AuthenticationFailed(condition):
                    self._finish(AuthenticationError(f"the chat refused the login: {condition}"))
                case Closed(condition, detail):
                    text = f"{condition or 'by the server'} {detail}".rstrip()
                    self._finish(ConnectionFailedError(f"the chat stream was closed: {text}"))
                case FrameRefused(detail):
                    _logger.warning("frame from the server dropped: %s", detail)

    def _enqueue(self, frame: str) -> None:
        if len(self._outgoing) >= MAX_OUTGOING:
            self._finish(ConnectionFailedError("the chat server takes nothing any more"))
            return
        self._outgoing.append(frame)
        self._wakeup.set()

    def _receive(self, message: Element, jid: JID) -> None:
        """Pass a call signal on. Messages of other kinds are none of our business."""
        message_id = message.get("id") or ""
        if message.get("type") == "error":
            self._listener.undelivered(message_id)
            return
        try:
            message = unwrap(message, jid)
            signal = decode_signal(message)
            if signal is None:
                return
            if isinstance(signal, Call) and self._waiting_calls is not None:
                self._waiting_calls.append(message)  # what came after it may have ended it
                return
            sender = JID.parse(message.get("from") or "")
        except ProtocolError as error:
            _logger.warning("signal dropped: %s", error)
            return
        same_application = (sender.app_id, sender.domain) == (jid.app_id, jid.domain)
        if sender.user_id is not None and same_application:
            self._listener.signal(sender.user_id, signal, sender.resource, message.get("id") or "")

    def _take_waiting_calls(self, jid: JID | None) -> None:
        calls, self._waiting_calls = self._waiting_calls, None
        for message in calls or ():
            if jid is not None:
                self._receive(message, jid)

    def _finish(self, reason: RingmeshError) -> None:
        if self._finished is None:
            self._finished = reason
        self._wakeup.set()

    async def _disconnect(self) -> None:
        if self._socket is not None:
            await self._socket.close()
