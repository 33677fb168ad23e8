"""The core of HTTP/2 joined to a server's side in memory, with the frames that bring trouble."""

from __future__ import annotations

import h2.events
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from ringmesh.server.push.http2 import MAX_STREAMS, Http2
from ringmesh.server.push.http_exchange import MAX_BODY, Done, Event, Head, Lost, Reply, Request


def request(body: bytes = b"{}", path: str = "/push/secret") -> Request:
    """A push."""
    headers = {"authorization": "bearer " + "t" * 200, "content-type": "application/json"}
    return Request("push.example.org", path, headers, body)


class Pair:
    """A client's core and a server, whose octets go where they should at once."""

    def __init__(self, **settings: int) -> None:
        self.core = Http2()
        self.server = H2Connection(H2Configuration(client_side=False))
        self.server.initiate_connection()
        self.got: list[h2.events.Event] = []
        self.to_server(self.core.open())
        if settings:
            self.server.update_settings({SettingCodes[k]: v for k, v in settings.items()})

    def to_server(self, data: bytes) -> None:
        if data:
            self.got += self.server.receive_data(data)

    def begin(self, body: bytes = b"{}") -> int:
        stream_id, out = self.core.begin(request(body))
        self.to_server(out)
        return stream_id

    def flush(self, extra: bytes = b"") -> list[Event]:
        """What the server has to say, and raw octets after it."""
        events, out = self.core.receive(self.server.data_to_send() + extra)
        self.to_server(out)
        return events

    def answer(self, stream_id: int, body: bytes = b"", status: str = "200") -> None:
        self.server.send_headers(stream_id, [(":status", status), ("Retry-After", "7")])
        self.server.send_data(stream_id, body, end_stream=True)

    def bodies(self) -> bytes:
        return b"".join(e.data or b"" for e in self.got if isinstance(e, h2.events.DataReceived))


def goaway(last: int, error: int = 0) -> bytes:
    """As a server sends it that goes on to answer, which `h2` cannot."""
    return GoAwayFrame(0, last_stream_id=last, error_code=error).serialize()


def test_a_request_and_its_answer() -> None:
    """All of it comes across, both ways."""
    pair = Pair()
    stream_id = pair.begin(b'{"aps":{}}')
    heads = [e for e in pair.got if isinstance(e, h2.events.RequestReceived)]
    found = dict(heads[0].headers or ())
    assert found[b":path"] == b"/push/secret"
    assert found[b":authority"] == b"push.example.org"
    assert found[b"content-length"] == b"10"
    assert pair.bodies() == b'{"aps":{}}'
    pair.answer(stream_id, b"body", "429")
    head, done = pair.flush()
    assert head == Head(stream_id, Reply(429, {"retry-after": "7"}, b""))
    assert done == Done(stream_id, Reply(429, {"retry-after": "7"}, b"body"))


def test_however_octets_are_cut() -> None:
    """One by one or all at once, with a GOAWAY between them: the same events."""
    seen = []
    for size in (1, 2, 7, 10_000):
        pair = Pair()
        first, second, third = pair.begin(), pair.begin(), pair.begin()
        pair.answer(first, b"x" * 300)
        data = pair.server.data_to_send() + goaway(second)
        pair.answer(second)
        data += pair.server.data_to_send()
        events: list[Event] = []
        for begin in range(0, len(data), size):
            events += pair.core.receive(data[begin : begin + size])[0]
        seen.append(events)
        assert [type(event) for event in events] == [Head, Done, Lost, Head, Done], third
    assert all(events == seen[0] for events in seen)


def test_goaway_amid_requests() -> None:
    """What is beyond its last stream was not seen; the others are answered still; none begins."""
    pair = Pair()
    first, second, third = pair.begin(), pair.begin(), pair.begin()
    pair.flush(goaway(2**31 - 1))  # a warning first, as servers send it before they stop
    assert pair.core.over
    assert pair.core.room == 0
    assert pair.flush(goaway(first)) == [
        Lost(second, True, "the connection ended"),
        Lost(third, True, "the connection ended"),
    ]
    pair.answer(first, b"late")
    assert pair.flush()[-1] == Done(first, Reply(200, {"retry-after": "7"}, b"late"))


@pytest.mark.parametrize(("error", "unseen"), [("REFUSED_STREAM", True), ("CANCEL", False)])
def test_resets(error: str, unseen: bool) -> None:
    """Whether a request may go out again depends on why it was reset; others go on."""
    pair = Pair()
    first, second = pair.begin(), pair.begin()
    pair.server.reset_stream(first, ErrorCodes[error])
    pair.answer(second)
    events = pair.flush()
    assert events[0] == Lost(first, unseen, "the request was reset")
    assert isinstance(events[-1], Done)
    assert not pair.core.over


