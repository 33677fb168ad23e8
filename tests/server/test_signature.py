"""Signatures of session requests."""

from __future__ import annotations

from ringmesh.server.accounts.signature import is_signed, sign, signed_text

SECRET = "app-secret"
BODY = {
    "user": {"password": "s3cret", "login": "bob"},
    "timestamp": "1700000000",
    "nonce": 12345,
    "auth_key": "AK",
    "application_id": "777",
}
TEXT = (
    "application_id=777&auth_key=AK&nonce=12345&timestamp=1700000000"
    "&user[login]=bob&user[password]=s3cret"
)
SIGNATURE = "b75d2719f7fd6e01597b6232e6a135890613ef9c"


def test_known_signature() -> None:
    """The text that is signed and its signature are those that the SDKs make."""
    assert signed_text(BODY) == TEXT
    assert sign(BODY, SECRET) == SIGNATURE


def test_signature_is_not_signed() -> None:
    """The member ``signature`` itself is left out; every other change makes it wrong."""
    signed = {**BODY, "signature": SIGNATURE}
    assert is_signed(signed, SECRET)
    assert not is_signed(signed, "other")
    assert not is_signed({**signed, "timestamp": "1700000001"}, SECRET)
    assert not is_signed({**signed, "signature": "ü"}, SECRET)
    assert not is_signed(BODY, SECRET)


def test_deep_names() -> None:
    """Nested members are named in brackets."""
    body = {"firebase_phone": {"project_id": "p", "access_token": "t"}, "x": None, "b": True}
    assert signed_text(body) == "b=true&firebase_phone[access_token]=t&firebase_phone[project_id]=p"
