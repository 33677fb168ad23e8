"""Framing of streams over WebSocket (RFC 7395), and stream errors (RFC 6120 section 4.9)."""

from __future__ import annotations

from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.element import Element

STREAM_PREFIX = f'xmlns:stream="{ns.STREAM}"'
CLOSE = f'<close xmlns="{ns.FRAMING}"/>'
STREAM_END = b"</stream:stream>"


def stream_error(condition: str) -> str:
    """The frame that tells why a stream ends."""
    return f'<stream:error {STREAM_PREFIX}><{condition} xmlns="{ns.STREAM_ERRORS}"/></stream:error>'


def error_condition(element: Element) -> str:
    """The condition of a received stream error."""
    for child in element.children:
        if child.xmlns == ns.STREAM_ERRORS and child.name != "text":
            return child.name
    return "undefined-condition"
