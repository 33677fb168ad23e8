"""SASL in XMPP's wrapping (RFC 6120 section 6): PLAIN (RFC 4616), SCRAM (RFC 5802, RFC 7677)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ringmesh.errors import ProtocolError

PLAIN = "PLAIN"
SCRAM_HASHES: Mapping[str, str] = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}
"""SCRAM mechanisms and their hash functions."""

MAX_RESPONSE_LENGTH = 4096  # characters

_FIRST = re.compile(r"((?:n|y),(?:a=([^,]+))?,)(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]{8,256}))(?:,.*)?")
_FINAL = re.compile(r"(c=([^,]+),r=([^,]+)(?:,.*)?),p=([^,]+)")


def encode_plain(local_part: str, password: str) -> str:
    """The initial response: base64 of NUL, local part, NUL, password."""
    return base64.b64encode(f"\0{local_part}\0{password}".encode()).decode()


def decode_plain(text: str) -> tuple[str, str, str]:
    """Authorization identity (mostly empty), local part and password of an initial response.

    Raises:
        ProtocolError: its text is the condition to answer (RFC 6120 section 6.5).
    """
    parts = _decode(text).split("\0")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise ProtocolError("malformed-request")
    return parts[0], parts[1], parts[2]


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a server keeps of a secret: enough to check a proof, not to make one."""

    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return "ScramKeys(...)"


@dataclass(frozen=True, slots=True)
class ScramCredentials:
    """What a proof is checked against.

    Attributes:
        salt: the same for all keys of a user.
        iterations: likewise.
        keys: of every secret with which the user may log in.
    """

    salt: bytes
    iterations: int
    keys: tuple[ScramKeys, ...]


def scram_keys(hash_name: str, secret: str, salt: bytes, iterations: int) -> ScramKeys:
    """Derive the keys of a secret (RFC 5802 section 3). Slow, as the iterations say."""
    salted = hashlib.pbkdf2_hmac(hash_name, secret.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", hash_name)
    server_key = hmac.digest(salted, b"Server Key", hash_name)
    return ScramKeys(hashlib.new(hash_name, client_key).digest(), server_key)


class ScramExchange:
    """The server's side of one SCRAM login, without channel binding.

    The proof covers both nonces, so what was recorded once is worth nothing later.

    Args:
        mechanism: one of `SCRAM_HASHES`.
        initial_response: the client's first message, in base64.

    Attributes:
        identity: authorization identity, mostly empty.
        local_part: who wants to log in.

    Raises:
        ProtocolError: its text is the condition to answer (RFC 6120 section 6.5).
    """

    __slots__ = ("_bare", "_credentials", "_first", "_gs2", "_hash", "_nonce", "identity",
                 "local_part")  # fmt: skip

    def __init__(self, mechanism: str, initial_response: str) -> None:
        self._hash = SCRAM_HASHES[mechanism]
        match = _FIRST.fullmatch(_decode(initial_response))
        if match is None:
            raise ProtocolError("malformed-request")
        self._gs2, identity, self._bare, name, self._nonce = match.groups()
        self._bare = match[0][len(self._gs2) :]
        self.identity = _saslname(identity or "")
        self.local_part = _saslname(name)
        self._first = ""
        self._credentials: ScramCredentials | None = None

    def challenge(self, credentials: ScramCredentials, nonce: str) -> str:
        """The server's first message, in base64.

        Args:
            nonce: fresh random text of printable ASCII without comma.
        """
        self._credentials = credentials
        self._nonce += nonce
        salt = base64.b64encode(credentials.salt).decode()
        self._first = f"r={self._nonce},s={salt},i={credentials.iterations}"
        return base64.b64encode(self._first.encode()).decode()

    def verify(self, response: str) -> str | None:
        """Check the client's final message; the server's own, in base64, or None if the proof fits
        no secret.

        Raises:
            ProtocolError: its text is the condition to answer (RFC 6120 section 6.5).
        """
        match = _FINAL.fullmatch(_decode(response))
        if match is None or self._credentials is None:
            raise ProtocolError("malformed-request")
        without_proof, binding, nonce, proof = match.groups()
        if _decode(binding) != self._gs2:
            raise ProtocolError("malformed-request")
        if not hmac.compare_digest(nonce.encode(), self._nonce.encode()):
            return None
        signed = f"{self._bare},{self._first},{without_proof}".encode()
        given = _decode_bytes(proof)
        for keys in self._credentials.keys:
            if self._proves(given, keys.stored_key, signed):
                signature = hmac.digest(keys.server_key, signed, self._hash)
                final = b"v=" + base64.b64encode(signature)
                return base64.b64encode(final).decode()
        return None

    def _proves(self, proof: bytes, stored_key: bytes, signed: bytes) -> bool:
        signature = hmac.digest(stored_key, signed, self._hash)
        if len(proof) != len(signature):
            return False
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        return hmac.compare_digest(hashlib.new(self._hash, client_key).digest(), stored_key)


def _saslname(text: str) -> str:
    """Undo the escapes of RFC 5802 section 5.1."""
    if re.search("=(?!2C|3D)", text):
        raise ProtocolError("malformed-request")
    return text.replace("=2C", ",").replace("=3D", "=")


def _decode(text: str) -> str:
    try:
        return _decode_bytes(text).decode()
    except UnicodeDecodeError:
        raise ProtocolError("incorrect-encoding") from None


def _decode_bytes(text: str) -> bytes:
    if len(text) > MAX_RESPONSE_LENGTH:
        raise ProtocolError("malformed-request")
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError("incorrect-encoding") from None