def test_a_reset_within_the_answer() -> None:
    """The status stays."""
    pair = Pair()
    stream_id = pair.begin()
    pair.server.send_headers(stream_id, [(":status", "503")])
    pair.server.send_data(stream_id, b"half")
    pair.server.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)
    assert pair.flush()[-1] == Done(stream_id, Reply(503, {}, b""))


def test_windows_that_are_exhausted() -> None:
    """A body goes out as the peer makes room, also where the room had become less than none."""
    pair = Pair(INITIAL_WINDOW_SIZE=10)
    pair.flush()
    body = bytes(range(100))
    stream_id = pair.begin(body)
    assert pair.bodies() == body[:10]
    pair.server.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 4})
    pair.flush()
    pair.server.increment_flow_control_window(5, stream_id)
    pair.flush()
    assert pair.bodies() == body[:10]
    pair.server.increment_flow_control_window(20, stream_id)
    pair.flush()
    assert pair.bodies() == body[:29]
    pair.server.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1000})
    pair.flush()
    assert pair.bodies() == body
    pair.answer(stream_id)
    assert isinstance(pair.flush()[-1], Done)


def test_an_answer_before_the_request_is_out() -> None:
    """The rest of the body stays here, and the peer is told so."""
    pair = Pair(INITIAL_WINDOW_SIZE=10)
    pair.flush()
    stream_id = pair.begin(b"x" * 100)
    pair.answer(stream_id, status="413")
    done = pair.flush()[-1]
    assert isinstance(done, Done)
    assert done.reply.status == 413
    assert isinstance(pair.got[-1], h2.events.StreamReset)
    pair.server.increment_flow_control_window(1000)
    assert pair.flush() == []


def test_settings_that_change() -> None:
    """One request before it is known how many may be under way; then as many as the peer takes,
    bounded, also while it takes fewer and fewer."""
    pair = Pair(MAX_CONCURRENT_STREAMS=2)
    assert pair.core.room == 1
    first = pair.begin()
    assert pair.core.room == 0
    pair.flush()
    assert pair.core.room == 1
    second = pair.begin()
    assert pair.core.room == 0
    pair.server.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    pair.flush()
    assert pair.core.room == -1
    pair.answer(first)
    pair.answer(second)
    pair.flush()
    assert pair.core.room == 1
    pair.server.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 10**6})
    pair.flush()
    assert pair.core.room == MAX_STREAMS


def test_bodies_without_end() -> None:
    """They are cut, the peer is told, and what still comes of them disturbs nobody."""
    pair = Pair()
    stream_id = pair.begin()
    pair.server.send_headers(stream_id, [(":status", "500")])
    for _ in range(3):
        pair.server.send_data(stream_id, b"x" * 10_000)
    done = pair.flush()[-1]
    assert isinstance(done, Done)
    assert len(done.reply.body) == MAX_BODY
    assert isinstance(pair.got[-1], h2.events.StreamReset)
    other = pair.begin()
    pair.answer(other)
    assert isinstance(pair.flush()[-1], Done)


def test_cancelled_requests() -> None:
    """They are reset and make room; an answer that was on its way is dropped."""
    pair = Pair()
    pair.flush()
    stream_id = pair.begin()
    pair.answer(stream_id)
    on_its_way = pair.server.data_to_send()
    pair.to_server(pair.core.cancel(stream_id))
    assert pair.core.room == MAX_STREAMS
    assert pair.core.receive(on_its_way)[0] == []
    assert pair.core.cancel(stream_id) == b""
    assert not pair.core.over


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff\xff\xff" + bytes(60),  # a frame of 16 MiB
        b"\x00\x00\x04\x07" + bytes(9),  # a GOAWAY of half the size
        b"\x00\x00\x01\x01\x04\x00\x00\x00\x01\xff",  # headers that HPACK cannot read
    ],
)
def test_octets_without_sense(octets: bytes) -> None:
    """The connection is over, nobody waits for an answer any more, and the peer hears why."""
    pair = Pair()
    first, second = pair.begin(), pair.begin()
    pair.flush()
    events, out = pair.core.receive(octets)
    assert events == [Lost(each, False, "HTTP/2 error") for each in (first, second)]
    assert pair.core.over
    assert out[3] == 7  # GOAWAY
    assert pair.core.receive(b"more")[0] == []


def test_tokens_travel_once() -> None:
    """The proof is repeated by its number in HPACK's table; addresses never get into it."""
    pair = Pair()
    pair.flush()
    _, first = pair.core.begin(request())
    _, second = pair.core.begin(request())
    assert len(first) - len(second) > 100
    other, _ = request(path="/push/another"), None
    assert len(pair.core.begin(other)[1]) > len(second)


def test_pings_are_answered() -> None:
    """Else servers take the connection for dead."""
    pair = Pair()
    pair.flush()
    pair.server.ping(b"12345678")
    pair.flush()
    assert isinstance(pair.got[-1], h2.events.PingAckReceived)
