"""How good a connection is said to be: pure, over recorded series and over made ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmesh import (
    MediaDirection,
    PathStats,
    PeerStats,
    QualityCause,
    QualityLevel,
    ReceivedStats,
    SentStats,
)
from ringmesh.media.quality import QualityJudge
from tests.client.series import judged, series

IN, OUT = MediaDirection.RECEIVING, MediaDirection.SENDING
GOOD, POOR, BAD = QualityLevel
CAUSES = [
    ("lossy", IN, BAD, QualityCause.LOSS),
    ("lossy", OUT, BAD, QualityCause.LOSS),
    ("narrow", IN, BAD, QualityCause.LOSS),
    ("narrow", OUT, POOR, QualityCause.BANDWIDTH),
    ("late", IN, BAD, QualityCause.DELAY),
    ("late", OUT, POOR, QualityCause.DELAY),
    ("cut", IN, BAD, QualityCause.INTERRUPTION),
    ("cut", OUT, BAD, QualityCause.INTERRUPTION),
]


def test_a_good_call_stays_good() -> None:
    """A recorded call without trouble is never called anything else."""
    assert judged(series("good")) == []


@pytest.mark.parametrize(("name", "direction", "level", "cause"), CAUSES)
def test_trouble_is_recognised(
    name: str, direction: MediaDirection, level: QualityLevel, cause: QualityCause
) -> None:
    """In a recorded call each trouble is named, with the level that it deserves."""
    found = [(quality.level, quality.causes[:1]) for _, way, quality in judged(series(name))
             if way is direction]  # fmt: skip
    assert (level, (cause,)) in found


@pytest.mark.parametrize("name", ["lossy", "narrow", "cut"])
def test_trouble_ends(name: str) -> None:
    """When a recorded trouble is over, both directions are good again; changes are few."""
    changes = judged(series(name))
    last = {direction: quality.level for _, direction, quality in changes}
    assert last == {IN: GOOD, OUT: GOOD}
    assert len(changes) <= 12


class Line:
    """A made connection: 50 packets of sound and 50 of pictures each second, 25 pictures."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.lost = self.came = self.bytes = self.pictures = self.packets_sent = 0
        self.frozen = 0.0
        self.judge = QualityJudge()

    def second(self, *, loss: float = 0.0, **overrides: Any) -> list[tuple[str, str]]:
        """One more second; what changes, as (direction, level)."""
        self.at += 1
        self.came += round(100 * (1 - loss))
        self.lost += round(100 * loss)
        self.bytes += 50_000
        self.pictures += overrides.pop("pictures", 25)
        self.frozen += overrides.pop("frozen", 0.0)
        stats = PeerStats(
            timestamp=self.at,
            audio_sent=SentStats(packets=self.packets_sent),
            audio_received=ReceivedStats(packets=self.came, packets_lost=self.lost),
            video_received=ReceivedStats(
                frames=self.pictures, frames_decoded=self.pictures, freeze_seconds=self.frozen
            ),
            path=overrides.pop(
                "path", PathStats(local_type="host", remote_type="host", bytes_received=self.bytes)
            ),
            **overrides,
        )
        changes = self.judge.judge(stats)
        return [(direction.value, quality.level.value) for direction, quality in changes]

    def seconds(self, count: int, **what: Any) -> list[tuple[str, str]]:
        """Some of them."""
        return [change for _ in range(count) for change in self.second(**what)]


def test_a_single_loss_is_no_news() -> None:
    """Two packets in a second of ten good ones change nothing."""
    line = Line()
    assert line.seconds(10) == []
    assert line.second(loss=0.02) == []
    assert line.seconds(10) == []


