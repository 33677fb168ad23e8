"""What an examination finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a check ended. A warning means that calls work, but not everywhere or not well."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class Subject(StrEnum):
    """What is checked, in this order."""

    SERVER = "server"
    TLS = "tls"
    RINGMESH = "ringmesh"
    CLOCK = "clock"
    SIGN_IN = "sign-in"
    CHAT = "chat"
    ICE_SERVERS = "ice-servers"
    STUN = "stun"
    RELAY = "relay"
    CANDIDATES = "candidates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding.

    Attributes:
        detail: what was found; of a failure, the cause.
        remedy: what to do about it.
        seconds: how long it took.
    """

    subject: Subject
    outcome: Outcome
    detail: str
    remedy: str | None = None
    seconds: float = 0.0


class ProblemError(Exception):
    """Ends a check.

    Attributes:
        outcome: `Outcome.FAILED` or `Outcome.WARNING`.
    """

    def __init__(self, detail: str, remedy: str, outcome: Outcome = Outcome.FAILED) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy
        self.outcome = outcome
