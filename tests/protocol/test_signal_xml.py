"""Call signals between typed values and XML, in the dialects of deployed SDKs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmesh.errors import SignalError
from ringmesh.ice import IceCandidate
from ringmesh.protocol.element import MAX_FRAME_BYTES, Element, read, write
from ringmesh.protocol.signal_xml import (
    MAX_CANDIDATES,
    MAX_FIELD_LENGTH,
    MAX_OPPONENTS,
    MAX_USER_INFO_DEPTH,
    decode_signal,
    encode_signal,
)
from ringmesh.protocol.stanza_check import check
from ringmesh.signals import (
    Accept,
    Call,
    CallType,
    HangUp,
    IceCandidates,
    IceRestart,
    IceRestartAccept,
    IceRestartRequest,
    RecordingNotice,
    Reject,
    Ringing,
    Signal,
    Update,
)
from tests.protocol.stanzas import CALL, CANDIDATES

TO = "4002-777@chat.local.test"
ID = "65f00000000000000000000a"
BASE: dict[str, Any] = {
    "session_id": "0b4d7c1e-6a0e-4a6a-9a51-2f1b6f3f9c10",
    "call_type": CallType.VIDEO_CALL,
    "caller_id": 4001,
    "opponents_ids": (4002, 4003),
}
SDP = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\n"


def params(*fields: str) -> str:
    """A headline with these fields, as it comes from the wire."""
    return (
        "<message type='headline'><extraParams><moduleIdentifier>WebRTCVideoChat"
        f"</moduleIdentifier>{''.join(fields)}</extraParams></message>"
    )


def decode(*fields: str) -> Signal | None:
    """The signal that these fields make."""
    return decode_signal(read(params(*fields)))


CALL_FIELDS = "<signalType>call</signalType><sessionID>s</sessionID>"


def test_signal_of_javascript() -> None:
    """A call as the JavaScript SDK writes it, with nested user info, arrays and escapes."""
    signal = decode_signal(read(CALL))
    assert isinstance(signal, Call)
    assert signal.session_id == BASE["session_id"]
    assert (signal.call_type, signal.caller_id) == (CallType.VIDEO_CALL, 4001)
    assert signal.opponents_ids == (4002, 4003)
    assert signal.platform == "web"
    assert signal.user_info == {
        "name": "Al & <co>",
        "nested": {"x": "1", "y": None},
        "arr": {"0": "7", "1": "8"},
        "n": None,
        "flag": "true",
    }
    assert signal.sdp.startswith("v=0\r\n")
    assert signal.sdp.endswith("\r\n")


def test_candidates_of_javascript() -> None:
    """Its index 0, an empty element, is read as 0; base fields that it leaves out are missing."""
    assert decode_signal(read(CANDIDATES)) == IceCandidates(
        session_id=BASE["session_id"],
        platform="",
        candidates=(IceCandidate("candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host", "0", 0),),
    )


def test_signal_of_flutter() -> None:
    """A signal of the first Flutter SDK: other order, no xmlns, its version as an extra field."""
    signal = decode_signal(
        read(
            "<message id='ABCDEFGHI' type='headline' to='4002-777@chat.local.test'><extraParams>"
            "<opponentsIDs><opponentID>4002</opponentID></opponentsIDs><moduleIdentifier>"
            "WebRTCVideoChat</moduleIdentifier><callerID>4001</callerID><callType>2</callType>"
            "<sessionID>1700000000000</sessionID><signalType>accept</signalType><platform>flutter"
            "</platform><version_sdk>1.1.3</version_sdk><userInfo><a>b</a></userInfo><sdp>v=0\r\n"
            "</sdp></extraParams></message>"
        )
    )
    assert signal == Accept(
        session_id="1700000000000",
        call_type=CallType.AUDIO_CALL,
        caller_id=4001,
        opponents_ids=(4002,),
        platform="flutter",
        user_info={"a": "b"},
        extra={"version_sdk": "1.1.3"},
        sdp="v=0\r\n",
    )


def test_single_candidate_of_flutter() -> None:
    """``iceCandidate`` carries one candidate directly; it reads as a list of one."""
    signal = decode(
        "<signalType>iceCandidate</signalType><sessionID>s</sessionID>"
        "<sdpMLineIndex>1</sdpMLineIndex><sdpMid>video</sdpMid><candidate>candidate:x</candidate>"
    )
    assert isinstance(signal, IceCandidates)
    assert signal.candidates == (IceCandidate("candidate:x", "video", 1),)
    assert signal.extra == {}


def test_restart_of_javascript() -> None:
    """An ICE restart of the JavaScript SDK has neither call type nor ids."""
    signal = decode(
        "<signalType>iceRestart</signalType><platform>web</platform><sessionID>s</sessionID>"
        "<sdp>v=0\r\n</sdp>"
    )
    assert signal == IceRestart(session_id="s", platform="web", sdp="v=0\r\n")


_IDS = st.integers(1, 10**18 - 1)
_WORDS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=20)
_TEXTS = _WORDS.filter(lambda text: text == text.strip())
_LONG_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda text: not re.search("[\ufffe\uffff]", text)
) | st.just(SDP)
_KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)
_USER_INFO = st.dictionaries(
    _KEYS, st.none() | _TEXTS | st.dictionaries(_KEYS, st.none() | _TEXTS, min_size=1), max_size=3
)
_EXTRA = st.dictionaries(_KEYS.map(lambda key: f"x{key}"), _TEXTS, max_size=2)
_CANDIDATES = st.builds(IceCandidate, _TEXTS, st.none() | _TEXTS, st.integers(0, 10**6))
_BASE = {
    "session_id": _TEXTS,
    "call_type": st.sampled_from(CallType),
    "caller_id": _IDS,
    "opponents_ids": st.lists(_IDS, max_size=5).map(tuple),
    "platform": _TEXTS,
    "user_info": _USER_INFO,
    "extra": _EXTRA,
}
_SIGNALS = st.one_of(
    *(st.builds(kind, **_BASE, sdp=_LONG_TEXTS) for kind in (Call, Accept)),
    *(st.builds(kind, **_BASE, sdp=_LONG_TEXTS) for kind in (IceRestart, IceRestartAccept)),
    *(st.builds(kind, **_BASE) for kind in (Reject, HangUp, Ringing, IceRestartRequest)),
    st.builds(Update, **_BASE, sdp=st.none() | _LONG_TEXTS, sdp_type=st.none() | _TEXTS),
    st.builds(IceCandidates, **_BASE, candidates=st.lists(_CANDIDATES, max_size=4).map(tuple)),
)


@given(_SIGNALS)
def test_round_trip(signal: Signal) -> None:
    """Every signal that we write passes the server's check and reads back as the same."""
    frame = encode_signal(signal, TO, ID)
    assert decode_signal(read(check(frame.encode()).frame)) == signal


