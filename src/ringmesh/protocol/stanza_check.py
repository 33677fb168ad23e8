"""The server's hot path: is a frame exactly one element that is safe to forward, and who is it for?

Whatever passes is forwarded in the sender's own bytes, with a start tag that names the true
sender, so this check is what makes injection impossible.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class CheckedStanza:
    """A frame that passed `check`.

    Attributes:
        name: local name of the element.
        xmlns: its namespace; ``jabber:client`` where the sender wrote none.
        attributes: unprefixed attributes of the start tag, decoded.
        frame: the element's bytes, without white space around them.
    """

    name: str
    xmlns: str
    attributes: dict[str, str]
    frame: bytes


def check(frame: bytes) -> CheckedStanza:
    """Check one frame from a client.

    Raises:
        StanzaError: it is not exactly one well-formed, bounded element without DTD,
            processing instruction and comment, or it forges a carbon copy.
    """
    raise NotImplementedError


def stamp(stanza: CheckedStanza, from_jid: str, to: str | None = None) -> bytes:
    """The frame to forward: `from` set, `to` replaced if given, all else as the sender wrote it."""
    raise NotImplementedError
