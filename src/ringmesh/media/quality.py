"""How good a connection is, in each direction, and why it is not better.

Pure: snapshots go in, changes come out, and the snapshots' own timestamps are the clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from ringmesh.media.figures import SendingFigures, receiving, sending
from ringmesh.media.stats import PeerStats

WINDOW = 4.0
"""Seconds that are looked at together: one lost packet says nothing."""

SETTLE = 2.0
"""Seconds after the first snapshot before anything is judged, and that an interruption lasts."""

WORSE_AFTER = 1.0
"""Seconds that trouble must last until the quality is called worse."""

BETTER_AFTER = 5.0
"""Seconds that it must stay better until the quality is called better."""

RECOVERED = 0.7
"""Share of a threshold below which trouble that was there counts as gone."""


class MediaDirection(StrEnum):
    """Which way media goes, as we see it."""

    RECEIVING = "receiving"
    SENDING = "sending"


class QualityLevel(StrEnum):
    """How good it is: ``poor`` is noticed, ``bad`` disturbs the conversation."""

    GOOD = "good"
    POOR = "poor"
    BAD = "bad"


class QualityCause(StrEnum):
    """What makes it worse than good.

    ``loss``: packets do not arrive. ``delay``: it takes long until we are heard or hear.
    ``jitter``: packets come unevenly. ``gaps``: sound had to be invented. ``freezes``: the
    picture stands still. ``bandwidth``: the network carries less than the picture needs.
    ``cpu``: this computer is too slow. ``interruption``: nothing arrives at all.
    """

    LOSS = "loss"
    DELAY = "delay"
    JITTER = "jitter"
    GAPS = "gaps"
    FREEZES = "freezes"
    BANDWIDTH = "bandwidth"
    CPU = "cpu"
    INTERRUPTION = "interruption"


@dataclass(frozen=True, slots=True)
class Quality:
    """A level, and the causes that alone would give it, the worst first; none when it is good."""

    level: QualityLevel = QualityLevel.GOOD
    causes: tuple[QualityCause, ...] = ()


_LEVELS = tuple(QualityLevel)

# From when on it is poor, and bad. Delays are one way: ITU-T G.114 recommends at most 0.15 s, and
# 0.4 s as the limit of what is acceptable.
_THRESHOLDS: Mapping[QualityCause, tuple[float, float]] = {
    QualityCause.INTERRUPTION: (0.5, 1.0),
    QualityCause.LOSS: (0.03, 0.1),
    QualityCause.GAPS: (0.03, 0.1),
    QualityCause.FREEZES: (0.06, 0.25),
    QualityCause.BANDWIDTH: (1.0, 2.0),
    QualityCause.DELAY: (0.25, 0.4),
    QualityCause.JITTER: (0.05, 0.12),
    QualityCause.CPU: (1.0, 2.0),
}

SCARCE_VIDEO_KBPS = 150
"""Less than this leaves no useful picture."""

SCARCE_AUDIO_KBPS = 24
"""Less than this leaves no good sound."""


class QualityJudge:
    """Judges one connection. Give it every snapshot, in order."""

    def __init__(self) -> None:
        self._window: deque[PeerStats] = deque()
        self._states = {direction: _State() for direction in MediaDirection}

    @property
    def quality(self) -> Mapping[MediaDirection, Quality]:
        """What holds now, by direction."""
        return {direction: state.quality for direction, state in self._states.items()}

    def judge(self, stats: PeerStats) -> list[tuple[MediaDirection, Quality]]:
        """Take a snapshot; the directions whose level has changed, with what holds now.

        A snapshot that is not newer than the one before is left out.
        """
        now, window = stats.timestamp, self._window
        if window and now <= window[-1].timestamp:
            return []
        window.append(stats)
        while len(window) > 2 and window[1].timestamp <= now - WINDOW:
            window.popleft()
        recent = next((item for item in reversed(window) if item.timestamp <= now - SETTLE), None)
        if recent is None:
            return []
        silent = receiving(recent, stats).interrupted
        measures = {
            MediaDirection.RECEIVING: _INTERRUPTED if silent else _received(window[0], stats),
            MediaDirection.SENDING: _INTERRUPTED if silent else _sent(window[0], stats),
        }
        return [
            (direction, state.quality)
            for direction, state in self._states.items()
            if state.update(measures[direction], now)
        ]


_Measures: TypeAlias = Mapping[QualityCause, float | None]

_INTERRUPTED: _Measures = {QualityCause.INTERRUPTION: 1.0}


def _received(before: PeerStats, after: PeerStats) -> _Measures:
    figures = receiving(before, after)
    return {
        QualityCause.LOSS: figures.loss,
        QualityCause.GAPS: figures.concealed,
        QualityCause.FREEZES: figures.frozen,
        QualityCause.DELAY: figures.delay,
        QualityCause.JITTER: figures.jitter,
    }


def _sent(before: PeerStats, after: PeerStats) -> _Measures:
    figures = sending(before, after)
    trip = figures.round_trip
    return {
        QualityCause.LOSS: figures.loss,
        QualityCause.BANDWIDTH: _shortage(figures),
        QualityCause.DELAY: None if trip is None else trip / 2,
        QualityCause.JITTER: figures.jitter,
        QualityCause.CPU: 1.0 if figures.limited_by == "cpu" else 0.0,
    }


def _shortage(figures: SendingFigures) -> float:
    """Whether the network carries too little: 0, 1 for less than is wanted, 2 for hardly any."""
    available = figures.available_kbps
    if available is None:
        return 0.0
    if figures.target_kbps is None:
        return 2.0 if available < SCARCE_AUDIO_KBPS else 0.0
    if figures.limited_by != "bandwidth":
        return 0.0
    if available > 1.5 * (figures.target_kbps + figures.audio_kbps):
        return 0.0  # a limit set by people, not by the network
    return 2.0 if available < SCARCE_VIDEO_KBPS else 1.0


class _State:
    """One direction: its level follows the measures with hysteresis, in value and in time."""

    def __init__(self) -> None:
        self.quality = Quality()
        self._levels: dict[QualityCause, QualityLevel] = {}
        self._pending: tuple[bool, float] | None = None

    def update(self, measures: _Measures, now: float) -> bool:
        """Take the measures of this moment; whether the level changed."""
        known = {cause: value for cause, value in measures.items() if value is not None}
        self._levels = {cause: self._level(cause, value) for cause, value in known.items()}
        top = max(self._levels.values(), key=_LEVELS.index, default=QualityLevel.GOOD)
        current = self.quality.level
        if top is current:
            self._pending = None
        else:
            worse = _LEVELS.index(top) > _LEVELS.index(current)
            if self._pending is None or self._pending[0] is not worse:
                self._pending = (worse, now)
            if now - self._pending[1] < (WORSE_AFTER if worse else BETTER_AFTER):
                return False
            self._pending = None
        self.quality = Quality(top, self._causes(top, known))
        return top is not current

    def _level(self, cause: QualityCause, value: float) -> QualityLevel:
        before = _LEVELS.index(self._levels.get(cause, QualityLevel.GOOD))
        level = 0
        for index, threshold in enumerate(_THRESHOLDS[cause], 1):
            if value >= threshold * (RECOVERED if before >= index else 1.0):
                level = index
        return _LEVELS[level]

    def _causes(
        self, level: QualityLevel, measures: Mapping[QualityCause, float]
    ) -> tuple[QualityCause, ...]:
        if level is QualityLevel.GOOD:
            return ()
        threshold = _LEVELS.index(level) - 1
        there = [cause for cause in measures if self._levels[cause] is level]
        there.sort(key=lambda cause: measures[cause] / _THRESHOLDS[cause][threshold], reverse=True)
        return tuple(there)
