"""TCP as a wire (RFC 6120): the socket, STARTTLS or direct TLS, and the framing of the stream."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import structlog

from ringmesh.errors import ProtocolError
from ringmesh.protocol import iq
from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.element import MAX_FRAME_BYTES, Element, write
from ringmesh.protocol.tcp_framing import TcpFraming
from ringmesh.server.chat.closing import CloseReason
from ringmesh.server.chat.tls_layer import TlsLayer
from ringmesh.server.client_address import is_loopback

if TYPE_CHECKING:
    from ringmesh.server.chat.connection import Connection
    from ringmesh.server.chat.service import ChatService

_READ_COST = 64  # bytes charged for each visit of the socket
_STRANGERS_FRAME_BYTES = 10_000  # the least that RFC 6120 section 13.12 lets a server allow
_PING_ID = "ringmesh-ping"

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TcpSecurity:
    """How a listener is secured.

    Attributes:
        context: with the certificate; None: there is no TLS, which only this machine may use.
        direct: TLS begins at once (XEP-0368) and not with STARTTLS.
    """

    context: ssl.SSLContext | None
    direct: bool = False


class TcpWire(asyncio.Protocol):
    """Carries the frames of a stream on one TCP connection.

    Passwords travel only under TLS or inside of this machine: elsewhere nothing but STARTTLS is
    offered before.
    """

    __slots__ = ("_closer", "_framing", "_owner", "_security", "_service", "_tls", "_transport")

    ends_stream_at_shutdown = False  # mobile SDKs come back only after a connection that broke

    def __init__(self, service: ChatService, security: TcpSecurity) -> None:
        self._service = service
        self._security = security
        self._framing = TcpFraming(_STRANGERS_FRAME_BYTES)
        self._owner: Connection | None = None
        self._transport: asyncio.Transport
        self._tls: TlsLayer | None = None
        self._closer: asyncio.TimerHandle | None = None

    # --- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: a client is there."""
        self._transport = cast(asyncio.Transport, transport)
        peername = transport.get_extra_info("peername")
        address = peername[0] if peername else ""
        secure = self._security.direct or is_loopback(address)
        may_secure = self._security.context is not None and not self._security.direct
        self._owner = self._service.admit_tcp(address, secure=secure, tls=may_secure)
        if self._owner is None:
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=self._service.limits.outgoing_bytes)
        if self._security.direct:
            self._begin_tls()
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        if self._owner is None or not self._owner.charge(len(data) + _READ_COST):
            return
        if self._tls is not None:
            try:
                data = self._tls.receive(data)
            except ssl.SSLError as error:
                _logger.debug("chat tls ended", address=self._owner.address, reason=error.reason)
                self._owner.leave(CloseReason.LOST)
                self._transport.close()
                return
        if data:
            self._read(self._owner, data)

    def pause_writing(self) -> None:
        """asyncio: more waits to be sent than the limit allows."""
        if self._owner is not None and self._owner.leave(CloseReason.TOO_SLOW):
            self._closer = self._service.loop.call_later(0, self.cut)  # not inside of the write

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is gone."""
        if self._closer is not None:
            self._closer.cancel()
        if self._owner is not None:
            self._owner.gone(CloseReason.LOST)

    # --- Wire

    @property
    def name(self) -> str:
        """What it is, for logs."""
        return "tcp" if self._tls is None else "tls"

    def send(self, frame: bytes) -> None:
        """Queue a frame."""
        if self._tls is not None:
            self._tls.send(frame)
        else:
            self._transport.write(frame)

    def ping(self) -> None:
        """Ask for a sign of life: every client answers a request (XEP-0199)."""
        assert self._owner is not None
        ask = iq.request("get", _PING_ID, Element("ping", ns.PING), to=self._owner.jid)
        ask.attributes["from"] = self._service.domain
        self.send(write(ask).encode())

    def finish(self, reason: CloseReason) -> None:
        """Send no more; the client's own end is the socket's, or the time limit is."""
        if self._tls is not None:
            self._tls.finish()
        if not self._transport.is_closing():
            self._transport.write_eof()
        self._closer = self._service.loop.call_later(self._service.limits.close_seconds, self.cut)

    def cut(self) -> None:
        """Drop the socket."""
        self._transport.abort()

    def _read(self, owner: Connection, data: bytes) -> None:
        cost = self._service.limits.frame_cost
        try:
            for frame in self._framing.receive(data):
                if not owner.charge(cost):
                    return
                owner.receive(frame)
                if owner.awaits_tls:
                    self._secure(owner)
                    return
                if owner.is_online:
                    self._framing.limit = MAX_FRAME_BYTES
        except ProtocolError as error:
            owner.break_off(str(error))

    def _secure(self, owner: Connection) -> None:
        """Begin TLS. Whoever has sent more in clear text means it to be read as secure."""
        if self._framing.rest.strip():
            owner.leave(CloseReason.STREAM_ERROR)
            self.cut()
            return
        self._framing = TcpFraming(_STRANGERS_FRAME_BYTES)
        self._begin_tls()
        owner.secured()

    def _begin_tls(self) -> None:
        assert self._security.context is not None
        self._tls = TlsLayer(self._security.context, self._transport)
