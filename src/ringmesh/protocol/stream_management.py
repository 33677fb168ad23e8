"""Acknowledgements between two neighbours, and going on after a lost connection (XEP-0198).

Counting goes modulo 2**32. A peer's wrong count is ignored: deployed SDKs send such, and a call
must not end over it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.element import Element
from ringmesh.protocol.jid import JID

SM_MODULUS = 2**32


class InboundCounter:
    """Counts the stanzas handled, from the moment acknowledgements were agreed on.

    Args:
        handled: how many there were before.
    """

    __slots__ = ("_handled",)

    def __init__(self, handled: int = 0) -> None:
        self._handled = handled

    def stanza_handled(self) -> None:
        """An iq, message or presence was taken over."""
        self._handled = (self._handled + 1) % SM_MODULUS

    @property
    def handled(self) -> int:
        """How many there were, modulo 2**32."""
        return self._handled

    def answer(self) -> Element:
        """The ``<a/>`` to send for an ``<r/>``."""
        return Element("a", ns.STREAM_MANAGEMENT, {"h": str(self._handled)})


class OutboundQueue:
    """The stanzas sent and not yet acknowledged, oldest first.

    Args:
        limit: how many to keep; beyond it the oldest are forgotten.
        acknowledged: how many were acknowledged before.
    """

    def __init__(self, limit: int = 256, acknowledged: int = 0) -> None:
        self._frames: deque[str] = deque(maxlen=limit)
        self._pending = 0  # sent and not acknowledged, kept or forgotten
        self._acknowledged = acknowledged

    @property
    def unacknowledged(self) -> tuple[str, ...]:
        """The frames that the peer may not have got."""
        return tuple(self._frames)

    def sent(self, frame: str) -> None:
        """A stanza went out."""
        self._frames.append(frame)
        self._pending += 1

    def acknowledged(self, answer: Element) -> tuple[str, ...]:
        """The frames that an ``<a/>`` acknowledges; none if its count makes no sense."""
        count = count_of(answer)
        news = 0 if count is None else (count - self._acknowledged) % SM_MODULUS
        if count is None or news > self._pending:
            return ()
        forgotten = self._pending - len(self._frames)
        self._pending -= news
        self._acknowledged = count
        return tuple(self._frames.popleft() for _ in range(max(0, news - forgotten)))


@dataclass(frozen=True, slots=True)
class Resumption:
    """What a client needs to go on with its stream over another connection.

    Attributes:
        stream_id: the server's name for the stream.
        jid: the device's address.
        handled: what the client has handled.
        sent: what it has sent and the server has not acknowledged.
    """

    stream_id: str
    jid: JID
    handled: InboundCounter
    sent: OutboundQueue


def count_of(element: Element) -> int | None:
    """The ``h`` of an element; None where it is missing or makes no sense."""
    text = element.get("h") or ""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    return int(text) % SM_MODULUS
