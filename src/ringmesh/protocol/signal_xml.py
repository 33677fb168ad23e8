"""Call signals as XML: headline messages with ``<extraParams>``; docs/protocol.md has them all."""

from __future__ import annotations

from ringmesh.protocol.element import Element
from ringmesh.signals import Signal


def encode_signal(signal: Signal, to: str, message_id: str, *, sender: str | None = None) -> str:
    """Write a signal as one message frame.

    Args:
        to: address of the receiver; bare, so that all devices of the user get it.
        message_id: 24 hexadecimal characters.
        sender: `from` address; None where the server stamps it.

    Raises:
        SignalError: a base field is missing, or a key or value cannot be written.
    """
    raise NotImplementedError


def decode_signal(message: Element) -> Signal | None:
    """Read a message as a call signal; None if it is none, is stale or is of an unknown type.

    Raises:
        SignalError: it claims to be a call signal but breaks the rules.
    """
    raise NotImplementedError
