"""The numbers of the call logic, in one frozen value."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ringmesh.errors import ConfigurationError

MAX_PEOPLE = 4
"""People in one call, the caller included."""

MIN_DIALING_TIME_INTERVAL = 3.0
"""Seconds. Every repeat carries a whole session description to every device of a user."""

MAX_CANDIDATES = 256
"""ICE candidates kept or passed on per leg, direction and generation; the rest is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallConfig:
    """Timers and limits. All times are in seconds.

    Attributes:
        no_answer_timeout: how long we dial an opponent, and how long an incoming call rings.
        dialing_time_interval: from one ``call`` to its repeat; at least 3.
        connect_timeout: from answering, or being answered, to the first connection.
        disconnect_time_interval: how long a lost connection may take to come back.
        automatic_ice_restart: look for a new path without being told to, when one is lost.
        max_calls: calls that this device takes part in at one time, ringing ones included.

    Raises:
        ConfigurationError: a value is out of range.
    """

    no_answer_timeout: float = 60.0
    dialing_time_interval: float = 5.0
    connect_timeout: float = 30.0
    disconnect_time_interval: float = 60.0
    automatic_ice_restart: bool = True
    max_calls: int = 16

    def __post_init__(self) -> None:
        for name in ("no_answer_timeout", "connect_timeout", "disconnect_time_interval"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigurationError(f"{name} must be a positive number of seconds: {value}")
        interval, least = self.dialing_time_interval, MIN_DIALING_TIME_INTERVAL
        if not (math.isfinite(interval) and interval >= least):
            raise ConfigurationError(
                f"dialing_time_interval must be at least {least:g} seconds: {interval}"
            )
        if self.max_calls < 1:
            raise ConfigurationError(f"max_calls must be at least 1: {self.max_calls}")
