"""Signed session requests: HMAC-SHA1 over the members, keyed with the application's secret."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Any


def signed_text(body: Mapping[str, Any]) -> str:
    """What is signed: ``name=value`` for every member but ``signature``, nested names in brackets,
    sorted by name and joined with ``&``, nothing escaped. Members without a value are left out."""
    pairs = sorted(_flatten(body))
    return "&".join(f"{name}={value}" for name, value in pairs if name != "signature")


def sign(body: Mapping[str, Any], secret: str) -> str:
    """The signature in lower-case hexadecimal digits."""
    return hmac.new(secret.encode(), signed_text(body).encode(), hashlib.sha1).hexdigest()


def is_signed(body: Mapping[str, Any], secret: str) -> bool:
    """Whether the member ``signature`` is right."""
    given = str(body.get("signature", ""))
    return hmac.compare_digest(given.encode(), sign(body, secret).encode())


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _flatten(member, f"{name}[{key}]" if name else str(key))
    elif isinstance(value, list):
        for member in value:
            yield from _flatten(member, f"{name}[]")
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    elif value is not None:
        yield name, str(value)
