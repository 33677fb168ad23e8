"""Collects what a report needs while a call runs. Pure: the time comes in from outside."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from ringmesh.client.report import (
    CallReport,
    PersonReport,
    QualityPeriod,
    ReportEvent,
    ReportSample,
)
from ringmesh.client.report_series import ReportSeries
from ringmesh.client.report_verdict import verdict
from ringmesh.media.quality import MediaDirection, Quality, QualityLevel
from ringmesh.media.stats import PeerStats
from ringmesh.signals import CallType

MAX_EVENTS = 500
"""Events of each person, and changes of the quality in each direction, that are kept. Later events
are left out, and of the spells between changes the shortest."""

ENDED = "ended"
"""The event after which nothing more is known of a person."""


@dataclass(slots=True)
class _Person:
    series: ReportSeries = field(default_factory=ReportSeries)
    changes: dict[MediaDirection, list[tuple[float, Quality]]] = field(
        default_factory=lambda: {direction: [] for direction in MediaDirection}
    )
    events: list[ReportEvent] = field(default_factory=list)


class CallReportBuilder:
    """Collects what a report needs, in bounded memory. All times are Unix seconds."""

    def __init__(self, call_type: CallType) -> None:
        self._call_type = call_type
        self._begun_at: float | None = None
        self._people: dict[int, _Person] = {}

    def add_event(self, user_id: int, what: str, at: float) -> None:
        """Something happened; the first event is the beginning of the report."""
        if self._begun_at is None:
            self._begun_at = at
        events = self._person(user_id).events
        if len(events) < MAX_EVENTS - (what != ENDED):
            events.append(ReportEvent(at - self._begun_at, what))

    def add_stats(self, user_id: int, stats: PeerStats) -> None:
        """A snapshot; those of one connection come in order."""
        if self._begun_at is None:
            self._begun_at = stats.timestamp
        self._person(user_id).series.add(stats)

    def add_quality(self, user_id: int, direction: MediaDirection, quality: Quality) -> None:
        """A level changed."""
        changes = self._person(user_id).changes[direction]
        if quality.since is None:
            return
        at = quality.since - (self._begun_at or quality.since)
        changes.append((max(at, changes[-1][0] if changes else 0.0), quality))
        if len(changes) > MAX_EVENTS:
            _leave_out_shortest(changes)

    def build(self, session_id: str, now: float, names: Mapping[int, str]) -> CallReport:
        """The report of everything until now."""
        seconds = 0.0 if self._begun_at is None else max(0.0, now - self._begun_at)
        people = tuple(
            self._person_report(user_id, person, seconds, names.get(user_id, str(user_id)))
            for user_id, person in self._people.items()
        )
        return CallReport(
            session_id=session_id,
            media="video" if self._call_type is CallType.VIDEO_CALL else "audio",
            begun_at=self._begun_at,
            seconds=seconds,
            verdict=verdict(people, seconds),
            people=people,
        )

    def _person(self, user_id: int) -> _Person:
        return self._people.setdefault(user_id, _Person())

    def _person_report(
        self, user_id: int, person: _Person, seconds: float, name: str
    ) -> PersonReport:
        last = person.series.last
        end = next((event.at for event in person.events if event.what == ENDED), seconds)
        path = last.path if last is not None else None
        video = last.video_received if last is not None else None
        audio = last.audio_received if last is not None else None
        periods = [
            period
            for direction, changes in person.changes.items()
            for period in _periods(direction, changes, end)
        ]
        return PersonReport(
            user_id=user_id,
            name=name,
            path=None if path is None else "relayed" if path.relayed else "direct",
            video_codec=None if video is None else video.codec,
            audio_codec=None if audio is None else audio.codec,
            samples=tuple(self._samples(person)),
            periods=tuple(sorted(periods, key=lambda period: period.begin)),
            events=tuple(person.events),
        )

    def _samples(self, person: _Person) -> Iterator[ReportSample]:
        begun_at = self._begun_at or 0.0
        for time, receiving, sending in person.series.samples():
            at = time - begun_at
            yield ReportSample(
                at=at,
                receiving=receiving,
                sending=sending,
                receiving_level=_level(person.changes[MediaDirection.RECEIVING], at),
                sending_level=_level(person.changes[MediaDirection.SENDING], at),
            )


def _leave_out_shortest(changes: list[tuple[float, Quality]]) -> None:
    """What held before the shortest spell is then said to have held in it, too."""
    lengths = [later - at for (at, _), (later, _) in pairwise(changes)]
    del changes[lengths.index(min(lengths))]


def _level(changes: list[tuple[float, Quality]], at: float) -> QualityLevel:
    index = bisect_right(changes, at, key=lambda change: change[0])
    return changes[index - 1][1].level if index else QualityLevel.GOOD


def _periods(
    direction: MediaDirection, changes: list[tuple[float, Quality]], end: float
) -> list[QualityPeriod]:
    ends = [at for at, _ in changes[1:]] + [end]
    return [
        QualityPeriod(
            direction=direction, level=quality.level, causes=quality.causes, begin=begin, end=until
        )
        for (begin, quality), until in zip(changes, ends, strict=False)
        if quality.level is not QualityLevel.GOOD
    ]