def test_about_the_threshold_there_is_no_flutter() -> None:
    """Loss that goes up and down around the threshold, quickly or slowly, is told once."""
    for swing in (1, 10):
        line = Line()
        line.seconds(5)
        losses = ([0.04] * swing + [0.02, 0.03] * swing) * (60 // swing)
        changes = [change for loss in losses for change in line.second(loss=loss)]
        assert changes == [("receiving", "poor")], swing


def test_better_is_told_late() -> None:
    """Worse is told within seconds, better only when it has stayed so."""
    line = Line()
    line.seconds(5)
    assert line.seconds(4, loss=0.3) == [("receiving", "bad")]
    assert line.seconds(6) == []
    assert line.seconds(6) == [("receiving", "good")]


def test_the_time_is_when_it_began() -> None:
    """A change says from when on it holds, which is before it is told."""
    line = Line()
    line.seconds(5)
    line.seconds(4, loss=0.3)
    since = line.judge.quality[IN].since
    assert since is not None
    assert 1005 < since < line.at


def test_a_camera_that_is_off_is_no_freeze() -> None:
    """The picture that is repeated twice a second while a camera is off has not frozen."""
    line = Line()
    line.seconds(5)
    assert line.seconds(20, pictures=2, frozen=0.9) == []
    assert line.seconds(5, pictures=8, frozen=0.5) == [("receiving", "bad")]


@pytest.mark.parametrize(
    ("available", "target", "expected"),
    [
        (2_000_000, 300_000, []),  # the limit is ours
        (310_000, 300_000, [("sending", "poor")]),
        (90_000, 80_000, [("sending", "bad")]),
    ],
)
def test_a_limit_of_our_own_is_no_trouble(
    available: float, target: float, expected: list[tuple[str, str]]
) -> None:
    """A picture kept small by `max_bandwidth` is not the network's fault."""
    line = Line()
    changes = []
    for _ in range(10):
        path = PathStats(
            local_type="host",
            remote_type="host",
            bytes_received=line.bytes,
            available_outgoing_bitrate=available,
        )
        sent = SentStats(limited_by="bandwidth", target_bitrate=target)
        changes += line.second(path=path, video_sent=sent)
        line.bytes += 1
    assert changes == expected


def test_a_slow_computer_is_named() -> None:
    """Pictures made worse for want of CPU are poor because of it."""
    line = Line()
    assert line.seconds(10, video_sent=SentStats(limited_by="cpu")) == [("sending", "poor")]
    assert line.judge.quality[OUT].causes == (QualityCause.CPU,)


def test_silence_is_told_at_once() -> None:
    """When nothing arrives any more both directions are bad within three seconds."""
    line = Line()
    line.seconds(5)
    dead = PathStats(local_type="host", remote_type="host", bytes_received=line.bytes)
    assert line.seconds(4, path=dead) == [("receiving", "bad"), ("sending", "bad")]
    assert line.judge.quality[IN].causes == (QualityCause.INTERRUPTION,)


def test_a_new_path_counts_from_zero() -> None:
    """After a change of path its counters begin anew; that is no interruption."""
    line = Line()
    line.seconds(5)
    line.bytes = 0
    assert line.seconds(10) == []


def test_old_snapshots_are_left_out() -> None:
    """Snapshots that are not newer change nothing, and lose nothing."""
    line = Line()
    line.seconds(5)
    line.at -= 3
    assert line.seconds(2, loss=0.9) == []


numbers: Callable[..., Any] = st.one_of
odd = numbers(st.integers(-(2**63), 2**63), st.just(0))
floats = numbers(st.floats(allow_nan=True, allow_infinity=True), st.just(0.0))
received = st.builds(
    ReceivedStats,
    bytes=odd, packets=odd, packets_lost=odd, jitter=st.none() | floats, samples=odd,
    concealed_samples=odd, silent_concealed_samples=odd, frames=st.none() | odd,
    frames_decoded=st.none() | odd, freeze_seconds=floats, jitter_buffer_seconds=floats,
    jitter_buffer_count=odd,
)  # fmt: skip
sent = st.builds(
    SentStats,
    bytes=odd, packets=odd, packets_lost=st.none() | odd, round_trip_time=st.none() | floats,
    jitter=st.none() | floats, target_bitrate=st.none() | floats,
    limited_by=st.sampled_from([None, "cpu", "bandwidth", "strange"]),
)  # fmt: skip
path = st.builds(
    PathStats,
    local_type=st.just("host"), remote_type=st.just("relay"), bytes_received=odd,
    available_outgoing_bitrate=st.none() | floats, round_trip_time=st.none() | floats,
)  # fmt: skip
snapshots = st.builds(
    PeerStats,
    timestamp=st.floats(0, 20),
    audio_sent=st.none() | sent, video_sent=st.none() | sent,
    audio_received=st.none() | received, video_received=st.none() | received,
    path=st.none() | path,
)  # fmt: skip


@given(st.lists(snapshots, max_size=12))
def test_nothing_breaks_it(several: list[PeerStats]) -> None:
    """Figures of any size and sign, and none at all, are judged without an error."""
    judge = QualityJudge()
    for stats in sorted(several, key=lambda item: item.timestamp):
        for _, quality in judge.judge(stats):
            assert (quality.level is GOOD) == (not quality.causes)
