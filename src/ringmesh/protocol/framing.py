"""How streams are framed: over WebSocket (RFC 7395), over TCP (RFC 6120); stream errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.element import Element, escape_attribute, write

STREAM_PREFIX = f'xmlns:stream="{ns.STREAM}"'
CLOSE = f'<close xmlns="{ns.FRAMING}"/>'
STREAM_END = "</stream:stream>"


class Framing(ABC):
    """How a stream begins and ends.

    Attributes:
        end: the frame that ends it.
        error_needs_header: whether a stream error may come only after a header.
        announces_management: whether XEP-0198 is among the features. Over WebSocket clients use it
            unannounced, and some wait for what they do not need.
    """

    end: str
    error_needs_header: bool
    announces_management: bool

    @abstractmethod
    def header(self, attributes: Mapping[str, str]) -> str:
        """The frame that begins it."""

    @abstractmethod
    def opening(self, attributes: Mapping[str, str], features: str) -> tuple[str, ...]:
        """The frames that begin it at the server."""


class _WebSocketFraming(Framing):
    end = CLOSE
    error_needs_header = False
    announces_management = False

    def header(self, attributes: Mapping[str, str]) -> str:
        return write(Element("open", ns.FRAMING, dict(attributes)))

    def opening(self, attributes: Mapping[str, str], features: str) -> tuple[str, ...]:
        return self.header(attributes), features


class _TcpFraming(Framing):
    end = STREAM_END
    error_needs_header = True
    announces_management = True

    def header(self, attributes: Mapping[str, str]) -> str:
        written = "".join(
            f' {name}="{escape_attribute(value)}"' for name, value in attributes.items()
        )
        return f'<stream:stream xmlns="{ns.CLIENT}" {STREAM_PREFIX}{written}>'

    def opening(self, attributes: Mapping[str, str], features: str) -> tuple[str, ...]:
        # One mobile SDK never recovers from a header that comes with a part of the features.
        return (self.header(attributes) + features,)


WEBSOCKET: Framing = _WebSocketFraming()
TCP: Framing = _TcpFraming()


def stream_error(condition: str) -> str:
    """The frame that tells why a stream ends."""
    return f'<stream:error {STREAM_PREFIX}><{condition} xmlns="{ns.STREAM_ERRORS}"/></stream:error>'


def error_condition(element: Element) -> str:
    """The condition of a received stream error."""
    for child in element.children:
        if child.xmlns == ns.STREAM_ERRORS and child.name != "text":
            return child.name
    return "undefined-condition"
