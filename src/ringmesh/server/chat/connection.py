"""The owner of one chat connection: between the WebSocket, the stream machine and the router."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING

import structlog
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from ringmesh.protocol.jid import JID
from ringmesh.protocol.stream import (
    AuthenticationRequested,
    Bound,
    CarbonsChanged,
    Closed,
    LastActivityRequested,
    SendFrame,
    ServerEvent,
    StanzaReceived,
)
from ringmesh.server.chat.closing import CloseReason

if TYPE_CHECKING:
    from ringmesh.server.chat.service import ChatService

_TEXT = WSMsgType.TEXT
_COPIED_BY_PICOWS = 8192  # longest message that `WSTransport.send` copies before it returns
_HEADER_SPACE = bytes(14)
_PING_AT, _DEAD_AT = 2, 3  # looks since the last frame
_LOGIN_ATTEMPTS = 5  # after the last of them there is no new time to log in
_LOOKUPS = 32  # at once, per connection

_logger = structlog.get_logger(__name__)


class ConnectionState(Enum):
    """Where a connection is in its life."""

    NEGOTIATING = auto()
    LOGGING_IN = auto()
    ONLINE = auto()
    CLOSING = auto()


_CLOSING = ConnectionState.CLOSING


class Connection(WSListener):
    """One client's connection, from the upgrade to the end of the socket.

    All work is done in callbacks of the event loop; tasks exist only for logins and look-ups.
    It is a `ringmesh.server.chat.router.Device` while it is online.

    Args:
        service: what owns it.
        address: the client's address, for limits and logs.
    """

    __slots__ = (
        "_attempts",
        "_close_reason",
        "_closer",
        "_credit",
        "_credit_at",
        "_deadline",
        "_fragments",
        "_lookups",
        "_service",
        "_silence",
        "_state",
        "_stream",
        "_transport",
        "address",
        "app_id",
        "carbons",
        "jid",
        "place",
        "resource",
        "user",
        "user_id",
    )

    def __init__(self, service: ChatService, address: str) -> None:
        self.address = address
        self.app_id = self.user_id = 0
        self.user = self.jid = self.resource = ""
        self.carbons = False
        self.place = 0
        self._service = service
        self._stream = service.new_stream()
        self._transport: WSTransport
        self._state = ConnectionState.NEGOTIATING
        self._deadline = self._credit_at = service.now()
        self._credit = 0
        self._attempts = self._lookups = self._silence = 0
        self._fragments: bytearray | None = None
        self._closer: asyncio.TimerHandle | None = None
        self._close_reason = CloseReason.LOST

    def on_ws_connected(self, transport: WSTransport) -> None:
        """picows: the WebSocket is open."""
        self._transport = transport
        self._credit = self._service.limits.burst_bytes
        self._deadline += self._service.limits.login_seconds
        self._service.opened(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """picows: a frame came."""
        if self._state is _CLOSING and frame.msg_type is not WSMsgType.CLOSE:
            return
        self._silence = 0
        self._credit -= frame.payload_size + self._service.limits.frame_cost
        if self._credit < 0 and not self._refill():
            self.close(CloseReason.FLOOD)
        elif frame.msg_type is _TEXT and frame.fin and self._fragments is None:
            self._perform(self._stream.receive(frame.get_payload_as_bytes()))
        else:
            self._receive_other(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """picows: the socket is gone."""
        self._leave(_why(transport))
        if self._closer is not None:
            self._closer.cancel()
        self._service.closed(self, self._close_reason)

    def pause_writing(self) -> None:
        """picows: more waits to be sent than the limit allows."""
        if self._leave(CloseReason.TOO_SLOW):  # not from inside of the write
            self._closer = self._service.loop.call_later(0, self._cut)

    def resume_writing(self) -> None:
        """picows: less waits. A connection that was too slow is past help."""

    def send(self, stanza: bytes) -> None:
        """Queue a stanza. Never waits; a client that does not keep up is cut off."""
        if len(stanza) <= _COPIED_BY_PICOWS:
            self._transport.send(_TEXT, stanza)
        else:  # `send` would hand on views of a buffer that picows reuses for the next frame
            framed = bytearray(_HEADER_SPACE + stanza)
            self._transport.send_reuse_external_bytearray(_TEXT, framed, len(_HEADER_SPACE))

    def close(self, reason: CloseReason) -> None:
        """End the stream, then the WebSocket, then the socket."""
        if self._leave(reason):
            for event in self._stream.close(reason.condition):
                if isinstance(event, SendFrame):
                    self.send(event.frame.encode())
            self._close_websocket(reason)

    def look(self, now: float) -> None:
        """Once per ``idle_seconds``: ping a silent client, give up a dead one."""
        self._silence += 1
        if self._transport.is_close_frame_sent:
            self._cut()
        elif self._state is not ConnectionState.ONLINE:
            if now > self._deadline:
                self.close(CloseReason.LOGIN_TIMEOUT)
        elif self._silence >= _DEAD_AT:
            self._leave(CloseReason.SILENT)
            self._cut()
        elif self._silence >= _PING_AT:
            self._transport.send_ping()

    def _receive_other(self, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is WSMsgType.CLOSE:
            self._leave(CloseReason.CLIENT)
            self._transport.send_close(CloseReason.CLIENT.code)
            self._transport.disconnect()
        elif kind is WSMsgType.PING:
            self._transport.send_pong(frame.get_payload_as_bytes())
        elif kind is WSMsgType.BINARY:
            self.close(CloseReason.NOT_TEXT)
        elif kind in (_TEXT, WSMsgType.CONTINUATION):
            self._receive_fragment(frame)

    def _receive_fragment(self, frame: WSFrame) -> None:
        """Put a fragmented message together (RFC 6455 section 5.4)."""
        if (frame.msg_type is _TEXT) == (self._fragments is not None):
            self.close(CloseReason.WEBSOCKET_ERROR)
            return
        fragments = self._fragments = self._fragments or bytearray()
        fragments += frame.get_payload_as_bytes()
        if len(fragments) > self._service.limits.message_bytes:
            self._fragments = None
            self.close(CloseReason.TOO_LONG)
        elif frame.fin:
            self._fragments = None
            self._perform(self._stream.receive(bytes(fragments)))

    def _refill(self) -> bool:
        """Grant what has been earned since the last time; whether that is enough."""
        limits, now = self._service.limits, self._service.now()
        earned = int((now - self._credit_at) * limits.rate_bytes)
        self._credit = min(self._credit + earned, limits.burst_bytes)
        self._credit_at = now
        return self._credit >= 0

    def _perform(self, events: Sequence[ServerEvent]) -> None:
        for event in events:
            match event:
                case StanzaReceived():
                    self._service.router.route(self, event.stanza)
                case SendFrame():
                    self.send(event.frame.encode())
                case AuthenticationRequested():
                    self._begin_login(event)
                case Bound():
                    self._come_online(event.jid)
                case CarbonsChanged():
                    self.carbons = event.enabled
                case LastActivityRequested():
                    self._look_up(event)
                case Closed():
                    self._stream_closed(event)

    def _begin_login(self, login: AuthenticationRequested) -> None:
        if self._state is ConnectionState.LOGGING_IN:
            self.close(CloseReason.STREAM_ERROR)
            return
        self._state = ConnectionState.LOGGING_IN
        self._service.spawn(self._log_in(login))

    async def _log_in(self, login: AuthenticationRequested) -> None:
        condition = await self._service.check_login(self, login)
        if self._state is not ConnectionState.LOGGING_IN:
            return
        self._state = ConnectionState.NEGOTIATING
        if condition is None:
            self._perform(self._stream.authentication_succeeded())
            return
        self._attempts += 1
        if self._attempts < _LOGIN_ATTEMPTS:
            self._deadline = self._service.now() + self._service.limits.login_seconds
        self._perform(self._stream.authentication_failed(condition))

    def _come_online(self, jid: JID) -> None:
        self.user, self.jid, self.resource = jid.local, str(jid), jid.resource
        others = self._service.router.online(self.app_id).get(self.user, ())
        if len(others) >= self._service.limits.devices_per_user:
            self.close(CloseReason.TOO_MANY_DEVICES)
            return
        self._state = ConnectionState.ONLINE
        self._service.came_online(self)

    def _look_up(self, request: LastActivityRequested) -> None:
        if self._lookups < _LOOKUPS:
            self._lookups += 1
            self._service.spawn(self._answer_last_activity(request))
        else:
            self._perform(self._stream.last_activity(request.iq_id, request.jid, None))

    async def _answer_last_activity(self, request: LastActivityRequested) -> None:
        seconds = None
        if request.jid.app_id == str(self.app_id) and request.jid.user_id is not None:
            seen = await self._service.last_seen(self.app_id, request.jid.user_id)
            if seen is not None:
                seconds = max(0, int((datetime.now(UTC) - seen).total_seconds()))
        self._lookups -= 1
        if self._state is ConnectionState.ONLINE:
            self._perform(self._stream.last_activity(request.iq_id, request.jid, seconds))

    def _stream_closed(self, closed: Closed) -> None:
        reason = CloseReason.CLIENT if closed.condition is None else CloseReason.STREAM_ERROR
        if self._leave(reason):
            if closed.condition is not None:
                _logger.warning(
                    "chat stream error",
                    user=self.user,
                    address=self.address,
                    condition=closed.condition,
                    detail=closed.detail,
                )
            self._close_websocket(reason)

    def _leave(self, reason: CloseReason) -> bool:
        """Stop taking and giving stanzas; False if that has happened before."""
        if self._state is _CLOSING:
            return False
        was_online = self._state is ConnectionState.ONLINE
        self._state = _CLOSING
        self._close_reason = reason
        if was_online:
            self._service.went_offline(self)
        return True

    def _close_websocket(self, reason: CloseReason) -> None:
        """Send the closing frame; the client's own ends the socket, or the time limit does."""
        self._transport.send_close(reason.code)
        self._closer = self._service.loop.call_later(self._service.limits.close_seconds, self._cut)

    def _cut(self) -> None:
        self._transport.disconnect(False)


def _why(transport: WSTransport) -> CloseReason:
    """Why a socket ended that we did not close ourselves."""
    handshake = transport.close_handshake
    if handshake is None:
        return CloseReason.LOST
    return CloseReason.WEBSOCKET_ERROR if handshake.recv is None else CloseReason.CLIENT
