"""When to connect again after the chat connection was lost.

`ringmesh.client.chat` is one connection; `ringmesh.client.chat_connection` makes a new one each
time the policy here says so.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


class ReconnectPolicy(Protocol):
    """Decides how long to wait before each attempt."""

    def delay(self, attempt: int) -> float | None:
        """Seconds to wait before attempt number `attempt`, counted from 1 since the connection
        was last up; None to give up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialBackoff:
    """Doubling pauses, each shortened by up to half at random, so that the clients of a server
    that went away do not all return in the same moment.

    Attributes:
        first: seconds, the longest first pause.
        maximum: seconds, the longest pause.
        attempts: attempts before giving up; None for no limit.
        random: numbers in [0, 1).
    """

    first: float
    maximum: float
    attempts: int | None = None
    random: Callable[[], float] = field(default=random.random, repr=False)

    def delay(self, attempt: int) -> float | None:
        """See `ReconnectPolicy`."""
        if self.attempts is not None and attempt > self.attempts:
            return None
        doublings = min(attempt - 1, 32)
        pause = min(self.first * 2.0**doublings, self.maximum)
        return pause * (1 - self.random() / 2)
