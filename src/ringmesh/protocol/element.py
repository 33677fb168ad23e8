"""A small XML element, its reader and its writer.

The reader takes one element from one frame. It is as strict as XML 1.0 and its namespaces ask,
except that it accepts the element names that JavaScript SDKs make from the keys of an object,
such as ``<0>``, ``<1st>`` or ``<my key>``, and that it leaves line ends in text as they are. DTDs,
processing instructions and comments are refused (RFC 6120 section 11.1), and so is anything
beyond the limits below.

The writer writes only legal names, no white space between elements, and CR as a reference,
because a conforming reader would turn CR LF into LF.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ringmesh.errors import StanzaError
from ringmesh.protocol import namespaces as ns

MAX_FRAME_BYTES = 65536
MAX_RECEIVED_BYTES = 2 * MAX_FRAME_BYTES
MAX_DEPTH = 512
MAX_ELEMENTS = 2048
MAX_ATTRIBUTES = 64
"""Limits per frame, and for attributes per element; beyond them a frame is refused.

A client may send `MAX_FRAME_BYTES`, and must be able to receive `MAX_RECEIVED_BYTES`, because the
server adds addresses to what it forwards.
"""

_XML_NS = "http://www.w3.org/XML/1998/namespace"
_XMLNS_NS = "http://www.w3.org/2000/xmlns/"

# XML 1.0 (fifth edition) section 2.3, without the colon.
_START = (
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d"
    "\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NCNAME = f"[{_START}][{_START}\\-.0-9\u00b7\u0300-\u036f\u203f-\u2040]*+"
_QNAME = f"{_NCNAME}(?::{_NCNAME})?+"
_WS = "[ \t\r\n]"
_LEGAL_NAME = re.compile(_NCNAME)
_ATTRIBUTE = re.compile(f"{_WS}++({_QNAME}){_WS}*+={_WS}*+(\"[^<\"]*+\"|'[^<']*+')")
_START_TAG = re.compile(f"<({_QNAME})((?:{_ATTRIBUTE.pattern})*+){_WS}*+(/?+)>")
_LENIENT_TAG = re.compile(r"<([^<>/=\"'&:!?\x00-\x20\x7f][^<>/=\"'&:\x00-\x1f\x7f]*+)(/?+)>")
_REFUSED_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos);|#([0-9]{1,10});|#x([0-9A-Fa-f]{1,8});)?+")
_DECLARATION = re.compile(r"<\?xml[ \t\r\n][^<>?]*+\?>[ \t\r\n]*+")
_ATTRIBUTE_SPACE = re.compile("\r\n|[\t\r\n]")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}

_OUTER_PREFIXES = {"": ns.CLIENT, "xml": _XML_NS}
_TEXT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE_ESCAPES = _TEXT_ESCAPES | str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})


@dataclass(slots=True)
class Element:
    """One XML element.

    Attributes:
        name: local name, without prefix.
        xmlns: namespace; None on an element to be written means its parent's, and
            ``jabber:client`` at the top.
        attributes: unprefixed attributes and ``xml:lang``; those of other namespaces are
            dropped on reading.
        children: child elements in order.
        text: its own text; where text and children are mixed, the pieces joined.
    """

    name: str
    xmlns: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def get(self, name: str) -> str | None:
        """The value of an attribute, or None."""
        return self.attributes.get(name)

    def child(self, name: str, xmlns: str | None = None) -> Element | None:
        """The first child of that name (and namespace, if given), or None."""
        for child in self.children:
            if child.name == name and xmlns in (None, child.xmlns):
                return child
        return None

    def child_text(self, name: str) -> str | None:
        """The text of the first child of that name, or None where there is no such child."""
        child = self.child(name)
        return None if child is None else child.text


def read(frame: str | bytes) -> Element:
    """Read a frame that holds exactly one element; white space around it is ignored.

    An element without any namespace is taken to be in ``jabber:client``.

    Raises:
        StanzaError: it is not one well-formed element within the limits.
    """
    return _Reader(_decode(frame)).read()


def write(element: Element) -> str:
    """Write an element as one line of text.

    Raises:
        StanzaError: a name is not an XML name, or text holds a character that XML refuses.
    """
    parts: list[str] = []
    pending: list[tuple[Element, str | None] | str] = [(element, None)]
    while pending:
        step = pending.pop()
        if isinstance(step, str):
            parts.append(step)
            continue
        element, parent_xmlns = step
        xmlns = element.xmlns if element.xmlns is not None else parent_xmlns or ns.CLIENT
        parts.append(_start_tag(element, parent_xmlns, xmlns))
        if element.children or element.text:
            parts.append(f">{escape_text(element.text)}")
            pending.append(f"</{element.name}>")
            pending += [(child, xmlns) for child in reversed(element.children)]
        else:
            parts.append("/>")
    text = "".join(parts)
    if _REFUSED_CHARACTER.search(text):
        raise StanzaError("text with a character that XML does not allow")
    return text


def escape_text(text: str) -> str:
    """Text as element content."""
    return text.translate(_TEXT_ESCAPES)


def escape_attribute(text: str) -> str:
    """Text as an attribute value between double quotes."""
    return text.translate(_ATTRIBUTE_ESCAPES)


def is_name(text: str) -> bool:
    """Whether this is a legal element name (without prefix)."""
    return _LEGAL_NAME.fullmatch(text) is not None


def _start_tag(element: Element, parent_xmlns: str | None, xmlns: str) -> str:
    names = [element.name, *(name.removeprefix("xml:") for name in element.attributes)]
    if not all(map(is_name, names)):
        raise StanzaError("element or attribute whose name is not an XML name")
    declared = {} if xmlns == parent_xmlns else {"xmlns": xmlns}
    attributes = (declared | element.attributes).items()
    return f"<{element.name}" + "".join(
        f' {name}="{escape_attribute(value)}"' for name, value in attributes
    )


def _decode(frame: str | bytes) -> str:
    """The frame as text, without white space and XML declaration around the element."""
    if len(frame) > MAX_RECEIVED_BYTES:
        raise StanzaError(f"frame longer than {MAX_RECEIVED_BYTES} octets")
    if isinstance(frame, bytes):
        try:
            frame = frame.decode()
        except UnicodeDecodeError:
            raise StanzaError("frame that is not UTF-8") from None
    if _REFUSED_CHARACTER.search(frame):
        raise StanzaError("character that XML does not allow")
    frame = frame.strip(" \t\r\n")
    declaration = _DECLARATION.match(frame)
    return frame[declaration.end() :] if declaration else frame


@dataclass(slots=True)
class _Open:
    """An element whose end tag has not come yet, its name as written, prefixes in scope."""

    element: Element
    raw_name: str
    prefixes: dict[str, str]


class _Reader:
    """Reads one element from text; `_pos` is always at the start of a token."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._pos = 0
        self._open: list[_Open] = []
        self._elements = 0

    def read(self) -> Element:
        root: Element | None = None
        while root is None:
            root = self._token()
        if self._pos != len(self._text):
            raise StanzaError("more than one element in a frame")
        return root

    def _token(self) -> Element | None:
        """Take one piece of text or one tag; the root element when its end was reached."""
        text, pos = self._text, self._pos
        if text.startswith("</", pos):
            return self._end_tag()
        if text.startswith("<![CDATA[", pos):
            self._cdata()
        elif text.startswith("<", pos):
            return self._start_tag()
        else:
            self._characters(text.find("<", pos))
        return None

    def _characters(self, end: int) -> None:
        if end < 0 or not self._open:
            raise StanzaError("frame that is not one whole element")
        text = self._text[self._pos : end]
        if "]]>" in text:
            raise StanzaError("']]>' in text")
        self._open[-1].element.text += _unescape(text)
        self._pos = end

    def _cdata(self) -> None:
        end = self._text.find("]]>", self._pos)
        if end < 0 or not self._open:
            raise StanzaError("CDATA section that is not closed, or outside of the element")
        self._open[-1].element.text += self._text[self._pos + len("<![CDATA[") : end]
        self._pos = end + len("]]>")

    def _start_tag(self) -> Element | None:
        match = _START_TAG.match(self._text, self._pos)
        if match:
            raw_name, attributes, empty = match[1], match[2], match[5]
        else:
            match = _LENIENT_TAG.match(self._text, self._pos)
            if not match:
                raise StanzaError("markup that is not a tag")
            raw_name, attributes, empty = match[1], "", match[2]
        self._pos = match.end()
        opened = self._element(raw_name, attributes)
        if empty:
            return self._attach(opened.element)
        self._open.append(opened)
        return None

    def _end_tag(self) -> Element | None:
        end = self._text.find(">", self._pos)
        raw_name = self._text[self._pos + 2 : end] if end >= 0 else ""
        if not self._open or self._open[-1].raw_name not in (raw_name, raw_name.rstrip(" \t\r\n")):
            raise StanzaError("end tag that does not match")
        self._pos = end + 1
        return self._attach(self._open.pop().element)

    def _attach(self, element: Element) -> Element | None:
        if not self._open:
            return element
        self._open[-1].element.children.append(element)
        return None

    def _element(self, raw_name: str, attribute_text: str) -> _Open:
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH:
            raise StanzaError("frame with too many elements or too deep")
        raw = _raw_attributes(attribute_text)
        prefixes = self._open[-1].prefixes if self._open else _OUTER_PREFIXES
        declared = {n: v for n, v in raw.items() if n == "xmlns" or n.startswith("xmlns:")}
        if declared:
            prefixes = prefixes | _declarations(declared)
        prefix, _, name = raw_name.rpartition(":")
        if prefix not in prefixes:
            raise StanzaError("undeclared namespace prefix")
        attributes = _attributes({n: v for n, v in raw.items() if n not in declared}, prefixes)
        return _Open(Element(name, prefixes[prefix], attributes), raw_name, prefixes)


