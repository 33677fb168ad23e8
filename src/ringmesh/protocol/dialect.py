"""Two dialects of XML in one call: what the JavaScript SDK writes, and what native SDKs can read.

The JavaScript SDK makes element names of object keys and array indexes (``<0>``), and writes
index 0 of a media line as an empty element. Native parsers stop for ever at such a name, and lose
all candidates over such an index. `legal_form` says the same so that every parser reads it:

* a name that is no XML name: other characters than letters, digits, ``_``, ``-`` and ``.`` become
  ``_``, and one that does not begin with a letter or ``_`` gets a ``_`` before it: ``<_0>``;
* an attribute with such a name, and names that only the newest edition of XML allows, likewise or
  not at all;
* elements called ``stream`` or ``features``, which one SDK takes for its stream's own at any depth:
  ``_stream``, ``_features``;
* the text ``stream:stream``, which that SDK takes for the beginning of a stream even inside of a
  message: its colon as a reference;
* an empty ``sdpMLineIndex``: ``0``;
* a signal without ``callType``, ``callerID`` or ``opponentsIDs``, as the JavaScript SDK writes ICE
  restarts: these are added if the server remembers the call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pyexpat import ExpatError, ParserCreate

from ringmesh.protocol.element import Element, read, write

_STRANGE = re.compile(
    rb"<(?:[^A-Za-z_/]|stream[\s/>:]|features[\s/>]|sdpMLineIndex(?:\s*+/>|>\s*+</))"
)
_STRANGE_ELEMENT = re.compile(rb"<(?:[^A-Za-z_/]|stream[\s/>:]|features[\s/>])")
_EMPTY_INDEX = re.compile(rb"<sdpMLineIndex(?:\s*+/>|>\s*+</sdpMLineIndex\s*+>)")
_INDEX_ZERO = b"<sdpMLineIndex>0</sdpMLineIndex>"
_STREAM = b"stream:stream"
_HARMLESS_STREAM = b"stream&#58;stream"
_SIGNAL = b">WebRTCVideoChat<"
_SESSION_END = b"</sessionID>"
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*+")
_STRANGE_CHARACTER = re.compile(r"[^A-Za-z0-9_.-]")
_RESERVED = frozenset({"stream", "features"})


@dataclass(frozen=True, slots=True)
class BaseFields:
    """What every signal of a call should say about it."""

    caller_id: int
    call_type: int
    opponents_ids: tuple[int, ...]


def is_legal_form(stanza: bytes) -> bool:
    """Whether a checked message can go to native SDKs as it is. Most can, so this is quick: `find`,
    because ``in`` makes and drops an exception each time."""
    return not (
        _STRANGE.search(stanza)
        or stanza.find(_STREAM) >= 0
        or _lacks_base_fields(stanza)
        or not (stanza.isascii() or _is_read_by_expat(stanza))
    )


def legal_form(stanza: bytes, base: BaseFields | None = None) -> bytes:
    """A checked message as native SDKs can read it.

    Args:
        base: of its call, if that is known.
    """
    if _STRANGE_ELEMENT.search(stanza) or not _is_read_by_expat(stanza):
        stanza = write(_renamed(read(stanza))).encode()
    stanza = _EMPTY_INDEX.sub(_INDEX_ZERO, stanza)
    if _STREAM in stanza:
        stanza = stanza.replace(_STREAM, _HARMLESS_STREAM)
    if base is not None and _lacks_base_fields(stanza):
        stanza = _with_base_fields(stanza, base)
    return stanza


def _renamed(root: Element) -> Element:
    pending = [root]
    while pending:
        each = pending.pop()
        pending += each.children
        if not _PLAIN_NAME.fullmatch(each.name):
            name = _STRANGE_CHARACTER.sub("_", each.name)
            each.name = name if _PLAIN_NAME.fullmatch(name) else f"_{name}"
        elif each.name in _RESERVED:
            each.name = f"_{each.name}"
        each.attributes = {name: value for name, value in each.attributes.items() if name.isascii()}
    return root


def _is_read_by_expat(stanza: bytes) -> bool:
    """Names are of an older edition of XML there, as in many parsers."""
    try:
        ParserCreate("utf-8").Parse(stanza, True)
    except ExpatError:
        return False
    return True


def _lacks_base_fields(stanza: bytes) -> bool:
    has_all = stanza.find(b"<callerID") >= 0 and stanza.find(b"<callType") >= 0
    return not has_all and stanza.find(_SIGNAL) >= 0


def _with_base_fields(stanza: bytes, base: BaseFields) -> bytes:
    """Written behind the session id, of which there is one."""
    opponents = "".join(f"<opponentID>{each}</opponentID>" for each in base.opponents_ids)
    fields = {
        b"<callType": f"<callType>{base.call_type}</callType>",
        b"<callerID": f"<callerID>{base.caller_id}</callerID>",
        b"<opponentsIDs": f"<opponentsIDs>{opponents}</opponentsIDs>",
    }
    missing = "".join(text for mark, text in fields.items() if mark not in stanza)
    return stanza.replace(_SESSION_END, _SESSION_END + missing.encode(), 1)
