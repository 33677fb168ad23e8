"""From uvicorn's HTTP to picows' WebSocket, on the same socket.

When a request asks for an upgrade, uvicorn makes an object of its ``ws=`` class, hands it the
transport and the request, and then makes it the transport's protocol. Ours is picows' own
protocol, so nothing of uvicorn and no wrapper remains on the path of a stanza.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog
from picows import (
    WSAutoPingStrategy,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]

from ringmesh.server.chat.closing import CloseReason
from ringmesh.server.chat.limits import ChatLimits
from ringmesh.server.chat.websocket_wire import WebSocketWire

if TYPE_CHECKING:
    from ringmesh.server.chat.connection import Connection

_PATHS = frozenset({b"/chat", b"/"})  # native SDKs ask for the root
_READ_BUFFER_BYTES = 2304  # picows' default of 16 KiB would be most of an idle client's memory
_PICOWS_HEAD = (
    b"GET /chat HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: %b\r\n\r\n"
)

_logger = structlog.get_logger(__name__)


class UpgradeRefusedError(Exception):
    """A request gets an HTTP answer instead of a WebSocket."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class ChatWebSocket(WSProtocol):  # type: ignore[misc]
    """The protocol object of one chat connection.

    Args:
        limits: bounds.
        admit: makes the owner of a new connection from the peer's address and the value of its
            ``X-Forwarded-For`` and whether there is TLS, or raises `UpgradeRefusedError`.
        connections: what uvicorn waits for when it shuts down.
    """

    __slots__ = ("_admit", "_connections", "_limits", "_owner")

    def __init__(
        self,
        limits: ChatLimits,
        admit: Callable[[str, str, bool], Connection],
        connections: set[Any],
    ) -> None:
        self._limits = limits
        self._admit = admit
        self._connections = connections
        self._owner: Connection | None = None
        super().__init__(
            None,  # clients only: host and port
            None,  # clients only: path
            False,  # is a client
            self._accept,
            _PICOWS_LOG,
            True,  # disconnect on exception
            None,  # handshake timeout: the request is here already
            False,  # automatic ping would be a task per client; the service does it with one timer
            30,
            30,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            False,  # automatic pong: pings count against the rate limit too
            limits.message_bytes,
            None,  # clients only: extra headers
            _READ_BUFFER_BYTES,
        )

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take over the socket."""
        self._connections.add(self)
        transport.set_write_buffer_limits(high=self._limits.outgoing_bytes)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._connections.discard(self)
        super().connection_lost(exc)

    def data_received(self, head: bytes) -> None:
        """Take the upgrade request, which uvicorn hands over once and whole.

        picows then gets a request that says the same in the one form that it understands.
        """
        transport = self.transport.underlying_transport
        peername = transport.get_extra_info("peername")
        try:
            key, forwarded_for = _check_upgrade(head)
            secure = transport.get_extra_info("sslcontext") is not None
            self._owner = self._admit(peername[0] if peername else "", forwarded_for, secure)
        except UpgradeRefusedError as refusal:
            transport.write(_answer(refusal))
            transport.close()
            return
        data = _PICOWS_HEAD % key
        self.get_buffer(len(data))[: len(data)] = data
        self.buffer_updated(len(data))

    def shutdown(self) -> None:
        """uvicorn is shutting down."""
        if self._owner is not None:
            self._owner.close(CloseReason.SHUTDOWN)

    def _accept(self, _request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        response = WSUpgradeResponse.create_101_response({"sec-websocket-protocol": "xmpp"})
        assert self._owner is not None
        return WSUpgradeResponseWithListener(response, WebSocketWire(self._owner, self._limits))


def _check_upgrade(head: bytes) -> tuple[bytes, str]:
    """The WebSocket key and the X-Forwarded-For of a request for the chat (RFC 6455, RFC 7395)."""
    request, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    method, target, _version = request.split(b" ", 2)
    if target.partition(b"?")[0] not in _PATHS:
        raise UpgradeRefusedError(HTTPStatus.NOT_FOUND, "there is no WebSocket here")
    if method != b"GET":
        raise UpgradeRefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "a WebSocket begins with GET")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip()
        headers[name] = headers[name] + b"," + value if name in headers else value
    if headers.get(b"sec-websocket-version") != b"13":
        raise UpgradeRefusedError(HTTPStatus.UPGRADE_REQUIRED, "this is not WebSocket version 13")
    key = headers.get(b"sec-websocket-key", b"")
    if not _is_key(key):
        raise UpgradeRefusedError(HTTPStatus.BAD_REQUEST, "the WebSocket key is not valid")
    offered = headers.get(b"sec-websocket-protocol", b"").split(b",")
    if b"xmpp" not in [protocol.strip() for protocol in offered]:
        raise UpgradeRefusedError(HTTPStatus.BAD_REQUEST, "the WebSocket subprotocol must be xmpp")
    return key, headers.get(b"x-forwarded-for", b"").decode("latin-1")


def _is_key(key: bytes) -> bool:
    try:
        return len(b64decode(key, validate=True)) == 16
    except Base64Error:
        return False


def _answer(refusal: UpgradeRefusedError) -> bytes:
    """The refusal in the form of the REST API's errors."""
    body = json.dumps({"errors": {"base": [str(refusal)]}}).encode()
    head = (
        f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}\r\n"
        f"content-type: application/json; charset=utf-8\r\ncontent-length: {len(body)}\r\n"
        "sec-websocket-version: 13\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


class _PicowsLog:
    """What picows logs, to our log.

    Given a `logging.Logger`, picows makes another one per connection, which costs memory, and
    reports every connection and every broken frame, which the chat does itself.
    """

    def isEnabledFor(self, _level: int) -> bool:  # noqa: N802 - a name of `logging`
        return False

    def log(self, *_args: object, **_kwargs: object) -> None:
        """Drop it."""

    debug = info = warning = error = log

    def exception(self, message: str, *_args: object) -> None:
        _logger.exception("chat connection failed", where=message)


_PICOWS_LOG = _PicowsLog()
