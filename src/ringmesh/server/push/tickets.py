"""Tickets: what lets a browser without a session answer the one call that it is told of. Pure.

A ticket travels inside an encrypted push, so that only the subscribed browser reads it. It says who
is called and until when, and is good for that call alone: to decline it, or to open a session in
which to take it. Nothing is stored: it is a MAC under a key made from the application's VAPID key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ringmesh.server.push.webpush import load_p256_key, to_base64url

LONGEST_SECONDS = 120
"""However long a push may wait, a ticket is good for the time of one ring."""

_FORM = re.compile(r"(\d{1,15})\.(\d{1,15})\.(\d{1,12})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who may answer.

    Attributes:
        expires_at: seconds since 1970.
    """

    application_id: int
    user_id: int
    expires_at: int


def application_of(ticket: str) -> int | None:
    """The application whose key to check a ticket with; None if this is no ticket."""
    match = _FORM.fullmatch(ticket)
    return None if match is None else int(match[1])


class Tickets:
    """Issues and checks tickets of one application.

    Args:
        private_key: its VAPID key, PEM.

    Raises:
        ConfigurationError: not a key.
    """

    def __init__(self, private_key: str) -> None:
        secret = load_p256_key(private_key, "the Web Push key").private_numbers().private_value
        hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"ringmesh ticket")
        self._key = hkdf.derive(secret.to_bytes(32, "big"))

    def issue(
        self, application_id: int, user_id: int, session_id: str, *, now: int, expires_at: int
    ) -> str:
        """A ticket for this user and call."""
        until = min(expires_at, now + LONGEST_SECONDS)
        mac = self._mac(application_id, user_id, until, session_id)
        return f"{application_id}.{user_id}.{until}.{mac}"

    def read(self, ticket: str, session_id: str, now: float) -> Ticket | None:
        """What a ticket for this call says; None if it is forged, for another call, or too old."""
        match = _FORM.fullmatch(ticket)
        if match is None:
            return None
        application_id, user_id, until = (int(match[group]) for group in (1, 2, 3))
        expected = self._mac(application_id, user_id, until, session_id)
        if not hmac.compare_digest(match[4], expected) or now >= until:
            return None
        return Ticket(application_id, user_id, until)

    def _mac(self, application_id: int, user_id: int, until: int, session_id: str) -> str:
        text = f"{application_id}.{user_id}.{until}.{session_id}"
        return to_base64url(hmac.digest(self._key, text.encode(), hashlib.sha256))
