"""The WebSocket as a wire: picows' listener, between the socket and a connection's owner."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from ringmesh.server.chat.closing import CloseReason
from ringmesh.server.chat.limits import ChatLimits

if TYPE_CHECKING:
    from ringmesh.server.chat.connection import Connection

_CLOSE, _TEXT = WSMsgType.CLOSE, WSMsgType.TEXT
_COPIED_BY_PICOWS = 8192  # longest message that `WSTransport.send` copies before it returns
_HEADER_SPACE = bytes(14)


class WebSocketWire(WSListener):
    """Carries one frame of the stream in each text message (RFC 7395)."""

    __slots__ = ("_closer", "_fragments", "_limits", "_owner", "_transport")

    name = "websocket"
    ends_stream_at_shutdown = True

    def __init__(self, owner: Connection, limits: ChatLimits) -> None:
        self._owner = owner
        self._limits = limits
        self._transport: WSTransport
        self._fragments: bytearray | None = None
        self._closer: asyncio.TimerHandle | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """picows: the WebSocket is open."""
        self._transport = transport
        self._owner.opened(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """picows: a frame came."""
        kind = frame.msg_type
        if kind is _CLOSE:
            self._owner.leave(CloseReason.CLIENT)
            transport.send_close(CloseReason.CLIENT.code)
            transport.disconnect()
        elif not self._owner.charge(frame.payload_size + self._limits.frame_cost):
            return
        elif kind is _TEXT and frame.fin and self._fragments is None:
            self._owner.receive(frame.get_payload_as_bytes())
        else:
            self._receive_other(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """picows: the socket is gone."""
        if self._closer is not None:
            self._closer.cancel()
        self._owner.gone(_why(transport))

    def pause_writing(self) -> None:
        """picows: more waits to be sent than the limit allows."""
        if self._owner.leave(CloseReason.TOO_SLOW):  # not from inside of the write
            self._closer = asyncio.get_running_loop().call_later(0, self.cut)

    def resume_writing(self) -> None:
        """picows: less waits. A connection that was too slow is past help."""

    def send(self, frame: bytes) -> None:
        """Queue a frame."""
        if len(frame) <= _COPIED_BY_PICOWS:
            self._transport.send(_TEXT, frame)
        else:  # `send` would hand on views of a buffer that picows reuses for the next frame
            framed = bytearray(_HEADER_SPACE + frame)
            self._transport.send_reuse_external_bytearray(_TEXT, framed, len(_HEADER_SPACE))

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._transport.send_ping()

    def finish(self, reason: CloseReason) -> None:
        """Send the closing frame; the client's own ends the socket, or the time limit does."""
        self._transport.send_close(reason.code)
        loop = asyncio.get_running_loop()
        self._closer = loop.call_later(self._limits.close_seconds, self.cut)

    def cut(self) -> None:
        """Drop the socket."""
        self._transport.disconnect(False)

    def _receive_other(self, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is WSMsgType.PING:
            self._transport.send_pong(frame.get_payload_as_bytes())
        elif kind is WSMsgType.BINARY:
            self._owner.close(CloseReason.NOT_TEXT)
        elif kind in (_TEXT, WSMsgType.CONTINUATION):
            self._receive_fragment(frame)

    def _receive_fragment(self, frame: WSFrame) -> None:
        """Put a fragmented message together (RFC 6455 section 5.4)."""
        if (frame.msg_type is _TEXT) == (self._fragments is not None):
            self._owner.close(CloseReason.WEBSOCKET_ERROR)
            return
        fragments = self._fragments = self._fragments or bytearray()
        fragments += frame.get_payload_as_bytes()
        if len(fragments) > self._limits.message_bytes:
            self._fragments = None
            self._owner.close(CloseReason.TOO_LONG)
        elif frame.fin:
            self._fragments = None
            self._owner.receive(bytes(fragments))


def _why(transport: WSTransport) -> CloseReason:
    """Why a socket ended that we did not close ourselves."""
    handshake = transport.close_handshake
    if handshake is None:
        return CloseReason.LOST
    return CloseReason.WEBSOCKET_ERROR if handshake.recv is None else CloseReason.CLIENT
