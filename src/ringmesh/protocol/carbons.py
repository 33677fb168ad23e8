"""Copies of a user's own headlines for their other devices (XEP-0280, XEP-0297).

XEP-0280 exempts headlines, but call SDKs rely on them to stop ringing when another device of the
user has answered. The outer message must be a headline too.
"""

from __future__ import annotations

from ringmesh.protocol import namespaces as ns
from ringmesh.protocol.element import Element, escape_attribute
from ringmesh.protocol.jid import JID

COPIED_SIGNALS = frozenset({"accept", "reject", "hangUp"})
"""Signal types of which the sender's other devices need a copy: they stop ringing then."""

ENABLING_ID = ":enableCarbons"
"""How the id of the request for such copies ends in SDKs that read whatever JavaScript writes: its
own name is how a JavaScript SDK finds the answer, and our SDK does the same."""


def sent_copy(stamped: bytes, user: JID, device: JID) -> bytes:
    """The copy of a sent message, as `stanza_check.stamp` wrote it, for another device.

    Args:
        user: bare address of the sender.
        device: full address of the device that gets the copy.
    """
    head = (
        f'<message xmlns="{ns.CLIENT}" type="headline" from="{escape_attribute(str(user))}"'
        f' to="{escape_attribute(str(device))}"><sent xmlns="{ns.CARBONS}">'
        f'<forwarded xmlns="{ns.FORWARD}">'
    )
    return b"".join((head.encode(), stamped, b"</forwarded></sent></message>"))


def unwrap(message: Element, user: JID) -> Element:
    """The message that a copy holds, or the message itself where it is no copy.

    A copy is believed only if it comes from the user's own account (XEP-0280 section 11).
    """
    sent = message.child("sent", ns.CARBONS)
    forwarded = sent.child("forwarded", ns.FORWARD) if sent else None
    copied = forwarded.child("message", ns.CLIENT) if forwarded else None
    if copied is None or message.get("from") not in (None, str(user.bare())):
        return message
    return copied
