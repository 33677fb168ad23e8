"""The server's hot path: is a frame exactly one element that is safe to forward, and who is it for?

What passes is forwarded in the sender's own bytes, with a start tag that names the true sender,
so this check is what makes injection impossible. A fresh expat parser reads each frame, of
which only the first start tag reaches Python. Where expat refuses a name that JavaScript SDKs
make from object keys (``<0>``), the lenient reader decides, which is as strict otherwise.

The receivers' parsers are not conforming ones, so what is well-formed must also mean the same to
them: see the rules on prefixes, names and CDATA.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pyexpat import ExpatError, ParserCreate, XMLParserType
from typing import NoReturn

from ringmesh.errors import StanzaError
from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.element import (
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_FRAME_BYTES,
    Element,
    escape_attribute,
    read,
    write,
)

_INVALID_TOKEN = 4  # expat's code for a malformed name, among others
_UNMEASURED_BYTES = len(b"<a></a>") * MAX_DEPTH  # a shorter frame is never too deep
_NAME = re.compile(rb"<([A-Za-z_][\w.:-]*+)(?=[ \t\r\n/>])")
_ATTRIBUTE = re.compile(rb"""[ \t\r\n]++([^\s=]++)\s*+=\s*+("[^"]*+"|'[^']*+')""")
_PLAIN_TAG = re.compile(rb'<[a-z]++(?: [a-z]++="[^"]*+")*+ ?/?>')
_PLAIN_BYTES = len(b"<a/>") * MAX_ELEMENTS  # a shorter frame never has too many elements
_PLAIN_DEPTH = 5
_PLAIN_NAME_END = len(b"<message")
_PLAIN_ATTRIBUTE = re.compile(r' ([a-z]+)="([^"]*)"')
_DECLARATION = re.compile(rb"<\?xml[ \t\r\n][^<>?]*+\?>[ \t\r\n]*+")
_RELAYED_NAME = re.compile(r"[\w.-]++")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*+")
_STRANGE_CHARACTER = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(slots=True)
class CheckedStanza:
    """A frame that passed `check`.

    Attributes:
        name: local name of the element.
        xmlns: its namespace; ``jabber:client`` where the sender wrote none.
        attributes: unprefixed attributes of the start tag, decoded.
        frame: the element's bytes, without white space around them.
        name_end: where the attributes begin in `frame`.
        names_xmlns: whether the start tag itself declares the namespace.
    """

    name: str
    xmlns: str
    attributes: dict[str, str]
    frame: bytes
    name_end: int
    names_xmlns: bool


def check(frame: bytes) -> CheckedStanza:
    """Check one frame from a client.

    Raises:
        StanzaError: it is not exactly one well-formed, bounded element without DTD,
            processing instruction and comment, or it forges a carbon copy.
    """
    if len(frame) <= _PLAIN_BYTES and (match := _PLAIN_MESSAGE.fullmatch(frame)):
        found = _PLAIN_ATTRIBUTE.findall(match[1].decode())
        attributes = dict(found)
        if len(attributes) == len(found) <= MAX_ATTRIBUTES:
            xmlns = attributes.pop("xmlns", None)
            if xmlns is None or xmlns == ns.CLIENT:
                return CheckedStanza(
                    "message", ns.CLIENT, attributes, frame, _PLAIN_NAME_END, xmlns is not None
                )
    return _check_any(frame)


def stamp(stanza: CheckedStanza, from_jid: str, to: str | None = None) -> bytes:
    """The frame to forward: `from` set, `to` replaced if given, all else as the sender wrote it."""
    frame, end, attributes = stanza.frame, stanza.name_end, stanza.attributes
    if to is None and stanza.names_xmlns and "from" not in attributes:
        name = frame[:end]
        return frame.replace(name, name + _sender(from_jid), 1)
    added = _sender(from_jid).decode()
    if to is not None:
        added += f' to="{escape_attribute(to)}"'
    if not stanza.names_xmlns:
        added += f' xmlns="{ns.CLIENT}"'
    if "from" in attributes or (to is not None and "to" in attributes):
        replaced = (b"from",) if to is None else (b"from", b"to")
        for match in _attributes(frame, end):
            if match[1] not in replaced:
                added += match[0].decode()
            end = match.end()
    return b"".join((frame[: stanza.name_end], added.encode(), frame[end:]))


@lru_cache(maxsize=16384)  # one entry per device that is sending
def _sender(jid: str) -> bytes:
    return f' from="{escape_attribute(jid)}"'.encode()


def _plain_message() -> re.Pattern[bytes]:
    """A message as SDKs mostly write it, in ASCII: no prefixes, no namespace but the stanza's,
    attributes only on the message, only usual references, no CDATA, comment or processing
    instruction.

    What `check` accepts because of it, `_check_any` accepts with the same result. It exists because
    expat costs a server that is not busy, whose caches have been used by others since the last
    frame, several times what it costs in a loop.

    Nothing in the pattern can give back what it took, so matching takes linear time.
    """
    characters = rb"[\t\n\r -%'-;=?-~]*+"
    # Ends of SDP lines come first: the order is a third of the time that an offer takes.
    reference = rb"&(?:#xD|amp|lt|gt|quot|apos|#(?:x[Aad]|1[03]|9));"
    text = rb"%b(?:%b%b)*+" % (characters, reference, characters)
    xmlns = rb'(?: xmlns="%b")?+' % ns.CLIENT.encode()
    forged = rb"(?!sent[ />])"  # carbons come from servers only
    children = rb""
    for depth in range(_PLAIN_DEPTH, 0, -1):
        name = rb"(?P<n%d>%b[A-Za-z_][A-Za-z0-9_.-]*+)" % (depth, forged if depth == 1 else b"")
        content = rb">%b%b</(?P=n%d)>" % (text, children, depth)
        element = rb"<%b%b(?:/>|%b)" % (name, xmlns, content)
        children = rb"(?:%b%b)*+" % (element, text)
    attribute = rb""" [a-z]++="[ !#-%'-;=-~]*+\""""
    return re.compile(rb"<message((?:%b)*+)>%b</message>" % (attribute, children))


