"""From bytes in any pieces to whole elements (RFC 6120)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmesh.errors import ProtocolError
from ringmesh.protocol.element import MAX_DEPTH, MAX_FRAME_BYTES
from ringmesh.protocol.tcp_framing import TcpFraming

HEADER = (
    b"<?xml version='1.0'?>\n<stream:stream xmlns='jabber:client' version='1.0' "
    b"xmlns:stream='http://etherx.jabber.org/streams'\nto='chat.test'\nxml:lang='en'\n>\n"
)
OPEN = (
    b'<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" version="1.0" to="chat.test"'
    b' xml:lang="en"/>'
)
CLOSE = b'<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>'
STANZAS = [
    b"<message to='a@b' x='>'><a b=\"/>\"/><sdp>v=0\r\no=-</sdp></message>",
    b"<message><![CDATA[</message>]]><0>x</0><my key>y</my key></message>",
    b"<r xmlns='urn:xmpp:sm:3'/>",
    b"<iq type='get' id='\xc3\xa9'><q><q/></q></iq >",
    b"<a><a></a ><a/></a>",
]


def frames(*pieces: bytes) -> list[bytes]:
    """All frames in what comes in these pieces."""
    framing = TcpFraming()
    return [frame for piece in pieces for frame in framing.receive(piece)]


@given(st.lists(st.sampled_from(STANZAS), max_size=5), st.lists(st.integers(0, 600), max_size=20))
def test_any_cut_gives_the_same_frames(stanzas: list[bytes], cuts: list[int]) -> None:
    """Where the network cuts makes no difference; stanzas come out byte for byte."""
    data = HEADER + b" \r\n".join(stanzas) + HEADER + b"</stream:stream>"
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    assert frames(*pieces) == [OPEN, *stanzas, OPEN, CLOSE]


def test_every_byte_for_itself() -> None:
    """A stream may come byte by byte."""
    data = HEADER + b"".join(STANZAS) + HEADER + STANZAS[0] + b"</stream:stream>\n"
    pieces = [data[i : i + 1] for i in range(len(data))]
    assert frames(*pieces) == [OPEN, *STANZAS, OPEN, STANZAS[0], CLOSE]


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (b"GET / HTTP/1.1\r\n", "not-well-formed"),
        (b"\x16\x03\x01\x02\x00\x01", "not-well-formed"),
        (b"<message/>", "bad-format"),
        (b"</stream:stream>", "not-well-formed"),
        (b"<?xml version='1.0' encoding='utf-16'?>", "unsupported-encoding"),
        (b"<?php ?>", "restricted-xml"),
        (b"<!DOCTYPE stream [", "restricted-xml"),
        (HEADER + b"<!-- x", "restricted-xml"),
        (HEADER + b"<a><!-- x", "restricted-xml"),
        (HEADER + b"<a><![FOO[", "restricted-xml"),
        (HEADER + b"<a><?xml ?>", "restricted-xml"),
        (HEADER + b"<![CDATA[x]]>", "restricted-xml"),
        (HEADER + b"x", "not-well-formed"),
        (HEADER + b"<a><b<", "not-well-formed"),
        (HEADER + b"</other>", "not-well-formed"),
        (HEADER + b"</>", "not-well-formed"),
        (HEADER.replace(b"jabber:client", b"jabber:server"), "invalid-namespace"),
        (HEADER.replace(b"etherx", b"example"), "invalid-namespace"),
        (HEADER.replace(b"xmlns:stream=", b"xmlns:s="), "not-well-formed"),
        (HEADER.replace(b"version='1.0' xmlns:", b"to='x' xmlns:"), "not-well-formed"),
        (HEADER + b"<a>" * (MAX_DEPTH + 1), "policy-violation"),
        (HEADER + b"<a>" + b"x" * MAX_FRAME_BYTES, "policy-violation"),
        (HEADER + b"<a b='" + b"x" * MAX_FRAME_BYTES, "policy-violation"),
        (b"<" + b"x" * MAX_FRAME_BYTES, "policy-violation"),
    ],
)
@pytest.mark.parametrize("size", [1, 100_000])
def test_what_is_no_stream_is_refused(data: bytes, condition: str, size: int) -> None:
    """It ends with the right stream error, whole or byte by byte."""
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    with pytest.raises(ProtocolError, match=f"^{condition}$"):
        frames(*pieces)


def test_white_space_takes_no_room() -> None:
    """Keep-alives are forgotten at once."""
    framing = TcpFraming()
    assert list(framing.receive(HEADER)) == [OPEN]
    for _ in range(100):
        assert not list(framing.receive(b" \n" * 50_000))
        assert framing.rest == b""
    assert list(framing.receive(b"<a/>")) == [b"<a/>"]


def test_what_was_not_read_can_be_seen() -> None:
    """After STARTTLS the owner must know whether more came in clear text."""
    framing = TcpFraming()
    for frame in framing.receive(HEADER + b"<starttls/><auth>"):
        if frame == b"<starttls/>":
            break
    assert framing.rest == b"<auth>"
