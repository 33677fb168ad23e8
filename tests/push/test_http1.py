"""The core of HTTP/1.1, for push services that offer nothing else."""

from __future__ import annotations

import pytest

from ringmesh.server.push.http1 import Http1
from ringmesh.server.push.http_exchange import MAX_BODY, Done, Event, Head, Lost, Reply, Request

REQUEST = Request("push.example.org:8443", "/push/1?a=b", {"ttl": "30"}, b"body")


def test_one_request_after_the_other() -> None:
    """The same connection carries the next one once the answer is complete."""
    core = Http1()
    for _ in range(2):
        assert core.room == 1
        stream_id, out = core.begin(REQUEST)
        assert core.room == 0
        assert out.startswith(b"POST /push/1?a=b HTTP/1.1\r\nhost: push.example.org:8443\r\n")
        assert out.endswith(b"content-length: 4\r\n\r\nbody")
        events = octet_by_octet(
            core, b"HTTP/1.1 429 X\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno"
        )
        reply = Reply(429, {"retry-after": "7", "content-length": "2"}, b"no")
        assert isinstance(events[0], Head)
        assert events[1:] == [Done(stream_id, reply)]
    assert not core.over


def octet_by_octet(core: Http1, data: bytes) -> list[Event]:
    return [event for octet in data for event in core.receive(bytes([octet]))[0]]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"HTTP/1.1 201 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 201),
        (b"HTTP/1.0 201 X\r\n\r\nuntil the end", 201),
        (b"HTTP/1.1 500 X\r\nContent-Length: 99999\r\n\r\n" + b"x" * (MAX_BODY + 1), 500),
        (b"HTTP/1.1 503 X\r\nContent-Length: 9\r\n\r\nhalf", 503),
    ],
)
def test_answers_that_end_the_connection(data: bytes, status: int) -> None:
    """Their status counts, and nothing more is sent."""
    core = Http1()
    core.begin(REQUEST)
    events = core.receive(data)[0] + core.receive(b"")[0]
    (done,) = [event for event in events if isinstance(event, Done)]
    assert done.reply.status == status
    assert len(done.reply.body) <= MAX_BODY
    assert core.over
    assert core.room == 0


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x12\x04\x00", b"HTTP/1.1 nonsense\r\n\r\n"])
def test_no_answer(data: bytes) -> None:
    """Nobody knows whether the request was seen."""
    core = Http1()
    stream_id, _ = core.begin(REQUEST)
    events = core.receive(data)[0] + core.receive(b"")[0]
    assert events == [Lost(stream_id, False, "the connection ended")]
    assert core.over


def test_a_cancelled_request_ends_the_connection() -> None:
    """Its answer would be taken for the next one's."""
    core = Http1()
    stream_id, _ = core.begin(REQUEST)
    core.cancel(stream_id)
    assert core.over
    assert core.receive(b"HTTP/1.1 201 X\r\nContent-Length: 0\r\n\r\n")[0] == []
