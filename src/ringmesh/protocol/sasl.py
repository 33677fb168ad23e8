"""SASL PLAIN (RFC 4616) in XMPP's wrapping (RFC 6120 section 6)."""

from __future__ import annotations

import base64
import binascii

from ringmesh.errors import ProtocolError

PLAIN = "PLAIN"


def encode_plain(local_part: str, password: str) -> str:
    """The initial response: base64 of NUL, local part, NUL, password."""
    return base64.b64encode(f"\0{local_part}\0{password}".encode()).decode()


def decode_plain(text: str) -> tuple[str, str, str]:
    """Authorization identity (mostly empty), local part and password of an initial response.

    Raises:
        ProtocolError: its text is the condition to answer (RFC 6120 section 6.5).
    """
    try:
        message = base64.b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise ProtocolError("incorrect-encoding") from None
    parts = message.split("\0")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise ProtocolError("malformed-request")
    return parts[0], parts[1], parts[2]
