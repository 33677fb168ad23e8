"""How good a connection is, in each direction, and why it is not better.

Pure: snapshots go in, changes come out, and the snapshots' own timestamps are the clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from ringmesh.media.figures import SendingFigures, is_still, receiving, sending
from ringmesh.media.stats import PeerStats

WINDOW = 4.0
"""Seconds that are looked at together: one lost packet says nothing."""

SETTLE = 2.0
"""Seconds after the first snapshot before anything is judged, and that an interruption lasts."""

WORSE_AFTER = 1.0
"""Seconds that trouble must last until the quality is called worse."""

BETTER_AFTER = 5.0
"""Seconds that it must stay better until the quality is called better."""

OTHER_CAUSE_AFTER = 3.0
"""Seconds that another cause must be the first one until it is told."""

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
    """How good it is.

    Attributes:
        level: the level.
        causes: those that alone would give this level, the worst first and what only follows from
            others (gaps, freezes) last; none when it is good.
        since: from when on it has held, in seconds since the Unix epoch: a little before
            it was told, see `WORSE_AFTER` and `BETTER_AFTER`; None from the beginning.
    """

    level: QualityLevel = QualityLevel.GOOD
    causes: tuple[QualityCause, ...] = ()
    since: float | None = None


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

_SYMPTOMS = (QualityCause.GAPS, QualityCause.FREEZES)  # of other causes, so they are told last

SCARCE_VIDEO_KBPS = 150
"""Less than this leaves no useful picture."""

SCARCE_AUDIO_KBPS = 24
"""Less than this leaves no good sound."""


class QualityJudge:
    """Judges one connection. Give it every snapshot, in order."""

    def __init__(self) -> None:
        self._window: deque[PeerStats] = deque()
        self._freezes = _Freezes()
        self._states = {direction: _State() for direction in MediaDirection}

    @property
    def quality(self) -> Mapping[MediaDirection, Quality]:
        """What holds now, by direction."""
        return {direction: state.quality for direction, state in self._states.items()}

    def judge(self, stats: PeerStats) -> list[tuple[MediaDirection, Quality]]:
        """Take a snapshot; the directions whose level, or first cause, has changed, with what
        holds now.

        A snapshot that is not newer than the one before is left out.
        """
        now, window = stats.timestamp, self._window
        if window and now <= window[-1].timestamp:
            return []
        window.append(stats)
        while len(window) > 2 and window[1].timestamp <= now - WINDOW:
            window.popleft()
        self._freezes.take(window)
        recent = _before(window, SETTLE)
        if recent is None:
            return []
        silent = receiving(recent, stats).interrupted
        measures = {
            MediaDirection.RECEIVING: (
                _INTERRUPTED if silent else _received(window[0], stats, self._freezes.share)
            ),
            MediaDirection.SENDING: _INTERRUPTED if silent else _sent(window[0], stats),
        }
        return [
            (direction, state.quality)
            for direction, state in self._states.items()
            if state.update(measures[direction], now)
        ]


_Measures: TypeAlias = Mapping[QualityCause, float | None]

_INTERRUPTED: _Measures = {QualityCause.INTERRUPTION: 1.0}


def _before(window: deque[PeerStats], seconds: float) -> PeerStats | None:
    """The last snapshot that is at least so much older than the newest."""
    until = window[-1].timestamp - seconds
    return next((item for item in reversed(window) if item.timestamp <= until), None)


class _Freezes:
    """For how long, within the window, the picture stood still and should not have.

    Who switches his camera off sends a still picture twice a second, which counts as freezes at
    first: such are forgotten once it is seen that nothing else is sent, and nothing lost.
    """

    def __init__(self) -> None:
        self._spells: deque[tuple[float, float]] = deque()

    @property
    def share(self) -> float:
        """Of the window, 0 to 1."""
        return min(1.0, sum(seconds for _, seconds in self._spells) / WINDOW)

    def take(self, window: deque[PeerStats]) -> None:
        """Look at the newest snapshot."""
        now = window[-1].timestamp
        frozen = _freeze_seconds(window[-1]) - _freeze_seconds(window[max(0, len(window) - 2)])
        if frozen > 0:
            self._spells.append((now, frozen))
        second_ago = _before(window, 1.0)
        still = second_ago is not None and is_still(second_ago, window[-1])
        while self._spells and self._spells[0][0] <= now - WINDOW:
            self._spells.popleft()
        while still and self._spells and self._spells[-1][0] > now - SETTLE - 1:
            self._spells.pop()


def _freeze_seconds(stats: PeerStats) -> float:
    return stats.video_received.freeze_seconds if stats.video_received is not None else 0.0


def _received(before: PeerStats, after: PeerStats, frozen: float) -> _Measures:
    figures = receiving(before, after)
    return {
        QualityCause.LOSS: figures.loss,
        QualityCause.GAPS: figures.concealed,
        QualityCause.FREEZES: frozen,
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
        self._pending: tuple[str, float] | None = None

    def update(self, measures: _Measures, now: float) -> bool:
        """Take the measures of this moment; whether something is to be told."""
        known = {cause: value for cause, value in measures.items() if value is not None}
        self._levels = {cause: self._level(cause, value) for cause, value in known.items()}
        top = max(self._levels.values(), key=_LEVELS.index, default=QualityLevel.GOOD)
        current = self.quality.level
        causes = self._causes(top, known)
        if top is current and causes[:1] == self.quality.causes[:1]:
            self._pending = None
            self.quality = replace(self.quality, causes=causes)
            return False
        if _LEVELS.index(top) > _LEVELS.index(current):
            change, wait = "worse", WORSE_AFTER
        elif top is current:
            change = "other cause"
            wait = 0.0 if causes[0] is QualityCause.INTERRUPTION else OTHER_CAUSE_AFTER
        else:
            change, wait = "better", BETTER_AFTER
        if self._pending is None or self._pending[0] != change:
            self._pending = (change, now)
        if now - self._pending[1] < wait:
            return False
        self.quality = Quality(top, causes, self._pending[1])
        self._pending = None
        return True

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
        weight = {cause: measures[cause] / _THRESHOLDS[cause][threshold] for cause in there}
        return tuple(sorted(there, key=lambda cause: (cause in _SYMPTOMS, -weight[cause])))
