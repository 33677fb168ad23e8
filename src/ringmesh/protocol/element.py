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

MAX_FRAME_BYTES = 65536
MAX_DEPTH = 128
MAX_ELEMENTS = 2048
MAX_ATTRIBUTES = 64
"""Limits per frame, and for attributes per element. Beyond them a frame is refused."""

CLIENT_NS = "jabber:client"
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
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}

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
    raise NotImplementedError


def write(element: Element) -> str:
    """Write an element as one line of text.

    Raises:
        StanzaError: a name is not an XML name, or text holds a character that XML refuses.
    """
    raise NotImplementedError


def escape_text(text: str) -> str:
    """Text as element content."""
    return text.translate(_TEXT_ESCAPES)


def escape_attribute(text: str) -> str:
    """Text as an attribute value between double quotes."""
    return text.translate(_ATTRIBUTE_ESCAPES)
