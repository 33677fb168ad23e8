"""Copies of a user's own headlines for their other devices."""

from __future__ import annotations

from ringmesh.protocol.carbons import sent_copy, unwrap
from ringmesh.protocol.element import read
from ringmesh.protocol.jid import JID
from ringmesh.protocol.signal_xml import decode_signal, encode_signal
from ringmesh.protocol.stanza_check import check, stamp
from ringmesh.signals import Accept, CallType, Signal

USER = JID.parse("4002-777@chat.local.test")
PHONE, DESK = USER.with_resource("phone-0123456789"), USER.with_resource("desk-0123456789")
ACCEPT = Accept(session_id="s", call_type=CallType.VIDEO_CALL, caller_id=4001, sdp="v=0\r\n")


def sent(signal: Signal) -> bytes:
    """A frame of the phone, as the server forwards it."""
    frame = encode_signal(signal, "4001-777@chat.local.test", "0" * 24).encode()
    return stamp(check(frame), str(PHONE))


def test_copy_is_unwrapped() -> None:
    """The user's other device reads the copy as the signal, from the device that sent it."""
    copy = read(sent_copy(sent(ACCEPT), USER, DESK))
    assert copy.attributes == {"type": "headline", "from": str(USER), "to": str(DESK)}
    message = unwrap(copy, DESK)
    assert message.get("from") == str(PHONE)
    assert decode_signal(message) == ACCEPT


def test_forged_copy() -> None:
    """A copy that does not come from the user's own account is not believed."""
    frame = sent_copy(sent(ACCEPT), USER, DESK).replace(
        b'from="4002-777@chat.local.test"', b'from="9-777@chat.local.test/x"', 1
    )
    message = unwrap(read(frame), DESK)
    assert message.get("from") == "9-777@chat.local.test/x"
    assert decode_signal(message) is None


def test_other_messages_stay_as_they_are() -> None:
    """What is no copy comes back unchanged."""
    message = read(sent(ACCEPT))
    assert unwrap(message, DESK) is message
    broken = read("<message><sent xmlns='urn:xmpp:carbons:2'><forwarded/></sent></message>")
    assert unwrap(broken, DESK) is broken
