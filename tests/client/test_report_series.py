"""What a report keeps of a call of any length: pure, made of snapshots."""

from __future__ import annotations

import gc
import json
import tracemalloc
from itertools import pairwise

import pytest

from ringmesh import CallType, MediaDirection, QualityCause, QualityLevel
from ringmesh.client.report import CallReport
from ringmesh.client.report_builder import ENDED, MAX_EVENTS, CallReportBuilder
from ringmesh.client.report_series import MAX_SAMPLES, ReportSeries
from ringmesh.media.figures import receiving, sending
from ringmesh.media.quality import Quality
from ringmesh.media.stats import PathStats, PeerStats, ReceivedStats, SentStats
from tests.client.series import series

DAY = 24 * 3600


def snapshot(second: int) -> PeerStats:
    """A call in which each second is as the one before, but for every hundredth: that is late."""
    late = 0.9 if second % 100 == 0 else 0.1
    return PeerStats(
        timestamp=1_700_000_000.0 + second,
        audio_received=ReceivedStats(bytes=4_000 * second, packets=50 * second, jitter=late / 10),
        video_received=ReceivedStats(
            bytes=60_000 * second,
            packets=100 * second,
            packets_lost=3 * second,
            frames=25 * second,
            frames_decoded=25 * second,
            width=640,
            height=360,
        ),
        video_sent=SentStats(
            bytes=50_000 * second,
            packets=90 * second,
            limited_by="bandwidth",
            width=320,
            height=180,
        ),
        path=PathStats(
            local_type="host",
            remote_type="relay",
            round_trip_time=late,
            available_outgoing_bitrate=800_000.0 - 500_000 * late,
            bytes_received=70_000 * second,
        ),
    )


def call_of(seconds: int, *, every: int = 1, changing: bool = False) -> CallReportBuilder:
    """A call with one person; each look may find another quality and a lost path."""
    builder = CallReportBuilder(CallType.VIDEO_CALL)
    for second in range(0, seconds, every):
        stats = snapshot(second)
        builder.add_stats(1, stats)
        if changing:
            level = QualityLevel.BAD if second // every % 2 else QualityLevel.GOOD
            causes = (QualityCause.LOSS,) if level is QualityLevel.BAD else ()
            for direction in MediaDirection:
                builder.add_quality(1, direction, Quality(level, causes, stats.timestamp))
            builder.add_event(1, "connection lost", stats.timestamp)
    return builder


def report_of(builder: CallReportBuilder, seconds: int) -> CallReport:
    """Its report at the end."""
    return builder.build("id", snapshot(seconds).timestamp, {})


@pytest.mark.parametrize("name", ["good", "lossy", "narrow", "late", "cut"])
def test_nothing_is_changed_by_keeping_it(name: str) -> None:
    """As long as there is room, the samples are exactly what happened between the snapshots."""
    snapshots, kept = series(name), ReportSeries()
    for stats in snapshots:
        kept.add(stats)
    assert list(kept.samples()) == [
        (after.timestamp, receiving(before, after), sending(before, after))
        for before, after in pairwise(snapshots)
    ]


@pytest.mark.parametrize(("changing", "every", "most"), [(False, 5, 150_000), (True, 50, 400_000)])
def test_the_memory_of_a_day(changing: bool, every: int, most: int) -> None:
    """A call of 24 hours costs less than 150 kB a person, and 400 kB with trouble without end."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        builder = call_of(DAY, every=every, changing=changing)
        gc.collect()  # also empties CPython's own stock of free tuples
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < most
    [person] = report_of(builder, DAY).people
    assert MAX_SAMPLES // 2 <= len(person.samples) <= MAX_SAMPLES


def test_a_day_is_told_right() -> None:
    """However long samples last: rates and shares stay what they were, the worst delay is kept."""
    made = report_of(call_of(DAY), DAY)
    [person] = made.people
    for sample in person.samples:
        assert sample.receiving.audio_kbps == pytest.approx(32)
        assert sample.receiving.video_kbps == pytest.approx(480)
        assert sample.receiving.frames_per_second == pytest.approx(25)
        assert sample.receiving.loss == pytest.approx(3 / 153)
        assert (sample.receiving.width, sample.receiving.height) == (640, 360)
        assert (sample.sending.width, sample.sending.limited_by) == (320, "bandwidth")
        assert (sample.receiving.interrupted, sample.receiving.concealed) == (False, None)
    assert max(sample.sending.round_trip or 0 for sample in person.samples) == 0.9
    assert min(sample.sending.available_kbps or 0 for sample in person.samples) == 350
    times = [sample.at for sample in person.samples]
    assert times[-1] == pytest.approx(DAY - 1)
    assert max(later - at for at, later in pairwise(times)) < 3 * DAY / MAX_SAMPLES
    assert "Bitrate" in made.to_html()
    assert json.loads(made.to_json())["people"][0]["samples"][0]["receiving"]["width"] == 640


def test_neighbours_become_one() -> None:
    """The first seconds of a longer call are averaged, the worst of their delays is kept."""
    kept = ReportSeries()
    for second in range(MAX_SAMPLES + 2):
        kept.add(snapshot(second))
    samples = list(kept.samples())
    assert len(samples) == MAX_SAMPLES // 2 + 1
    begun = snapshot(0).timestamp
    assert [round(at - begun) for at, _, _ in samples[:3]] == [2, 4, 6]
    assert [sent.round_trip for _, _, sent in samples[48:51]] == [0.1, 0.9, 0.1]


def test_trouble_without_end_is_told_until_the_end() -> None:
    """When there are too many changes, the shortest spells are left out, and never the end."""
    builder = CallReportBuilder(CallType.VIDEO_CALL)
    begun, at, long = snapshot(0).timestamp, 0, 0
    for spell in range(2 * MAX_EVENTS):
        good = Quality(QualityLevel.GOOD, (), begun + at)
        bad = Quality(QualityLevel.BAD, (QualityCause.LOSS,), begun + at)
        builder.add_event(1, "connection lost", begun + at)
        builder.add_quality(1, MediaDirection.SENDING, bad if spell % 2 else good)
        long += spell % 8 == 7
        at += 100 if spell % 8 == 7 else 1
    builder.add_event(1, ENDED, begun + at)
    [person] = builder.build("id", begun + at + 1000, {}).people
    assert len(person.events) == MAX_EVENTS
    assert person.events[-1].what == ENDED
    assert len(person.periods) <= MAX_EVENTS
    assert len([period for period in person.periods if period.seconds >= 100]) == long
    assert (person.periods[-1].begin, person.periods[-1].end) == (at - 100, at)
