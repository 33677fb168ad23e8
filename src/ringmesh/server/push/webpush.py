"""Web Push: encryption of messages (RFC 8188, RFC 8291) and proof of who sends (RFC 8292). Pure."""

from __future__ import annotations

import base64
import binascii
import secrets
import struct
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from joserfc import jwt
from joserfc.jwk import ECKey

from ringmesh.errors import ConfigurationError

MAX_PLAINTEXT = 3993
"""Octets that fit into the 4096 that push services must take (RFC 8291 section 4)."""

RECORD_SIZE = 4096
VAPID_LIFETIME_SECONDS = 12 * 3600
"""How long a proof is good; RFC 8292 section 2 allows a day, and clocks differ."""

_SALT = 16
_SECRET = 16
_POINT = 65


# ---- keys --------------------------------------------------------------------------------------


def new_vapid_key() -> str:
    """A new private key as PEM (PKCS #8)."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def load_p256_key(pem: str, what: str) -> ec.EllipticCurvePrivateKey:
    """A private key from PEM.

    Args:
        what: names it in errors, which never repeat the key.

    Raises:
        ConfigurationError: not PEM, protected by a password, or a key of another kind.
    """
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise ConfigurationError(f"{what} is protected by a password: store it without") from None
    except ValueError:
        raise ConfigurationError(f"{what} is not a private key in PEM form") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigurationError(f"{what} is no key for ES256: it must be on the curve P-256")
    return key


def application_server_key(private_key: ec.EllipticCurvePrivateKey) -> str:
    """The public key as browsers want it for ``pushManager.subscribe``: base64url of the point."""
    return to_base64url(_point(private_key.public_key()))


def public_key_of(pem: str) -> str:
    """`application_server_key` of a private key in PEM form."""
    return application_server_key(load_p256_key(pem, "the Web Push key"))


# ---- VAPID -------------------------------------------------------------------------------------


class Vapid:
    """Signs requests to push services, so that they know whose they are (RFC 8292).

    A proof is made once per push service and used until half of its life is over.

    Args:
        subject: ``mailto:`` or ``https:`` address for complaints.

    Raises:
        ConfigurationError: the key or the subject cannot be used.
    """

    def __init__(self, private_key: str, subject: str | None = None) -> None:
        key = load_p256_key(private_key, "the Web Push key")
        if subject is not None and not subject.startswith(("mailto:", "https:")):
            raise ConfigurationError("the Web Push subject must begin with mailto: or https:")
        self.public_key = application_server_key(key)
        self._key = ECKey.import_key(key)
        self._subject = {} if subject is None else {"sub": subject}
        self._proofs: dict[str, tuple[float, str]] = {}

    def authorization(self, endpoint: str, now: float) -> str:
        """The value of the ``Authorization`` header for a request to this endpoint."""
        parts = urlsplit(endpoint)
        audience = f"{parts.scheme}://{parts.netloc}"
        renew_at, proof = self._proofs.get(audience, (0.0, ""))
        if now >= renew_at:
            claims = {"aud": audience, "exp": int(now) + VAPID_LIFETIME_SECONDS, **self._subject}
            token = jwt.encode({"alg": "ES256"}, claims, self._key)
            proof = f"vapid t={token}, k={self.public_key}"
            if len(self._proofs) >= _MOST_PROOFS:
                self._proofs.clear()
            self._proofs[audience] = (now + VAPID_LIFETIME_SECONDS / 2, proof)
        return proof


_MOST_PROOFS = 1000


# ---- encryption --------------------------------------------------------------------------------


def encrypt(
    plaintext: bytes,
    p256dh: str,
    auth: str,
    *,
    salt: bytes | None = None,
    sender_key: ec.EllipticCurvePrivateKey | None = None,
) -> bytes:
    """Encrypt a message for one subscription: the body of a request with
    ``Content-Encoding: aes128gcm``.

    Args:
        p256dh: the subscription's public key, base64url.
        auth: its authentication secret, base64url.
        salt, sender_key: fresh ones unless given; never use one twice.

    Raises:
        ValueError: the message is too large, or the subscription's keys are none.
    """
    if len(plaintext) > MAX_PLAINTEXT:
        raise ValueError(f"{len(plaintext)} octets are too many, at most {MAX_PLAINTEXT}")
    receiver, secret = subscription_keys(p256dh, auth)
    salt = salt or secrets.token_bytes(_SALT)
    sender_key = sender_key or ec.generate_private_key(ec.SECP256R1())
    sender_point = _point(sender_key.public_key())
    shared = sender_key.exchange(ec.ECDH(), receiver)
    keying = _hkdf(
        secret,
        shared,
        b"WebPush: info\0" + from_base64url(p256dh) + sender_point,
        SHA256.digest_size,
    )
    key = _hkdf(salt, keying, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _hkdf(salt, keying, b"Content-Encoding: nonce\0", 12)
    # One record, the last: its delimiter is 2 (RFC 8188 section 2).
    record = AESGCM(key).encrypt(nonce, plaintext + b"\x02", None)
    return salt + struct.pack("!IB", RECORD_SIZE, _POINT) + sender_point + record


def subscription_keys(p256dh: str, auth: str) -> tuple[ec.EllipticCurvePublicKey, bytes]:
    """A subscription's public key and secret.

    Raises:
        ValueError: says which of them is wrong.
    """
    try:
        point = from_base64url(p256dh)
        if len(point) != _POINT:
            raise ValueError("wrong length")
        receiver = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise ValueError("web_p256dh is no public key on the curve P-256 in base64url") from None
    try:
        secret = from_base64url(auth)
    except ValueError:
        secret = b""
    if len(secret) != _SECRET:
        raise ValueError(f"web_auth is not base64url of {_SECRET} octets")
    return receiver, secret


def _hkdf(salt: bytes, material: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(material)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def to_base64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The octets of base64url, with or without padding.

    Raises:
        ValueError: it is not base64url.
    """
    unpadded = text.rstrip("=")
    if "+" in unpadded or "/" in unpadded:
        raise ValueError("not base64url")
    try:
        return base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), b"-_", validate=True)
    except binascii.Error:
        raise ValueError("not base64url") from None