_PLAIN_MESSAGE = _plain_message()


def _check_any(frame: bytes) -> CheckedStanza:
    if len(frame) > MAX_FRAME_BYTES:
        raise StanzaError(f"frame longer than {MAX_FRAME_BYTES} octets")
    frame = frame.strip(b" \t\r\n")
    if declaration := _DECLARATION.match(frame):
        frame = frame[declaration.end() :]
    try:
        return _check_legal(frame)
    except ExpatError as error:
        if error.code != _INVALID_TOKEN:
            raise StanzaError(str(error)) from None
    return _check_leniently(frame)


def _check_legal(frame: bytes) -> CheckedStanza:
    tag = _NAME.match(frame)
    if tag is None:  # besides, expat takes no such frame for UTF-16
        raise StanzaError("frame that does not begin with a tag")
    name, attributes = _parse(frame)
    if b"!" in frame and b"<![CDATA[" in frame:  # some SDKs cannot read it
        return _rewritten(read(frame))
    xmlns, _, name = name.rpartition(" ")
    stanza = CheckedStanza(name, xmlns or ns.CLIENT, attributes, frame, tag.end(), xmlns != "")
    if not xmlns or not _PLAIN_TAG.match(frame):
        _check_start_tag(stanza)
    if len(attributes) > MAX_ATTRIBUTES:
        raise StanzaError("too many attributes")
    if frame.rfind(b"forwarded") >= 0:
        _check_carbon(read(frame))
    return stanza


def _parse(frame: bytes) -> tuple[str, dict[str, str]]:
    """Name and attributes of the first tag of a frame that is well-formed and bounded."""
    parser = ParserCreate("utf-8", " ")
    root: list[tuple[str, dict[str, str]]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        root.append((name, attributes))
        parser.StartElementHandler = None
        if len(frame) > _UNMEASURED_BYTES:
            _bound(frame, parser)

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = _refuse
    parser.ProcessingInstructionHandler = _refuse
    parser.CommentHandler = _refuse
    parser.Parse(frame, True)
    return root[0]


def _refuse(*_: object) -> NoReturn:
    raise StanzaError("DTD, processing instruction or comment")


def _bound(frame: bytes, parser: XMLParserType) -> None:
    """Refuse too many elements; have the parser measure the depth where it may be too much."""
    tags = frame.count(b"<")
    if tags > 2 * MAX_ELEMENTS:
        raise StanzaError("frame with too many elements")
    if tags <= 2 * MAX_DEPTH:
        return
    depth = 1

    def start(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise StanzaError("frame that is too deep")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler = start
    parser.EndElementHandler = end


def _attributes(frame: bytes, pos: int) -> Iterator[re.Match[bytes]]:
    """The attributes of a start tag that is known to be well-formed, as written."""
    while match := _ATTRIBUTE.match(frame, pos):
        yield match
        pos = match.end()


def _check_start_tag(stanza: CheckedStanza) -> None:
    """Refuse prefixes on a stanza: some SDKs drop them, and would read ``x:from`` as `from`."""
    if stanza.xmlns != ns.CLIENT:
        return
    for match in _attributes(stanza.frame, stanza.name_end):
        if b":" in match[1] and match[1] != b"xml:lang":
            raise StanzaError("prefix on a stanza")
        if match[1] == b"xmlns" and not stanza.names_xmlns:
            raise StanzaError("stanza in no namespace")


def _check_carbon(root: Element) -> None:
    """Refuse what only a server may send: some SDKs believe the `from` inside without a look."""
    if root.child("sent"):
        raise StanzaError("forged carbon copy")


def _check_leniently(frame: bytes) -> CheckedStanza:
    root = read(frame)
    tag = _NAME.match(frame)
    if tag is None or not all(_RELAYED_NAME.fullmatch(each.name) for each in _walk(root)):
        return _rewritten(root)
    name_end = tag.end()
    names_xmlns = any(match[1] == b"xmlns" for match in _attributes(frame, name_end))
    stanza = CheckedStanza(
        root.name, root.xmlns or "", root.attributes, frame, name_end, names_xmlns
    )
    _check_start_tag(stanza)
    _check_carbon(root)
    return stanza


def _rewritten(root: Element) -> CheckedStanza:
    """The check of the same element in the writer's plain form.

    A blank, ``!`` or ``?`` in a name derails the parser of the JavaScript SDK, though it writes
    such names: a receiver would read the rest of the frame as something else.
    """
    for each in _walk(root):
        if not _PLAIN_NAME.fullmatch(each.name):
            name = _STRANGE_CHARACTER.sub("_", each.name)
            each.name = name if _PLAIN_NAME.fullmatch(name) else f"_{name}"
    frame = write(root).encode()
    if len(frame) > MAX_FRAME_BYTES:
        raise StanzaError(f"frame longer than {MAX_FRAME_BYTES} octets")
    try:
        return _check_legal(frame)
    except ExpatError as error:
        raise StanzaError(str(error)) from None


def _walk(root: Element) -> Iterator[Element]:
    pending = [root]
    while pending:
        each = pending.pop()
        pending += each.children
        yield each
