"""What happened between two snapshots of a connection, as rates and shares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ringmesh.media.stats import PeerStats, ReceivedStats, bitrates


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivingFigures:
    """What came in. None means: not known, or nothing of the kind.

    Attributes:
        audio_kbps: payload, in kbit/s.
        video_kbps: likewise.
        loss: share (0 to 1) of the packets that did not come.
        jitter: seconds, the larger of sound's and picture's.
        delay: seconds from the far side's sender to our output, estimated as half the round trip
            and the wait in the jitter buffer; the sound's, or else the picture's.
        concealed: share (0 to 1) of the sound that had to be invented, silence left out.
        frozen: share (0 to 1) of the time in which the picture stood still and should not have.
        frames_per_second: pictures decoded.
        width: pixels of the last picture.
        height: pixels of the last picture.
        interrupted: whether nothing at all arrived.
    """

    audio_kbps: float = 0.0
    video_kbps: float = 0.0
    loss: float | None = None
    jitter: float | None = None
    delay: float | None = None
    concealed: float | None = None
    frozen: float | None = None
    frames_per_second: float | None = None
    width: int | None = None
    height: int | None = None
    interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingFigures:
    """What went out, as far as the far side tells. None means: not known, or nothing of the kind.

    Attributes:
        audio_kbps: payload, in kbit/s.
        video_kbps: likewise.
        loss: share (0 to 1) of the packets that did not arrive.
        jitter: seconds, the larger of sound's and picture's.
        round_trip: seconds to the far side and back.
        frames_per_second: pictures sent.
        width: pixels of the last picture.
        height: pixels of the last picture.
        target_kbps: what the video encoder aims at.
        available_kbps: what congestion control believes to fit through.
        limited_by: ``none``, ``cpu``, ``bandwidth`` or ``other``: why pictures are made worse.
        interrupted: whether nothing at all came back.
    """

    audio_kbps: float = 0.0
    video_kbps: float = 0.0
    loss: float | None = None
    jitter: float | None = None
    round_trip: float | None = None
    frames_per_second: float | None = None
    width: int | None = None
    height: int | None = None
    target_kbps: float | None = None
    available_kbps: float | None = None
    limited_by: str | None = None
    interrupted: bool = False


STILL = 3.0
"""Pictures per second up to which a picture without loss is still on purpose, not frozen."""


def receiving(before: PeerStats, after: PeerStats) -> ReceivingFigures:
    """What came in between two snapshots of one connection."""
    rates = bitrates(before, after)
    video, audio = after.video_received, after.audio_received
    return ReceivingFigures(
        audio_kbps=rates.audio_received / 1000,
        video_kbps=rates.video_received / 1000,
        loss=_received_loss(before, after),
        jitter=_largest(part.jitter for part in (audio, video) if part is not None),
        delay=_delay(before, after),
        concealed=_concealed(before.audio_received, audio),
        frozen=_frozen(before, after),
        frames_per_second=_frame_rate(before, after),
        width=None if video is None else video.width,
        height=None if video is None else video.height,
        interrupted=_interrupted(before, after),
    )


def sending(before: PeerStats, after: PeerStats) -> SendingFigures:
    """What went out between two snapshots of one connection."""
    rates = bitrates(before, after)
    video, audio, path = after.video_sent, after.audio_sent, after.path
    parts = [part for part in (audio, video) if part is not None]
    target = None if video is None else video.target_bitrate
    available = None if path is None else path.available_outgoing_bitrate
    return SendingFigures(
        audio_kbps=rates.audio_sent / 1000,
        video_kbps=rates.video_sent / 1000,
        loss=_sent_loss(before, after),
        jitter=_largest(part.jitter for part in parts),
        round_trip=_round_trip(after),
        frames_per_second=None if video is None else video.frames_per_second,
        width=None if video is None else video.width,
        height=None if video is None else video.height,
        target_kbps=None if target is None else target / 1000,
        available_kbps=None if available is None else available / 1000,
        limited_by=None if video is None else video.limited_by,
        interrupted=_interrupted(before, after),
    )


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def is_still(before: PeerStats, after: PeerStats) -> bool:
    """Whether so few pictures came, and none were lost, that they are meant to stand still."""
    earlier, later = before.video_received, after.video_received
    seconds = after.timestamp - before.timestamp
    if earlier is None or later is None or seconds <= 0 or _received_loss(before, after):
        return False
    return ((later.frames or 0) - (earlier.frames or 0)) / seconds <= STILL


def _received_loss(before: PeerStats, after: PeerStats) -> float | None:
    lost = came = 0
    for earlier, later in (
        (before.audio_received, after.audio_received),
        (before.video_received, after.video_received),
    ):
        if earlier is not None and later is not None:
            lost += max(0, later.packets_lost - earlier.packets_lost)
            came += later.packets - earlier.packets
    return lost / (lost + came) if lost + came > 0 else None


def _sent_loss(before: PeerStats, after: PeerStats) -> float | None:
    lost = sent = 0
    for earlier, later in (
        (before.audio_sent, after.audio_sent),
        (before.video_sent, after.video_sent),
    ):
        if earlier is None or later is None or later.packets_lost is None:
            continue
        lost += max(0, later.packets_lost - (earlier.packets_lost or 0))
        sent += later.packets - earlier.packets
    return min(1.0, lost / sent) if sent > 0 else None


def _round_trip(stats: PeerStats) -> float | None:
    parts = (stats.audio_sent, stats.video_sent)
    times = [part.round_trip_time for part in parts if part is not None and part.round_trip_time]
    if stats.path is not None and stats.path.round_trip_time is not None:
        times.append(stats.path.round_trip_time)
    return max(times, default=None)


def _delay(before: PeerStats, after: PeerStats) -> float | None:
    later = after.audio_received or after.video_received
    earlier = before.audio_received if after.audio_received else before.video_received
    if earlier is None or later is None:
        return None
    count = later.jitter_buffer_count - earlier.jitter_buffer_count
    if count <= 0:
        return None
    wait = (later.jitter_buffer_seconds - earlier.jitter_buffer_seconds) / count
    return max(0.0, wait) + (_round_trip(after) or 0.0) / 2


def _concealed(earlier: ReceivedStats | None, later: ReceivedStats | None) -> float | None:
    if earlier is None or later is None or later.samples <= earlier.samples:
        return None

    def heard(stats: ReceivedStats) -> int:
        return stats.concealed_samples - stats.silent_concealed_samples

    share = (heard(later) - heard(earlier)) / (later.samples - earlier.samples)
    return min(1.0, max(0.0, share))


def _frame_rate(before: PeerStats, after: PeerStats) -> float | None:
    earlier, later = before.video_received, after.video_received
    seconds = after.timestamp - before.timestamp
    if later is None or later.frames_decoded is None or seconds <= 0:
        return None
    first = (earlier.frames_decoded if earlier else 0) or 0
    return max(0, later.frames_decoded - first) / seconds


def _frozen(before: PeerStats, after: PeerStats) -> float | None:
    earlier, later = before.video_received, after.video_received
    seconds = after.timestamp - before.timestamp
    if earlier is None or later is None or seconds <= 0:
        return None
    if is_still(before, after):
        return 0.0
    return min(1.0, max(0.0, later.freeze_seconds - earlier.freeze_seconds) / seconds)


def _interrupted(before: PeerStats, after: PeerStats) -> bool:
    if before.path is None:
        return False
    return after.path is None or after.path.bytes_received == before.path.bytes_received