def _raw_attributes(text: str) -> dict[str, str]:
    raw: dict[str, str] = {}
    for name, quoted in _ATTRIBUTE.findall(text):
        if name in raw or len(raw) >= MAX_ATTRIBUTES:
            raise StanzaError("attribute twice, or too many attributes")
        raw[name] = _unescape(_ATTRIBUTE_SPACE.sub(" ", quoted[1:-1]))
    return raw


def _declarations(raw: dict[str, str]) -> dict[str, str]:
    """Namespace declarations of one start tag, by prefix (Namespaces in XML 1.0, section 3)."""
    declared = {}
    for attribute, xmlns in raw.items():
        prefix = attribute[len("xmlns:") :]
        if (
            prefix == "xmlns"
            or xmlns == _XMLNS_NS
            or (prefix == "xml") != (xmlns == _XML_NS)
            or (prefix and not xmlns)
            or " " in xmlns
        ):
            raise StanzaError("namespace declaration that is not allowed")
        declared[prefix] = xmlns
    return declared


def _attributes(raw: dict[str, str], prefixes: dict[str, str]) -> dict[str, str]:
    attributes = {}
    qualified = set()
    for raw_name, value in raw.items():
        prefix, _, name = raw_name.rpartition(":")
        if not prefix or raw_name == "xml:lang":
            attributes[raw_name] = value
        elif prefix not in prefixes or (prefixes[prefix], name) in qualified:
            raise StanzaError("attribute with an undeclared prefix, or twice")
        elif prefix:
            qualified.add((prefixes[prefix], name))
    return attributes


def _unescape(text: str) -> str:
    return _REFERENCE.sub(_referenced, text) if "&" in text else text


def _referenced(match: re.Match[str]) -> str:
    entity, decimal, hexadecimal = match.groups()
    if entity:
        return _ENTITIES[entity]
    if not decimal and not hexadecimal:
        raise StanzaError("reference to an unknown entity")
    code = int(decimal) if decimal else int(hexadecimal, 16)
    if not 0 < code <= 0x10FFFF or _REFUSED_CHARACTER.match(chr(code)):
        raise StanzaError("reference to a character that XML does not allow")
    return chr(code)
