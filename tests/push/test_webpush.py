"""Web Push encryption and VAPID, against the RFC's vector and independent implementations."""

from __future__ import annotations

import time

import http_ece
import py_vapid
import pytest
import pywebpush
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from ringmesh.errors import ConfigurationError
from ringmesh.server.push.webpush import (
    MAX_PLAINTEXT,
    VAPID_LIFETIME_SECONDS,
    Vapid,
    encrypt,
    from_base64url,
    load_p256_key,
    new_vapid_key,
    public_key_of,
    subscription_keys,
    to_base64url,
)

_browser = ec.generate_private_key(ec.SECP256R1())
P256DH = to_base64url(
    _browser.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
)
SECRET = bytes(range(16))
AUTH = to_base64url(SECRET)


def test_the_vector_of_rfc_8291() -> None:
    """RFC 8291 appendix A, byte for byte."""
    sender = ec.derive_private_key(
        int.from_bytes(from_base64url("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"),
        ec.SECP256R1(),
    )
    body = encrypt(
        b"When I grow up, I want to be a watermelon",
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "BTBZMqHH6r4Tts7J_aSIgg",
        salt=from_base64url("DGv6ra1nlYgDCS1FRnbzlw"),
        sender_key=sender,
    )
    assert to_base64url(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


@settings(max_examples=30)
@given(st.binary(max_size=MAX_PLAINTEXT))
def test_others_read_what_we_write(plaintext: bytes) -> None:
    """http_ece decrypts any message of ours to what it was."""
    body = encrypt(plaintext, P256DH, AUTH)
    assert len(body) <= 4096
    found = http_ece.decrypt(body, private_key=_browser, auth_secret=SECRET, version="aes128gcm")
    assert found == plaintext


def test_ours_has_the_form_of_pywebpush() -> None:
    """pywebpush's message for the same subscription has our length and is read the same way."""
    keys = {"endpoint": "https://push.example", "keys": {"p256dh": P256DH, "auth": AUTH}}
    theirs = pywebpush.WebPusher(keys).encode(b"hello")["body"]
    ours = encrypt(b"hello", P256DH, AUTH)
    assert len(theirs) == len(ours)
    assert theirs[16:21] == ours[16:21]
    for body in (theirs, ours):
        found = http_ece.decrypt(
            body, private_key=_browser, auth_secret=SECRET, version="aes128gcm"
        )
        assert found == b"hello"


def test_no_two_messages_share_anything() -> None:
    """Salt and key are fresh for every message."""
    one, two = (encrypt(b"hello", P256DH, AUTH) for _ in range(2))
    assert one[:16] != two[:16]
    assert one[21:86] != two[21:86]


def test_too_large() -> None:
    """One octet more than fits is refused."""
    with pytest.raises(ValueError, match="3994 octets are too many"):
        encrypt(bytes(MAX_PLAINTEXT + 1), P256DH, AUTH)


@pytest.mark.parametrize(
    ("p256dh", "auth", "words"),
    [
        ("", AUTH, "web_p256dh"),
        ("AAAA", AUTH, "web_p256dh"),
        (to_base64url(b"\x04" + b"\x01" * 64), AUTH, "web_p256dh"),  # not on the curve
        (to_base64url(bytes(65)), AUTH, "web_p256dh"),
        (P256DH.replace("-", "+").replace("_", "/") + "+", AUTH, "web_p256dh"),
        (P256DH, "", "web_auth"),
        (P256DH, "AAAA", "web_auth"),
        (P256DH, "€" * 22, "web_auth"),
    ],
)
def test_keys_that_are_none(p256dh: str, auth: str, words: str) -> None:
    """The error says which of the subscription's keys is wrong."""
    with pytest.raises(ValueError, match=words):
        subscription_keys(p256dh, auth)


@given(st.text(), st.text())
def test_any_text_as_keys(p256dh: str, auth: str) -> None:
    """Whatever a client calls its keys, only ValueError comes out."""
    with pytest.raises(ValueError, match="web_"):
        subscription_keys(p256dh, auth)


def test_vapid_is_what_another_library_verifies() -> None:
    """py_vapid accepts the signature; audience, expiry and subject are as RFC 8292 asks."""
    pem = new_vapid_key()
    vapid = Vapid(pem, "mailto:admin@example.org")
    now = time.time()
    header = vapid.authorization("https://push.example:8443/a/b?c", now)
    assert py_vapid.Vapid02.verify(header.replace(", ", ","))  # it takes no space there
    token = header.removeprefix("vapid t=").partition(",")[0]
    claims = jwt.decode(token, ECKey.import_key(load_p256_key(pem, "key").public_key())).claims
    assert claims["aud"] == "https://push.example:8443"
    assert claims["sub"] == "mailto:admin@example.org"
    assert 0 < claims["exp"] - now <= 86_400
    assert header.endswith(f"k={public_key_of(pem)}")
    assert len(from_base64url(vapid.public_key)) == 65


def test_proofs_are_reused_and_renewed() -> None:
    """One proof per push service, a new one when half of its life is over."""
    vapid = Vapid(new_vapid_key())
    first = vapid.authorization("https://push.example/1", 0)
    assert vapid.authorization("https://push.example/2", 60) == first
    assert vapid.authorization("https://other.example/2", 60) != first
    assert vapid.authorization("https://push.example/1", VAPID_LIFETIME_SECONDS / 2) != first


@pytest.mark.parametrize(
    ("pem", "subject", "words"),
    [
        ("nonsense", None, "not a private key in PEM form"),
        ("", None, "not a private key in PEM form"),
        (None, "admin@example.org", "must begin with mailto:"),
    ],
)
def test_unusable_vapid_keys(pem: str | None, subject: str | None, words: str) -> None:
    """Errors say what is wrong, and do not repeat the key."""
    with pytest.raises(ConfigurationError, match=words) as raised:
        Vapid(new_vapid_key() if pem is None else pem, subject)
    assert "nonsense" not in str(raised.value)