@pytest.mark.parametrize(
    "signal",
    [
        Call(**BASE, sdp=SDP),
        Accept(**BASE, sdp=SDP),
        Reject(**BASE),
        HangUp(**BASE),
        IceCandidates(**BASE, candidates=()),
        IceRestart(**BASE, sdp=SDP),
        IceRestartAccept(**BASE, sdp=SDP),
        IceRestartRequest(**BASE),
        Ringing(**BASE),
        Update(**BASE),
    ],
    ids=lambda signal: type(signal).__name__,
)
def test_every_signal_has_every_base_field(signal: Signal) -> None:
    """All base fields go out with every signal, because some SDKs lose a signal without them."""
    message = read(encode_signal(signal, TO, ID, sender="4001-777@chat.local.test/r"))
    assert message.attributes == {
        "type": "headline",
        "id": ID,
        "to": TO,
        "from": "4001-777@chat.local.test/r",
    }
    written = message.child("extraParams")
    assert written is not None
    assert written.child_text("moduleIdentifier") == "WebRTCVideoChat"
    assert written.child_text("sessionID") == BASE["session_id"]
    assert written.child_text("callType") == "1"
    assert written.child_text("callerID") == "4001"
    assert written.child_text("platform") == "python"
    opponents = written.child("opponentsIDs")
    assert opponents is not None
    assert [each.text for each in opponents.children] == ["4002", "4003"]


def test_our_candidate_index_is_never_empty() -> None:
    """Index 0 goes out as ``0``: an empty one makes mobile SDKs lose the signal."""
    frame = encode_signal(IceCandidates(**BASE, candidates=(IceCandidate("c", "0", 0),)), TO, ID)
    assert "<sdpMLineIndex>0</sdpMLineIndex><sdpMid>0</sdpMid><candidate>c</candidate>" in frame


