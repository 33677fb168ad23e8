"""Session tokens: random text for the client, only a hash of it in the store."""

from __future__ import annotations

import hashlib
import re
import secrets

_TOKEN = re.compile(r"[0-9a-f]{40}")


def new_token() -> str:
    """160 random bits as 40 hexadecimal digits."""
    return secrets.token_hex(20)


def token_hash(token: str) -> bytes | None:
    """The hash under which a token is stored; None for text that cannot be a token."""
    return hashlib.sha256(token.encode()).digest() if _TOKEN.fullmatch(token) else None
