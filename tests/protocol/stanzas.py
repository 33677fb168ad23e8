"""Frames as SDKs write them, and strategies that make good and bad ones out of them."""

from __future__ import annotations

from hypothesis import strategies as st

_SDP = b"v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-options:trickle\r\n" + (
    b"a=rtpmap:96 VP8/90000\r\n" * 20
)
CALL = (
    b'<message to="4002-777@chat.local.test" type="headline" id="6b028afbe58605160f000000"'
    b' xmlns="jabber:client"><extraParams xmlns="jabber:client"><sessionID>0b4d7c1e-6a0e-4a6a-'
    b"9a51-2f1b6f3f9c10</sessionID><callType>1</callType><callerID>4001</callerID><opponentsIDs>"
    b"<opponentID>4002</opponentID><opponentID>4003</opponentID></opponentsIDs><userInfo><name>Al"
    b" &amp; &lt;co&gt;</name><nested><x>1</x><y></y></nested><arr><0>7</0><1>8</1></arr><n></n>"
    b"<flag>true</flag></userInfo><sdp>" + _SDP + b"</sdp><moduleIdentifier>WebRTCVideoChat"
    b"</moduleIdentifier><signalType>call</signalType><platform>web</platform></extraParams>"
    b"</message>"
)
CANDIDATES = (
    b'<message to="4001-777@chat.local.test" type="headline" id="6b028afbe58605160f000001"'
    b' xmlns="jabber:client"><extraParams xmlns="jabber:client"><sessionID>0b4d7c1e-6a0e-4a6a-'
    b"9a51-2f1b6f3f9c10</sessionID><iceCandidates><iceCandidate><sdpMLineIndex></sdpMLineIndex>"
    b"<sdpMid>0</sdpMid><candidate>candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host"
    b"</candidate></iceCandidate></iceCandidates><moduleIdentifier>WebRTCVideoChat"
    b"</moduleIdentifier><signalType>iceCandidates</signalType></extraParams></message>"
)
IQ = b'<iq type="get" to="chat.local.test" id="u:ping"><ping xmlns="urn:xmpp:ping"/></iq>'
FLUTTER = b"<message id='A' type='headline' to='1-7@x'><extraParams/></message>"

_FRAGMENTS = [
    *(b"<message>", b"</message>", b"<message", b"<a>", b"</a>", b"<a/>", b"<x:a>", b"</x:a>"),
    *(b"<0>", b"</0>", b"<1st/>", b"<my key>", b"</my key>", b"<a!>", b"</a!>", b"<sent>"),
    *(b"</sent>", b"<forwarded/>", b" from='1-1@x'", b' from="1-1@x"', b" to='y'", b" id=''"),
    *(b" xmlns='jabber:client'", b" xmlns=''", b" xmlns:x='u'", b" x:from='1-1@x'"),
    *(b" xml:lang='en'", b"<!--", b"-->", b"<?a", b"?>", b"<!DOCTYPE a>", b"<![CDATA[", b"]]>"),
    *(b"&amp;", b"&#13;", b"&#x41;", b"&#0;", b"&nbsp;", b"&", b";", b"<", b">", b"/", b"/>"),
    *(b"=", b"'", b'"', b" ", b"\r\n", b"\t", b"text", b"\x00", b"\x1b", b"\xff", "é€".encode()),
    *("<é/>".encode(), b"<?xml version='1.0'?>", b":", b"!", b"?"),
]
_SEEDS = [CALL, CANDIDATES, IQ, FLUTTER]


def frames() -> st.SearchStrategy[bytes]:
    """Fragments in any order, mostly inside of one message."""
    inside = st.lists(st.sampled_from(_FRAGMENTS), max_size=8).map(b"".join)
    wrapped = inside.map(lambda text: b"<message xmlns='jabber:client'>" + text + b"</message>")
    in_tag = inside.map(lambda text: b"<message" + text + b"/>")
    return inside | wrapped | in_tag


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A frame of an SDK with a few cuts, insertions and copies."""
    frame = draw(st.sampled_from(_SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(frame)))
        end = draw(st.sampled_from([start, start + 1, start + 8, len(frame)]))
        piece = draw(st.sampled_from([b"", frame[start:end], *_FRAGMENTS]))
        frame = frame[:start] + piece + frame[end:]
    return frame


_PLAIN_PIECES = [
    *(
        b"",
        b"text",
        b" ",
        b"\r\n",
        b"&amp;",
        b"&#13;",
        b"&#xD;",
        b"&#1;",
        b"&x;",
        b"&",
        b">",
        b"]]>",
    ),
    *(
        b"<a/>",
        b"<a />",
        b'<a xmlns="jabber:client"/>',
        b'<a xmlns="u"/>',
        b'<a b="c"/>',
        b"<sent/>",
    ),
    *(
        b"<a>",
        b"</a>",
        b"</b>",
        b"<a:b/>",
        b"<0/>",
        b"<!--x-->",
        b"<?x?>",
        b"\x00",
        b"\x7f",
        b"\xff",
    ),
]
_NAMES = st.sampled_from([b"a", b"b", b"sent", b"sentence", b"_x-1.y", b"extraParams"])
_PLAIN_ATTRIBUTES = [
    *(b' to="1-1@x"', b' type="headline"', b' xmlns="jabber:client"', b' xmlns="u"', b' xmlns=""'),
    *(b' from="2-1@x"', b' id=""', b' id="a&amp;b"', b' id="\t"', b' id="<"', b' id="\xc3\xa9"'),
    *(b" id='x'", b' xml:lang="en"', b' x:from="y"', b"  ", b' ID="x"'),
]


def plain_messages() -> st.SearchStrategy[bytes]:
    """Messages of the simplest kind, and such with something less simple in them."""
    pieces = st.sampled_from(_PLAIN_PIECES[:9]) | st.sampled_from(_PLAIN_PIECES)
    nested = st.recursive(
        pieces,
        lambda inner: st.tuples(_NAMES, st.lists(inner, max_size=3)).map(
            lambda each: b"<%b>%b</%b>" % (each[0], b"".join(each[1]), each[0])
        ),
        max_leaves=12,
    )
    attributes = st.lists(st.sampled_from(_PLAIN_ATTRIBUTES), max_size=4).map(b"".join)
    content = st.lists(nested, max_size=4).map(b"".join)
    return st.tuples(attributes, content).map(lambda each: b"<message%b>%b</message>" % each)