@pytest.mark.parametrize(
    "signal",
    [
        Call(session_id="s", sdp=SDP),
        Reject(**BASE | {"caller_id": None}),
        Reject(**BASE, user_info={"my key": "x"}),
        Reject(**BASE, user_info={"a": {"0": "x"}}),
        Reject(**BASE, extra={"sdp": "x"}),
        Reject(**BASE, extra={"a b": "x"}),
        Reject(**BASE, user_info={"a": "\x00"}),
        Call(**BASE, sdp="x" * MAX_FRAME_BYTES),
        Call(**BASE, sdp="&" * (MAX_FRAME_BYTES // 4)),
    ],
)
def test_unwritable_signal(signal: Signal) -> None:
    """A signal that others could not read is refused before it is sent."""
    with pytest.raises(SignalError):
        encode_signal(signal, TO, ID)


@pytest.mark.parametrize(
    "frame",
    [
        "<message type='headline'/>",
        "<message type='chat'><extraParams><moduleIdentifier>WebRTCVideoChat</moduleIdentifier>"
        "<signalType>hangUp</signalType><sessionID>s</sessionID></extraParams></message>",
        "<message type='headline'><extraParams><moduleIdentifier>SystemNotifications"
        "</moduleIdentifier></extraParams></message>",
        "<message type='headline'><extraParams/></message>",
        "<message type='headline'><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>"
        "<extraParams><moduleIdentifier>WebRTCVideoChat</moduleIdentifier><signalType>hangUp"
        "</signalType><sessionID>s</sessionID></extraParams></message>",
        params("<signalType>addUser</signalType><sessionID>s</sessionID>"),
    ],
    ids=["no params", "chat", "system message", "no module", "delayed", "unknown type"],
)
def test_no_signal_for_us(frame: str) -> None:
    """Messages that are no call signals, stale ones and unknown types are passed over."""
    assert decode_signal(read(frame)) is None


@pytest.mark.parametrize(
    "fields",
    [
        "<sessionID>s</sessionID>",
        "<signalType>hangUp</signalType>",
        "<signalType>hangUp</signalType><sessionID> </sessionID>",
        CALL_FIELDS,
        CALL_FIELDS + "<sdp></sdp>",
        CALL_FIELDS + "<sdp>v</sdp><callerID>x</callerID>",
        CALL_FIELDS + "<sdp>v</sdp><callerID>-1</callerID>",
        CALL_FIELDS + "<sdp>v</sdp><callerID>1e3</callerID>",
        CALL_FIELDS + "<sdp>v</sdp><callerID>²</callerID>",
        CALL_FIELDS + f"<sdp>v</sdp><callerID>{'9' * 5000}</callerID>",
        CALL_FIELDS + "<sdp>v</sdp><opponentsIDs><opponentID>x</opponentID></opponentsIDs>",
        CALL_FIELDS + f"<sdp>v</sdp><platform>{'x' * (MAX_FIELD_LENGTH + 1)}</platform>",
        CALL_FIELDS
        + "<sdp>v</sdp><opponentsIDs>"
        + "<opponentID>1</opponentID>" * (MAX_OPPONENTS + 1)
        + "</opponentsIDs>",
        CALL_FIELDS
        + "<sdp>v</sdp><userInfo>"
        + "<a>" * (MAX_USER_INFO_DEPTH + 1)
        + "</a>" * (MAX_USER_INFO_DEPTH + 1)
        + "</userInfo>",
        "<signalType>iceCandidates</signalType><sessionID>s</sessionID>",
        "<signalType>iceCandidates</signalType><sessionID>s</sessionID><iceCandidates><i>"
        "<candidate>c</candidate><sdpMLineIndex>x</sdpMLineIndex></i></iceCandidates>",
        "<signalType>iceCandidates</signalType><sessionID>s</sessionID><iceCandidates>"
        + "<i><candidate>c</candidate></i>" * (MAX_CANDIDATES + 1)
        + "</iceCandidates>",
    ],
)
def test_broken_signal(fields: str) -> None:
    """A call signal that breaks the rules is refused with the documented error."""
    with pytest.raises(SignalError):
        decode(fields)


def test_leniency() -> None:
    """Unknown call types, missing ids and ids of 0 are no errors: other SDKs send them."""
    signal = decode(
        "<signalType>hangUp</signalType><sessionID>s</sessionID><callType>7</callType>"
        "<callerID>0</callerID><opponentsIDs><opponentID></opponentID><opponentID> 5 </opponentID>"
        "</opponentsIDs><custom>text</custom><nested><x/></nested>"
    )
    assert signal == HangUp(
        session_id="s", opponents_ids=(5,), platform="", extra={"custom": "text"}
    )


def test_empty_candidates_are_skipped() -> None:
    """An empty candidate, which some browsers emit at the end, does not come through."""
    signal = decode(
        "<signalType>iceCandidates</signalType><sessionID>s</sessionID><iceCandidates>"
        "<iceCandidate><candidate></candidate></iceCandidate><iceCandidate/>"
        "<iceCandidate><candidate>c</candidate></iceCandidate></iceCandidates>"
    )
    assert isinstance(signal, IceCandidates)
    assert signal.candidates == (IceCandidate("c"),)


_FIELD_NAMES = st.sampled_from(
    [
        *("signalType", "sessionID", "callType", "callerID", "opponentsIDs", "opponentID"),
        *("userInfo", "sdp", "sdpType", "iceCandidates", "iceCandidate", "sdpMLineIndex", "sdpMid"),
        *("candidate", "platform", "moduleIdentifier", "x"),
    ]
)
_FIELD_TEXTS = st.text(max_size=5) | st.sampled_from(
    ["call", "accept", "iceCandidates", "iceCandidate", "update", "hangUp", "1", "-1", "9" * 30]
)
_FIELDS = st.recursive(
    st.builds(lambda name, text: Element(name, text=text), _FIELD_NAMES, _FIELD_TEXTS),
    lambda inner: st.builds(
        lambda name, children: Element(name, children=children),
        _FIELD_NAMES,
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)


@given(st.sampled_from(["call", "iceCandidates", "hangUp", "iceCandidate"]), st.lists(_FIELDS))
def test_only_documented_errors(signal_type: str, fields: list[Element]) -> None:
    """Whatever is in a signal, it is decoded or refused with SignalError."""
    first = [Element("moduleIdentifier", text="WebRTCVideoChat")]
    first += [Element("signalType", text=signal_type), Element("sessionID", text="s")]
    message = Element(
        "message", None, {"type": "headline"}, [Element("extraParams", children=first + fields)]
    )
    try:
        signal = decode_signal(message)
    except SignalError:
        return
    assert isinstance(signal, Signal)


def test_no_white_space_between_elements() -> None:
    """White space between elements breaks SDKs, so there is none."""
    frame = encode_signal(Reject(**BASE, user_info={"busy": "true"}), TO, ID)
    assert not re.search(r">\s+<", frame)
    assert write(read(frame)) == frame


def system_message(*fields: str) -> Element:
    """A message of an application, with these fields."""
    module = "<moduleIdentifier>SystemNotifications</moduleIdentifier>"
    params = f"<extraParams>{module}{''.join(fields)}</extraParams>"
    return read(f"<message type='headline'>{params}</message>")


@pytest.mark.parametrize("recording", [True, False])
def test_recording_notice(recording: bool) -> None:
    """It is a system message of two fields, which call logic of SDKs does not look at."""
    notice = RecordingNotice(session_id="s-1", recording=recording)
    message = read(encode_signal(notice, TO, ID))
    assert decode_signal(message) == notice
    params = message.child("extraParams")
    assert params is not None
    assert {each.name: each.text for each in params.children} == {
        "moduleIdentifier": "SystemNotifications",
        "call": "s-1",
        "recording": "on" if recording else "off",
    }


@pytest.mark.parametrize(
    "fields",
    [
        ("<call>s</call>",),
        ("<recording>on</recording>",),
        ("<call/>", "<recording>on</recording>"),
        ("<call>s</call>", "<recording>yes</recording>"),
        ("<call>s</call>", "<mic>off</mic>", "<screen>on</screen>"),
    ],
)
def test_other_system_messages_are_the_applications(fields: tuple[str, ...]) -> None:
    """What is not exactly a notice is left to whom it is for."""
    assert decode_signal(system_message(*fields)) is None


def test_a_notice_for_an_endless_session_id_is_refused() -> None:
    """The bound of all short fields holds."""
    long = "s" * (MAX_FIELD_LENGTH + 1)
    with pytest.raises(SignalError):
        decode_signal(system_message(f"<call>{long}</call>", "<recording>on</recording>"))
