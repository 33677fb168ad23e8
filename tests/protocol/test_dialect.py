"""What goes to native SDKs is legal XML that says the same."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from ringmesh.protocol.dialect import BaseFields, is_legal_form, legal_form
from ringmesh.protocol.element import read
from ringmesh.protocol.signal_xml import decode_signal
from ringmesh.protocol.stanza_check import check, stamp
from ringmesh.signals import IceCandidates, IceRestart

SENDER = "4001-777@chat.local.test/0123456789abcdef"
BASE = BaseFields(4001, 2, (4002, 4003))


def relayed(kind: str, inside: str, base: bool = True) -> bytes:
    """A signal with these elements as the server forwards it to the JavaScript SDK."""
    known = "<callType>2</callType><callerID>4001</callerID><opponentsIDs/>" if base else ""
    frame = (
        '<message to="4002-777@chat.local.test" type="headline" id="1">'
        '<extraParams xmlns="jabber:client"><moduleIdentifier>WebRTCVideoChat</moduleIdentifier>'
        f"<signalType>{kind}</signalType><sessionID>s</sessionID>{known}{inside}</extraParams>"
        "</message>"
    )
    return stamp(check(frame.encode()), SENDER)


@pytest.mark.parametrize(
    ("written", "legal"),
    [
        ("<a><0>7</0><1>8</1></a>", "<a><_0>7</_0><_1>8</_1></a>"),
        ("<1st>x</1st>", "<_1st>x</_1st>"),
        ("<stream>x</stream>", "<_stream>x</_stream>"),
        ("<a><features/></a>", "<a><_features/></a>"),
        ("<a>stream:stream</a>", "<a>stream&#58;stream</a>"),
        (
            '<stream:stream xmlns:stream="u"/>',
            '<_stream xmlns="u"/>',
        ),
    ],
)
def test_names_become_legal(written: str, legal: str) -> None:
    """Names that XML or an SDK's parser forbids are rewritten; values stay."""
    stanza = relayed("call", f"<userInfo>{written}</userInfo>")
    assert not is_legal_form(stanza)
    changed = legal_form(stanza)
    ElementTree.fromstring(changed)
    assert f"<userInfo>{legal}</userInfo>".encode() in changed
    assert is_legal_form(changed)


@pytest.mark.parametrize("index", ["<sdpMLineIndex></sdpMLineIndex>", "<sdpMLineIndex/>"])
def test_an_empty_index_becomes_zero(index: str) -> None:
    """Native SDKs lose every candidate of a signal with an empty index."""
    stanza = relayed(
        "iceCandidates",
        f"<iceCandidates><iceCandidate>{index}<sdpMid>0</sdpMid><candidate>c</candidate>"
        "</iceCandidate></iceCandidates>",
    )
    assert not is_legal_form(stanza)
    changed = legal_form(stanza)
    assert b"<sdpMLineIndex>0</sdpMLineIndex>" in changed
    signal = decode_signal(read(changed))
    assert isinstance(signal, IceCandidates)
    assert signal == decode_signal(read(stanza))


def test_missing_base_fields_are_filled_in() -> None:
    """The JavaScript SDK restarts ICE without them; native SDKs lose a signal without them."""
    stanza = relayed("iceRestart", "<sdp>v=0\r\n</sdp>", base=False)
    assert not is_legal_form(stanza)
    signal = decode_signal(read(legal_form(stanza, BASE)))
    assert isinstance(signal, IceRestart)
    assert (signal.caller_id, signal.call_type) == (4001, 2)
    assert signal.opponents_ids == (4002, 4003)
    assert signal.sdp == "v=0\r\n"
    assert legal_form(stanza) == stanza


def test_what_is_legal_stays_as_it_is() -> None:
    """Most messages are forwarded in the sender's own bytes to everybody."""
    stanza = relayed("call", "<sdp>a=stream x\r\n</sdp><userInfo><streams>x</streams></userInfo>")
    assert is_legal_form(stanza)
    assert legal_form(stanza, BASE) == stanza


def test_a_chat_message_is_not_taken_for_a_signal() -> None:
    """Nothing is added to messages that are no call signals."""
    frame = b'<message xmlns="jabber:client" type="chat" to="a@b"><body>hi</body></message>'
    assert is_legal_form(frame)
    assert legal_form(frame, BASE) == frame


def test_names_of_newer_xml_are_not_sent_to_native_sdks() -> None:
    """XML has editions; native parsers keep to older ones."""
    frame = "<message xmlns='jabber:client' to='a@b' x€='1'><body>€</body></message>".encode()
    stanza = stamp(check(frame), SENDER)
    assert not is_legal_form(stanza)
    changed = legal_form(stanza)
    assert ElementTree.fromstring(changed).get("from") == SENDER
    assert "<body>€</body>".encode() in changed
    assert is_legal_form(changed)
