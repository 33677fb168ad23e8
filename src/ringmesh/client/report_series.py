"""What was measured of one person over the time of a call, in bounded memory. Pure.

A snapshot is some fifty Python objects, and a call may last for days. So only the newest few are
kept: what happened between two of them becomes numbers in columns, and when these are full, every
two neighbours become one, which lasts twice as long.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, Generic, TypeVar

from ringmesh.media.figures import ReceivingFigures, SendingFigures, receiving, sending
from ringmesh.media.stats import PeerStats

FIRST_STEP = 1.0
"""Seconds between two samples at first; doubled whenever there are too many."""

MAX_SAMPLES = 600
"""Samples kept of each person. Each is some thirty numbers of eight bytes."""

F = TypeVar("F", ReceivingFigures, SendingFigures)

_LIMITS = ("none", "cpu", "bandwidth", "other")
"""RTCQualityLimitationReason of W3C's webrtc-stats."""


class ReportSeries:
    """Makes samples of snapshots, and keeps at most `MAX_SAMPLES`.

    Attributes:
        last: the newest snapshot.
    """

    def __init__(self) -> None:
        self.last: PeerStats | None = None
        self._step = FIRST_STEP
        self._newest: tuple[PeerStats, PeerStats] | None = None
        self._times = array("d")
        self._receiving = _Columns(ReceivingFigures)
        self._sending = _Columns(SendingFigures)

    def add(self, stats: PeerStats) -> None:
        """Take a snapshot. The newest sample stays open until one more could begin after it."""
        self.last = stats
        if self._newest is None:
            self._newest = (stats, stats)
            return
        begin, end = self._newest
        if stats.timestamp - end.timestamp < self._step * 0.9:
            return
        if begin is not end:
            self._close(begin, end)
        self._newest = (end, stats)

    def samples(self) -> Iterator[tuple[float, ReceivingFigures, SendingFigures]]:
        """The end of each sample, in seconds since the Unix epoch, and what happened in it."""
        yield from zip(self._times, self._receiving, self._sending, strict=True)
        if self._newest is not None and self.last is not None:
            begin, end = self._newest[0], self.last
            if end.timestamp > begin.timestamp:
                yield end.timestamp, receiving(begin, end), sending(begin, end)

    def _close(self, begin: PeerStats, end: PeerStats) -> None:
        self._times.append(end.timestamp)
        self._receiving.append(receiving(begin, end))
        self._sending.append(sending(begin, end))
        if len(self._times) == MAX_SAMPLES:
            self._step *= 2
            self._times = self._times[1::2]
            self._receiving.halve()
            self._sending.halve()


class _Columns(Generic[F]):
    """A column of numbers for each field of these figures; NaN is None."""

    def __init__(self, kind: type[F]) -> None:
        self._kind: type[F] = kind
        self._columns = {field.name: array("d") for field in fields(kind)}

    def append(self, figures: F) -> None:
        """Add a row."""
        for name, column in self._columns.items():
            column.append(_number(getattr(figures, name)))

    def halve(self) -> None:
        """Let every two rows become one."""
        for name, column in self._columns.items():
            join = _JOINED.get(name, _mean)
            column[:] = array("d", map(join, column[::2], column[1::2]))

    def __iter__(self) -> Iterator[F]:
        for row in zip(*self._columns.values(), strict=True):
            values = zip(self._columns, row, strict=True)
            yield self._kind(**{name: _value(name, number) for name, number in values})


def _number(value: float | str | None) -> float:
    if value is None:
        return math.nan
    if isinstance(value, str):
        return _LIMITS.index(value if value in _LIMITS else "other")
    return value


def _value(name: str, number: float) -> Any:
    if math.isnan(number):
        return None
    return _MADE.get(name, float)(number)


_MADE: Mapping[str, Callable[[float], object]] = {
    "width": int,
    "height": int,
    "interrupted": bool,
    "limited_by": lambda number: _LIMITS[int(number)],
}


def _mean(earlier: float, later: float) -> float:
    return _known(earlier, later, (earlier + later) / 2)


def _largest(earlier: float, later: float) -> float:
    return _known(earlier, later, max(earlier, later))


def _least(earlier: float, later: float) -> float:
    return _known(earlier, later, min(earlier, later))


def _later(_: float, later: float) -> float:
    return later


def _known(earlier: float, later: float, both: float) -> float:
    if math.isnan(earlier):
        return later
    return earlier if math.isnan(later) else both


# How two samples become one; all others are rates and shares. What a verdict names the worst of
# stays; an interruption is only what lasted.
_JOINED: Mapping[str, Callable[[float, float], float]] = {
    "delay": _largest,
    "jitter": _largest,
    "round_trip": _largest,
    "available_kbps": _least,
    "interrupted": _least,
    "width": _later,
    "height": _later,
    "limited_by": _later,
}
