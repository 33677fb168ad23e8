"""Call signals as XML: headline messages with ``<extraParams>``; docs/protocol.md has them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ringmesh.errors import SignalError, StanzaError
from ringmesh.ice import IceCandidate
from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.element import MAX_FRAME_BYTES, Element, is_name, write
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
    ScreenNotice,
    Signal,
    Update,
    UserInfo,
)

CALL_MODULE = "WebRTCVideoChat"
SYSTEM_MODULE = "SystemNotifications"
"""Values of ``moduleIdentifier``: call signals, and messages of the application itself."""

MAX_OPPONENTS = 64
MAX_CANDIDATES = 256
MAX_USER_INFO_DEPTH = 16
MAX_FIELD_LENGTH = 1024
"""Limits of a signal that is read; the last one in characters, for all but SDP and user info."""

_ON, _OFF = "on", "off"
_TYPES: dict[str, type[Signal]] = {
    "call": Call,
    "accept": Accept,
    "reject": Reject,
    "hangUp": HangUp,
    "iceCandidates": IceCandidates,
    "iceRestart": IceRestart,
    "iceRestartAccept": IceRestartAccept,
    "iceRestartRequest": IceRestartRequest,
    "ringing": Ringing,
    "update": Update,
}
_NAMES = {signal_type: name for name, signal_type in _TYPES.items()}
_FIELDS = {
    "moduleIdentifier",
    "signalType",
    "sessionID",
    "callType",
    "callerID",
    "opponentsIDs",
    "platform",
    "userInfo",
    "sdp",
    "sdpType",
    "iceCandidates",
    "sdpMLineIndex",
    "sdpMid",
    "candidate",
}


def encode_signal(signal: Signal, to: str, message_id: str, *, sender: str | None = None) -> str:
    """Write a signal as one message frame.

    Args:
        to: address of the receiver; bare, so that all devices of the user get it.
        message_id: 24 hexadecimal characters.
        sender: `from` address; None where the server stamps it.

    Raises:
        SignalError: a base field is missing, a key or text cannot be written, or it gets too long.
    """
    attributes = {"type": "headline", "id": message_id, "to": to}
    if sender is not None:
        attributes["from"] = sender
    params = Element("extraParams", ns.CLIENT, children=_params(signal))
    try:
        frame = write(Element("message", ns.CLIENT, attributes, [params]))
    except StanzaError as error:
        raise SignalError(f"signal that cannot be written: {error}") from None
    if len(frame.encode()) > MAX_FRAME_BYTES:
        raise SignalError(f"signal longer than {MAX_FRAME_BYTES} octets")
    return frame


def decode_signal(message: Element) -> Signal | None:
    """Read a message as a call signal; None if it is none, is stale or of an unknown type.

    Raises:
        SignalError: it claims to be a call signal but breaks the rules.
    """
    params = message.child("extraParams")
    if message.get("type") != "headline" or params is None or message.child("delay"):
        return None
    module = params.child_text("moduleIdentifier")
    if module == SYSTEM_MODULE:
        return _notice(params)
    if module != CALL_MODULE:
        return None
    name = _field(params, "signalType")
    if name == "iceCandidate":  # one candidate, written without the list around it
        return IceCandidates(candidates=_candidates([params]), **_base_fields(params))
    signal_type = _TYPES.get(name)
    if signal_type is None:
        return None
    own_fields = _OWN_FIELDS.get(signal_type, _no_fields)
    return signal_type(**_base_fields(params), **own_fields(params))


# --- writing


def _params(signal: Signal) -> list[Element]:
    if isinstance(signal, RecordingNotice):
        return _notice_params(signal, "recording", on=signal.recording)
    if isinstance(signal, ScreenNotice):
        return _notice_params(signal, "screen", on=signal.sharing)
    if signal.call_type is None or signal.caller_id is None:
        raise SignalError("a signal is sent with its call type and caller id")
    opponents = [Element("opponentID", text=str(each)) for each in signal.opponents_ids]
    params = [
        Element("moduleIdentifier", text=CALL_MODULE),
        Element("signalType", text=_NAMES[type(signal)]),
        Element("sessionID", text=signal.session_id),
        Element("callType", text=str(int(signal.call_type))),
        Element("callerID", text=str(signal.caller_id)),
        Element("opponentsIDs", children=opponents),
        Element("platform", text=signal.platform),
    ]
    for name, value in signal.extra.items():
        if name in _FIELDS or not is_name(name):
            raise SignalError(f"{name!r} cannot be the name of an extra field")
        params.append(Element(name, text=value))
    if signal.user_info:
        params.append(Element("userInfo", children=_user_info_elements(signal.user_info)))
    if isinstance(signal, IceCandidates):
        candidates = [_candidate_element(each) for each in signal.candidates]
        params.append(Element("iceCandidates", children=candidates))
    elif isinstance(signal, Call | Accept | IceRestart | IceRestartAccept | Update):
        params += _description_elements(signal)
    return params


def _notice_params(notice: Signal, field: str, *, on: bool) -> list[Element]:
    return [
        Element("moduleIdentifier", text=SYSTEM_MODULE),
        Element("call", text=notice.session_id),
        Element(field, text=_ON if on else _OFF),
    ]


def _description_elements(
    signal: Call | Accept | IceRestart | IceRestartAccept | Update,
) -> list[Element]:
    elements = [] if signal.sdp is None else [Element("sdp", text=signal.sdp)]
    if isinstance(signal, Update) and signal.sdp_type is not None:
        elements.append(Element("sdpType", text=signal.sdp_type))
    return elements


def _candidate_element(candidate: IceCandidate) -> Element:
    return Element(
        "iceCandidate",
        children=[
            Element("sdpMLineIndex", text=str(candidate.sdp_mline_index)),
            Element("sdpMid", text=candidate.sdp_mid or ""),
            Element("candidate", text=candidate.candidate),
        ],
    )


def _user_info_elements(user_info: UserInfo, depth: int = 1) -> list[Element]:
    elements = []
    for key, value in user_info.items():
        if not is_name(key):
            raise SignalError(f"user info key {key!r} is not an XML name")
        if depth > MAX_USER_INFO_DEPTH:
            raise SignalError(f"user info nested deeper than {MAX_USER_INFO_DEPTH} levels")
        element = Element(key)
        if isinstance(value, str):
            element.text = value
        elif value is not None:
            element.children = _user_info_elements(value, depth + 1)
        elements.append(element)
    return elements


# --- reading


def _notice(params: Element) -> RecordingNotice | None:
    """A system message as a notice; None where it is the application's own."""
    call, recording = params.child_text("call"), params.child_text("recording")
    if not call or recording not in (_ON, _OFF):
        return None
    return RecordingNotice(session_id=_short(call), recording=recording == _ON)


