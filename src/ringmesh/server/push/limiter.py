"""How many events somebody may post."""

from __future__ import annotations

from collections.abc import Hashable

WINDOW_SECONDS = 60.0


class EventLimiter:
    """Counts events in windows of a minute, each of which begins with somebody's first. Pure.

    Args:
        most: in one window.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._windows: dict[Hashable, list[float]] = {}  # the oldest first: when, how many

    def hit(self, who: Hashable, now: float) -> bool:
        """Count one more, `now` in seconds; whether it is allowed."""
        self._forget(now - WINDOW_SECONDS)
        window = self._windows.setdefault(who, [now, 0])
        window[1] += 1
        return window[1] <= self._most

    def _forget(self, before: float) -> None:
        while self._windows:
            who = next(iter(self._windows))
            if self._windows[who][0] > before:
                return
            del self._windows[who]
