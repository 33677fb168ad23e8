"""One-time passwords: random text that opens one session, in which a user can choose a password.

What is stored in a password's place is ``once$EXPIRY$DIGEST``: with 144 random bits a plain hash is
as good as a slow one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

LIFETIME_SECONDS = 30 * 86_400
_MARK = "once"


def new_one_time_password(now: int) -> tuple[str, str]:
    """The password, and what to store for it."""
    password = secrets.token_urlsafe(18)
    return password, f"{_MARK}${now + LIFETIME_SECONDS}${_digest(password)}"


def is_one_time(hashed: str | None) -> bool:
    """Whether this is stored for a one-time password."""
    return hashed is not None and hashed.startswith(f"{_MARK}$")


def opens(password: str, hashed: str, now: int) -> bool:
    """Whether this is the one-time password that `hashed` is stored for, and still in time."""
    _, expiry, digest = hashed.split("$")
    return now < int(expiry) and hmac.compare_digest(_digest(password), digest)


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
