"""HTTP/2 as a client (RFC 9113), over the state machine of `h2`. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import h2.events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import FrameTooLargeError, ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import HeaderTuple, NeverIndexedHeaderTuple

from ringmesh.server.push.http_exchange import (
    MAX_BODY,
    Done,
    Event,
    Head,
    Lost,
    Reply,
    Request,
    reply_of,
)

MAX_STREAMS = 100
"""Requests under way on one connection, whatever more the peer allows."""

_MAX_HEADERS = 16_384
_LAST_STREAM = 2**31 - 1
_FRAME_HEAD = 9
_GOAWAY = 7
# What we send is made here and needs neither checking nor rewriting.
_CONFIG = H2Configuration(
    header_encoding=None, normalize_outbound_headers=False, validate_outbound_headers=False
)


@dataclass(slots=True)
class _Stream:
    unsent: bytes
    reply: Reply | None = None
    body: bytearray = field(default_factory=bytearray)


class Http2:
    """A `Core`.

    GOAWAY is kept from `h2`, which would drop requests that the peer still answers: those up to the
    number that it names come to their end, the others were not looked at (section 6.8).
    """

    shared = True

    def __init__(self) -> None:
        self._h2 = H2Connection(_CONFIG)
        self._frames = bytearray()
        self._streams: dict[int, _Stream] = {}
        self._settled = False
        self._over = False

    @property
    def over(self) -> bool:
        """See `Core`."""
        return self._over

    @property
    def room(self) -> int:
        """See `Core`. One request before the peer's settings have come: how many it takes is
        not known yet, and some begin with one."""
        if self._over:
            return 0
        most = min(self._h2.remote_settings.max_concurrent_streams, MAX_STREAMS)
        return (most if self._settled else 1) - len(self._streams)

    def open(self) -> bytes:
        """See `Core`."""
        settings = {SettingCodes.ENABLE_PUSH: 0, SettingCodes.MAX_HEADER_LIST_SIZE: _MAX_HEADERS}
        self._h2.local_settings = Settings(client=True, initial_values=settings)
        self._h2.initiate_connection()
        return self._h2.data_to_send()

    def begin(self, request: Request) -> tuple[int, bytes]:
        """See `Core`."""
        stream_id = self._h2.get_next_available_stream_id()
        self._over = stream_id + 2 > _LAST_STREAM
        self._streams[stream_id] = _Stream(request.body)
        self._h2.send_headers(stream_id, list(_headers(request)), end_stream=not request.body)
        self._send_bodies((stream_id,))
        return stream_id, self._h2.data_to_send()

    def receive(self, data: bytes) -> tuple[list[Event], bytes]:
        """See `Core`."""
        events: list[Event] = []
        self._frames += data
        try:
            for frames, goaway in self._split():
                for event in self._h2.receive_data(frames):
                    events += self._happened(event)
                if goaway:
                    events += self._go_away(int.from_bytes(goaway[:4], "big") & _LAST_STREAM)
        except ProtocolError:
            self._over = True
            events += [self._ended(stream_id, "HTTP/2 error") for stream_id in [*self._streams]]
        else:
            self._send_bodies([*self._streams])
        return events, self._h2.data_to_send()

    def cancel(self, stream_id: int) -> bytes:
        """See `Core`."""
        if self._streams.pop(stream_id, None) is not None:
            self._reset(stream_id)
        return self._h2.data_to_send()

    def _split(self) -> Iterator[tuple[bytes, bytes]]:
        """Whole frames, and the content of a GOAWAY after them. One that is none is for `h2` to
        refuse, which would wait for the end of a frame that is too large."""
        begin = end = 0
        while len(self._frames) >= end + _FRAME_HEAD:
            length = int.from_bytes(self._frames[end : end + 3], "big")
            if length > self._h2.max_inbound_frame_size:
                self._h2.close_connection(ErrorCodes.FRAME_SIZE_ERROR)
                raise FrameTooLargeError
            after = end + _FRAME_HEAD + length
            if after > len(self._frames):
                break
            if self._frames[end + 3] == _GOAWAY and length >= 8:
                yield bytes(self._frames[begin:end]), bytes(self._frames[end + _FRAME_HEAD : after])
                begin = after
            end = after
        frames = bytes(self._frames[begin:end])
        del self._frames[:end]
        if frames:
            yield frames, b""

    def _happened(self, event: h2.events.Event) -> Iterable[Event]:
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self._settled = True
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            (_, status), *headers = event.headers or [(b"", b"")]
            stream.reply = reply_of(
                [(bytes(name), bytes(value)) for name, value in headers], status
            )
            if event.stream_ended is None:
                yield Head(event.stream_id, stream.reply)
        elif isinstance(event, h2.events.DataReceived):
            assert event.data is not None
            stream.body += event.data
            length = event.flow_controlled_length or 0
            self._h2.acknowledge_received_data(length, event.stream_id)
            if len(stream.body) >= MAX_BODY and event.stream_ended is None:
                self._reset(event.stream_id)
                yield self._done(event.stream_id, stream)
        elif isinstance(event, h2.events.StreamEnded):
            if stream.unsent:  # what is not sent yet is of no interest to the peer
                self._reset(event.stream_id)
            yield self._done(event.stream_id, stream)
        elif isinstance(event, h2.events.StreamReset):
            unseen = event.error_code == ErrorCodes.REFUSED_STREAM
            yield self._ended(event.stream_id, "the request was reset", unseen)

    def _done(self, stream_id: int, stream: _Stream) -> Event:
        del self._streams[stream_id]
        if stream.reply is None:
            return Lost(stream_id, False, "an answer without a head")
        return Done(stream_id, replace(stream.reply, body=bytes(stream.body[:MAX_BODY])))

    def _go_away(self, last: int) -> list[Event]:
        self._over = True
        unseen = [stream_id for stream_id in self._streams if stream_id > last]
        return [self._ended(stream_id, "the connection ended", True) for stream_id in unseen]

    def _ended(self, stream_id: int, why: str, unseen: bool = False) -> Event:
        """Without the end of the answer: what says why may be lost, the status is enough."""
        reply = self._streams.pop(stream_id).reply
        return Lost(stream_id, unseen, why) if reply is None else Done(stream_id, reply)

    def _reset(self, stream_id: int) -> None:
        with contextlib.suppress(ProtocolError):  # the peer has ended it meanwhile
            self._h2.reset_stream(stream_id, ErrorCodes.CANCEL)

    def _send_bodies(self, stream_ids: Iterable[int]) -> None:
        """As much as the peer's windows take, in the order of the requests."""
        for stream_id in stream_ids:
            stream = self._streams[stream_id]
            while stream.unsent:
                window = self._h2.local_flow_control_window(stream_id)
                size = min(window, self._h2.max_outbound_frame_size, len(stream.unsent))
                if size <= 0:
                    break
                some, stream.unsent = stream.unsent[:size], stream.unsent[size:]
                self._h2.send_data(stream_id, some, end_stream=not stream.unsent)


def _headers(request: Request) -> Iterator[HeaderTuple]:
    """What stays the same, tokens above all, travels once; what differs stays out of the tables of
    HPACK, since it would push that out."""
    yield HeaderTuple(b":method", b"POST")
    yield HeaderTuple(b":scheme", b"https")
    yield HeaderTuple(b":authority", request.authority.encode())
    yield NeverIndexedHeaderTuple(b":path", request.path.encode())
    for name, value in request.headers.items():
        yield HeaderTuple(name.encode(), value.encode())
    yield NeverIndexedHeaderTuple(b"content-length", b"%d" % len(request.body))
