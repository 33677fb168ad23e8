"""Looks after every connection in turn, with one timer for all."""

from __future__ import annotations

import asyncio
from typing import Protocol

_SLICES = 256  # many small steps: 10,000 silent clients are not all pinged in one moment


class Watched(Protocol):
    """What `Watch` looks after."""

    def look(self, now: float) -> None:
        """A period has passed since the last look."""


class Watch:
    """Calls `Watched.look` on each member once per `period`.

    Args:
        period: seconds. A member's first look comes a period after it was added.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, period: float) -> None:
        self._loop = loop
        self._step = period / _SLICES
        self._slices: list[set[Watched]] = [set() for _ in range(_SLICES)]
        self._place = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look."""
        self._timer = self._loop.call_later(self._step, self._tick)

    def add(self, member: Watched) -> int:
        """Begin to look after a member; the result is what `remove` needs."""
        self._slices[self._place].add(member)
        return self._place

    def remove(self, member: Watched, place: int) -> None:
        """Look after a member no more."""
        self._slices[place].discard(member)

    def stop(self) -> None:
        """Look after nobody any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._place = (self._place + 1) % _SLICES
        now = self._loop.time()
        self._timer = self._loop.call_later(self._step, self._tick)
        for member in tuple(self._slices[self._place]):
            member.look(now)
