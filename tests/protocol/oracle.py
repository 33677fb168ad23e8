"""A judge of frames that shares no code with the readers under test: ElementTree."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from ringmesh.protocol.element import Element, is_name


def parse_strictly(frame: bytes) -> Element:
    """The frame's element.

    Raises:
        ElementTree.ParseError: it is not one well-formed element.
    """
    return _converted(ElementTree.fromstring(frame, ElementTree.XMLParser(encoding="utf-8")))


def has_only_plain_names(element: Element) -> bool:
    """Whether all names are legal for every parser (XML 1.0 editions differ beyond ASCII)."""
    return (
        is_name(element.name)
        and element.name.isascii()
        and all(map(str.isascii, element.attributes))
        and all(map(has_only_plain_names, element.children))
    )


def normalised(element: Element) -> Element:
    """The element without ``xml:lang`` and without differences in line ends, which we keep."""
    text = re.sub(r"[\r\n]+", "\n", element.text)
    attributes = {name: value for name, value in element.attributes.items() if name != "xml:lang"}
    children = [normalised(child) for child in element.children]
    return Element(element.name, element.xmlns, attributes, children, text)


def _converted(node: ElementTree.Element) -> Element:
    xmlns, _, name = node.tag.rpartition("}")
    children = [_converted(child) for child in node]
    text = "".join([node.text or "", *(child.tail or "" for child in node)])
    attributes = {key: value for key, value in node.attrib.items() if "}" not in key}
    return Element(name, xmlns.removeprefix("{"), attributes, children, text)
