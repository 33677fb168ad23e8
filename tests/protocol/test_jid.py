"""Addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmesh.errors import ProtocolError
from ringmesh.protocol.jid import JID, MAX_PART_BYTES, user_jid


def test_user_address() -> None:
    """A user's address is made of user id, application id and domain, and gives them back."""
    jid = user_jid(4002, 777, "chat.local.test")
    assert str(jid) == "4002-777@chat.local.test"
    assert (jid.user_id, jid.app_id) == (4002, "777")


@pytest.mark.parametrize(
    ("text", "jid"),
    [
        ("chat.local.test", JID("", "chat.local.test")),
        ("CHAT.local.test.", JID("", "chat.local.test")),
        ("Ann@Chat.Test/Phone", JID("ann", "chat.test", "Phone")),
        ("1-2@x/a/b@c", JID("1-2", "x", "a/b@c")),
        ("1-2@[::1]", JID("1-2", "[::1]")),
        ("x/with blank", JID("", "x", "with blank")),
    ],
)
def test_parsing(text: str, jid: JID) -> None:
    """Local part and domain come out in lower case, the resource as it is."""
    assert JID.parse(text) == jid
    assert JID.parse(str(jid)) == jid
    assert jid.bare() == JID(jid.local, jid.domain)


@pytest.mark.parametrize(
    "text",
    [
        *("", "@x", "a@", "a@b@c", "a@/r", "x/", "a b@x", "a@x y", "a'b@x", "a<b@x", "a\n@x"),
        *("a@x/\x00", "a@x/\u202e", "a@x/\ud800", "\ufeffa@x", "a&b@x", 'a"@x', "a:b@x"),
        *("a" * (MAX_PART_BYTES + 1) + "@x", "a@" + "é" * 512, "a@x/" + "r" * 1024),
    ],
)
def test_refused(text: str) -> None:
    """What is no address is refused with the documented error."""
    with pytest.raises(ProtocolError):
        JID.parse(text)


@pytest.mark.parametrize("text", ["ann@x", "12@x", "x", "-777@x", "a1-777@x", "9" * 19 + "-1@x"])
def test_address_without_user_id(text: str) -> None:
    """An address that is not a user's gives no ids."""
    jid = JID.parse(text)
    assert (jid.user_id, jid.app_id) == (None, None)


@given(st.text(max_size=20))
def test_any_text(text: str) -> None:
    """Any text is an address that writes and reads the same, or is refused as documented."""
    try:
        jid = JID.parse(text)
    except ProtocolError:
        return
    assert JID.parse(str(jid)) == jid
