"""Random frames against the protocol layer. See README.md beside this file."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

from ringmesh.errors import ProtocolError, SignalError, StanzaError
from ringmesh.protocol.carbons import unwrap
from ringmesh.protocol.dialect import legal_form
from ringmesh.protocol.element import Element, is_name, read, write
from ringmesh.protocol.jid import JID
from ringmesh.protocol.signal_xml import decode_signal
from ringmesh.protocol.stanza_check import check, stamp
from ringmesh.protocol.stream import ClientStream, ServerStream
from ringmesh.protocol.tcp_framing import TcpFraming

ROOT = Path(__file__).parent.parent
NODE_MODULES = ROOT / "tests" / "interop" / "node_modules"
SENDER = "4001-777@chat.local.test/0123456789abcdef"
HEADER = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='x' version='1.0'"
    b" xmlns:stream='http://etherx.jabber.org/streams'>"
)
OPEN = b'<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="x" version="1.0"/>'
CONDITIONS = (
    "bad-format",
    "invalid-namespace",
    "not-well-formed",
    "policy-violation",
    "restricted-xml",
    "unsupported-encoding",
)
SEEDS = [
    b'<message to="4002-777@chat.local.test" type="headline" id="6b028afbe58605160f000000"'
    b' xmlns="jabber:client"><extraParams xmlns="jabber:client"><sessionID>s</sessionID><callType>1'
    b"</callType><callerID>4001</callerID><opponentsIDs><opponentID>4002</opponentID></opponentsIDs>"
    b"<userInfo><name>Al &amp; &lt;co&gt;</name><arr><0>7</0></arr></userInfo><sdp>v=0\r\no=-\r\n"
    b"</sdp><moduleIdentifier>WebRTCVideoChat</moduleIdentifier><signalType>call</signalType>"
    b"</extraParams></message>",
    b"<message xmlns='jabber:client'><extraParams><moduleIdentifier>WebRTCVideoChat"
    b"</moduleIdentifier><signalType>iceCandidates</signalType><sessionID>s</sessionID>"
    b"<iceCandidates><iceCandidate><sdpMLineIndex></sdpMLineIndex><sdpMid>0</sdpMid><candidate>c"
    b"</candidate></iceCandidate></iceCandidates></extraParams></message>",
    b'<message from="4002-777@x" type="headline" xmlns="jabber:client"><sent'
    b' xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0"><message'
    b' xmlns="jabber:client"/></forwarded></sent></message>',
    b'<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>r</resource>'
    b"</bind></iq>",
    b'<open version="1.0" xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="127.0.0.1"/>',
    b'<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">AGEAYg==</auth>',
    b'<enable xmlns="urn:xmpp:sm:3"/>',
    b"<message xmlns='jabber:client'></message>",
]
PIECES = [
    *b"<message> </message> <a> </a> <a/> <x:a> </x:a> <0> </0> <1st/> <a!> </a!> <sent>".split(),
    *b"</sent> <forwarded> </forwarded> <!-- --> <?a ?> <![CDATA[ ]]> &amp; &#13; &#x41;".split(),
    *b"&#0; &nbsp; & ; < > / /> = ' \" : ! ? -1 \x00 \xff 999999999999999999999".split(),
    *"<é/> €".encode().split(),
    *(b" ", b"\r\n", b"\t", b"<a b='>'>", b"<my key>", b"</my key>", b"<s:sent xmlns:s='u'>"),
    *(b" from='1-1@x'", b' from="1-1@x"', b" to='y'", b" xmlns='jabber:client'", b" xmlns=''"),
    *(b" xmlns:x='u'", b" x:from='1-1@x'", b" xml:lang='en'", b"<!DOCTYPE a>"),
    b"<?xml version='1.0'?>",
]
NAMES = [
    *b"a message sent forwarded extraParams 0 1st a?b a! x:a a-b __proto__ \xc3\xa9".split(),
    *(b"my key", b"a b c"),
]
TEXTS = [
    *b"x > ' \" =\" =' / /> &lt; &#13; ]] ! ? -- from='1-1@x'".split(),
    *b"<![CDATA[</message>]]> <![CDATA[]]]>".split(),
    *(b" ", b"\r\n"),
]
TAG_ENDS = [
    *(b"", b"", b"", b" ", b" b='>'", b' c="/>"', b" xmlns:x='u'", b" from='1-1@x'"),
    *(b" xmlns='u'", b"\n"),
]


class BrokenPromiseError(AssertionError):
    """A promise was broken; the argument is the input."""


def one_input(data: bytes) -> bytes | None:
    """Hold everything to its promises for one frame; returns what the server would forward."""
    try:
        _streams(data)
        _client(data)
        _tcp(data)
        return _dialect(_server(data))
    except Exception as error:
        raise BrokenPromiseError(data) from error


def made_up(source: random.Random, depth: int = 0) -> bytes:
    """A mostly balanced element with names, values and texts that could mislead a parser."""
    name = source.choice(NAMES) if depth else b"message"
    inside = [
        made_up(source, depth + 1) if source.random() < 0.5 and depth < 5 else source.choice(TEXTS)
        for _ in range(source.randint(0, 4))
    ]
    start = name + source.choice(TAG_ENDS)
    return b"<" + start + b">" + b"".join(inside) + b"</" + name + b">"


def mutated(source: random.Random) -> bytes:
    """A frame with a few cuts, copies and insertions, often inside of matching tags."""
    frame = source.choice(SEEDS)
    for _ in range(source.randint(1, 6)):
        start = source.randint(0, len(frame))
        end = min(len(frame), start + source.choice([0, 0, 0, 1, 8, 64]))
        copied = frame[start : start + source.randint(0, 40)]
        frame = frame[:start] + source.choice([*PIECES, copied, b""]) + frame[end:]
    return frame


def _server(data: bytes) -> bytes | None:
    try:
        stanza = check(data)
    except StanzaError:
        return None
    if stanza.name != "message" or stanza.xmlns != "jabber:client":
        return None
    forwarded = stamp(stanza, SENDER)
    element = read(forwarded)
    assert (element.name, element.xmlns) == ("message", "jabber:client")
    assert element.get("from") == SENDER
    if _has_plain_names(element):
        tree = ElementTree.fromstring(forwarded)
        assert (tree.tag, tree.get("from")) == ("{jabber:client}message", SENDER)
        assert sum(1 for _ in tree.iter()) == _size(element)
    return forwarded


def _tcp(data: bytes) -> None:
    """Cuts change nothing, and what the stanza check would take comes out as it is."""
    stream = HEADER + data + SEEDS[0]
    whole = _frames(stream, len(stream))
    assert whole[1] in (None, *CONDITIONS)
    assert _frames(stream, 1) == _frames(stream, 7) == whole
    try:
        element = check(data)
    except StanzaError:
        return
    if element.name != "stream" and data.lstrip(b" \t\r\n").startswith(b"<m"):
        assert whole == ([OPEN, data.strip(b" \t\r\n"), SEEDS[0]], None)


def _frames(stream: bytes, size: int) -> tuple[list[bytes], str | None]:
    framing, frames = TcpFraming(), []
    try:
        for start in range(0, len(stream), size):
            for frame in framing.receive(stream[start : start + size]):
                frames.append(frame)
    except ProtocolError as error:
        return frames, str(error)
    return frames, None


def _dialect(forwarded: bytes | None) -> bytes | None:
    """Every forwarded frame has a form that any parser reads."""
    if forwarded is not None:
        legal = legal_form(forwarded)
        tree = ElementTree.fromstring(legal)
        assert (tree.tag, tree.get("from")) == ("{jabber:client}message", SENDER)
        assert sum(1 for _ in tree.iter()) == _size(read(forwarded))
        assert legal_form(legal) == legal
    return forwarded


def _client(data: bytes) -> None:
    try:
        element = read(data)
        decode_signal(unwrap(element, JID.parse(SENDER)))
    except (StanzaError, SignalError):
        return
    if _has_plain_names(element):
        assert read(write(element)) == element


def _streams(data: bytes) -> None:
    server = ServerStream("chat.local.test", "s", "0123456789abcdef")
    client = ClientStream("chat.local.test", stream_management=True)
    client.open("a", "b")
    for frame in (SEEDS[4], data, SEEDS[5], data, SEEDS[4], data, SEEDS[3], data):
        server.receive(frame)
        server.authentication_succeeded()
        client.receive(frame)


def _has_plain_names(element: Element) -> bool:
    names = [element.name, *element.attributes]
    plain = all(name.isascii() and is_name(name.removeprefix("xml:")) for name in names)
    return plain and all(map(_has_plain_names, element.children))


def _size(element: Element) -> int:
    return 1 + sum(map(_size, element.children))


def _ask_ltx(frames: list[bytes]) -> None:
    """Have the JavaScript SDK's parser judge forwarded frames."""
    answers = subprocess.run(
        ["node", Path(__file__).with_name("ltx_judge.mjs"), NODE_MODULES],
        input="\n".join(json.dumps(frame.decode()) for frame in frames),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    expected = {"error": None, "names": ["message", "probe"], "from": SENDER, "carbon": False}
    assert len(answers) == len(frames)
    for frame, answer in zip(frames, answers, strict=True):
        if json.loads(answer) != expected:
            raise BrokenPromiseError(frame, answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    options = parser.parse_args()
    has_judge = shutil.which("node") is not None and (NODE_MODULES / "ltx").is_dir()
    print(
        f"seed {options.seed}; the SDK's parser {'judges too' if has_judge else 'is not installed'}"
    )
    source = random.Random(options.seed)
    end = time.monotonic() + options.seconds
    tried = forwarded = 0
    while time.monotonic() < end:
        inputs = [make(source) for _ in range(4_000) for make in (mutated, made_up)]
        batch = [frame for data in inputs if (frame := one_input(data))]
        tried, forwarded = tried + len(inputs), forwarded + len(batch)
        if has_judge and batch:
            _ask_ltx(batch)
    print(f"{tried} frames tried, {forwarded} forwarded, every promise kept")


if __name__ == "__main__":
    main()