def _base_fields(params: Element) -> dict[str, Any]:
    opponents = params.child("opponentsIDs")
    ids = [] if opponents is None else opponents.children
    if len(ids) > MAX_OPPONENTS:
        raise SignalError(f"more than {MAX_OPPONENTS} opponents")
    user_info = params.child("userInfo")
    return {
        "session_id": _field(params, "sessionID"),
        "call_type": _call_type(_short(params.child_text("callType"))),
        "caller_id": _user_id(params.child_text("callerID")),
        "opponents_ids": tuple(
            user_id for each in ids if (user_id := _user_id(each.text)) is not None
        ),
        "platform": _short(params.child_text("platform")),
        "user_info": {} if user_info is None else _user_info(user_info),
        "extra": {
            each.name: each.text
            for each in params.children
            if each.name not in _FIELDS and not each.children
        },
    }


def _sdp_field(params: Element) -> dict[str, Any]:
    sdp = params.child_text("sdp")
    if not sdp:
        raise SignalError("signal without its session description")
    return {"sdp": sdp}


def _update_fields(params: Element) -> dict[str, Any]:
    sdp_type = _short(params.child_text("sdpType"))
    return {"sdp": params.child_text("sdp") or None, "sdp_type": sdp_type or None}


def _candidates_field(params: Element) -> dict[str, Any]:
    listed = params.child("iceCandidates")
    if listed is None:
        raise SignalError("signal without its ICE candidates")
    return {"candidates": _candidates(listed.children)}


def _no_fields(_params: Element) -> dict[str, Any]:
    return {}


_OWN_FIELDS: dict[type[Signal], Callable[[Element], dict[str, Any]]] = {
    Call: _sdp_field,
    Accept: _sdp_field,
    IceRestart: _sdp_field,
    IceRestartAccept: _sdp_field,
    IceCandidates: _candidates_field,
    Update: _update_fields,
}


def _candidates(elements: Iterable[Element]) -> tuple[IceCandidate, ...]:
    """The candidates that have text: an empty one means the end of gathering, and is skipped."""
    candidates = tuple(
        IceCandidate(
            candidate=text,
            sdp_mid=_short(each.child_text("sdpMid")) or None,
            # JavaScript SDKs write index 0 as an empty element.
            sdp_mline_index=_number(each.child_text("sdpMLineIndex")) or 0,
        )
        for each in elements
        if (text := _short(each.child_text("candidate")))
    )
    if len(candidates) > MAX_CANDIDATES:
        raise SignalError(f"more than {MAX_CANDIDATES} ICE candidates")
    return candidates


def _user_info(element: Element, depth: int = 1) -> dict[str, str | UserInfo | None]:
    if depth > MAX_USER_INFO_DEPTH:
        raise SignalError(f"user info nested deeper than {MAX_USER_INFO_DEPTH} levels")
    return {
        each.name: _user_info(each, depth + 1) if each.children else each.text or None
        for each in element.children
    }


def _field(params: Element, name: str) -> str:
    text = _short(params.child_text(name))
    if not text:
        raise SignalError(f"signal without {name}")
    return text


def _short(text: str | None) -> str:
    """The text of a field, empty where it is missing."""
    if text is None:
        return ""
    if len(text) > MAX_FIELD_LENGTH:
        raise SignalError(f"field longer than {MAX_FIELD_LENGTH} characters")
    return text.strip()


def _number(text: str | None) -> int | None:
    """A decimal number, or None where it is missing or empty."""
    digits = _short(text)
    if not digits:
        return None
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise SignalError("field that should be a number")
    return int(digits)


def _user_id(text: str | None) -> int | None:
    return _number(text) or None  # some SDKs write a missing id as 0


def _call_type(text: str) -> CallType | None:
    """Unknown types are taken for video by other SDKs, so they are no error here."""
    return CallType(int(text)) if text in ("1", "2") else None
