"""Statistics of one peer connection as plain values, named after W3C WebRTC Statistics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SentStats:
    """What is sent of one kind of media.

    Counters start at 0 with the connection. None means: not known, or not for this kind.

    Attributes:
        codec: for instance ``VP8`` or ``opus``.
        bytes: payload bytes, without headers.
        packets: RTP packets.
        packets_lost: as the receiver reports them; may be negative (duplicates).
        retransmitted_packets: packets sent again.
        round_trip_time: seconds, from RTCP.
        jitter: seconds, as the receiver reports it.
        audio_level: 0 to 1, of what the source gives.
        frames: pictures sent.
        frames_encoded: pictures encoded.
        key_frames: key frames encoded.
        width: pixels of the last picture.
        height: pixels of the last picture.
        frames_per_second: pictures in the last second.
        target_bitrate: bit/s that the encoder aims at.
        limited_by: ``none``, ``cpu``, ``bandwidth`` or ``other``: why quality is reduced.
    """

    codec: str | None = None
    bytes: int = 0
    packets: int = 0
    packets_lost: int | None = None
    retransmitted_packets: int = 0
    round_trip_time: float | None = None
    jitter: float | None = None
    audio_level: float | None = None
    frames: int | None = None
    frames_encoded: int | None = None
    key_frames: int | None = None
    width: int | None = None
    height: int | None = None
    frames_per_second: float | None = None
    target_bitrate: float | None = None
    limited_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedStats:
    """What is received of one kind of media.

    Attributes:
        codec: for instance ``VP8`` or ``opus``.
        bytes: payload bytes, without headers.
        packets: RTP packets.
        packets_lost: packets that never came; may be negative (duplicates).
        jitter: seconds.
        jitter_buffer_seconds: the sum, over all samples or pictures, of the time that each waited
            in the jitter buffer.
        jitter_buffer_count: samples or pictures that have left the jitter buffer.
        audio_level: 0 to 1.
        samples: audio samples played, with the invented ones.
        concealed_samples: audio samples invented for missing ones.
        silent_concealed_samples: those of them that were silence.
        frames: pictures received.
        frames_decoded: pictures decoded.
        frames_dropped: pictures dropped before decoding.
        key_frames: key frames decoded.
        freezes: how often the picture stood still.
        freeze_seconds: for how long in all; a freeze counts when it is over.
        width: pixels of the last picture.
        height: pixels of the last picture.
        frames_per_second: pictures decoded in the last second.
    """

    codec: str | None = None
    bytes: int = 0
    packets: int = 0
    packets_lost: int = 0
    jitter: float | None = None
    jitter_buffer_seconds: float = 0.0
    jitter_buffer_count: int = 0
    audio_level: float | None = None
    samples: int = 0
    concealed_samples: int = 0
    silent_concealed_samples: int = 0
    frames: int | None = None
    frames_decoded: int | None = None
    frames_dropped: int | None = None
    key_frames: int | None = None
    freezes: int | None = None
    freeze_seconds: float = 0.0
    width: int | None = None
    height: int | None = None
    frames_per_second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStats:
    """The selected candidate pair.

    Attributes:
        local_type: ``host``, ``srflx``, ``prflx`` or ``relay`` (RFC 8445).
        remote_type: likewise.
        protocol: ``udp`` or ``tcp``, of the local candidate.
        relay_protocol: how the local relay is reached, ``udp``, ``tcp`` or ``tls``.
        round_trip_time: seconds, from STUN checks.
        available_outgoing_bitrate: bit/s, as congestion control estimates it.
        bytes_sent: all bytes on this pair, with retransmissions and RTCP.
        bytes_received: likewise.
        checks: STUN checks received, and answers to ours (RFC 7675).
        pair_id: names the pair: another one has another name, as after an ICE restart.
    """

    local_type: str
    remote_type: str
    protocol: str | None = None
    relay_protocol: str | None = None
    round_trip_time: float | None = None
    available_outgoing_bitrate: float | None = None
    bytes_sent: int = 0
    bytes_received: int = 0
    checks: int = 0
    pair_id: str = ""

    @property
    def relayed(self) -> bool:
        """Whether a TURN server is in between, on either side."""
        return "relay" in (self.local_type, self.remote_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStats:
    """A snapshot of one peer connection.

    Attributes:
        timestamp: seconds since the Unix epoch.
        audio_sent: None when no audio is sent; the other three likewise.
        path: None until a candidate pair is selected.
    """

    timestamp: float
    audio_sent: SentStats | None = None
    video_sent: SentStats | None = None
    audio_received: ReceivedStats | None = None
    video_received: ReceivedStats | None = None
    path: PathStats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bitrates:
    """Mean payload bitrates between two snapshots, in bit/s."""

    audio_sent: float = 0.0
    video_sent: float = 0.0
    audio_received: float = 0.0
    video_received: float = 0.0


def bitrates(before: PeerStats, after: PeerStats) -> Bitrates:
    """The bitrates between two snapshots of one connection; 0 where they tell nothing."""
    seconds = after.timestamp - before.timestamp

    def rate(
        earlier: SentStats | ReceivedStats | None, later: SentStats | ReceivedStats | None
    ) -> float:
        if later is None or seconds <= 0:
            return 0.0
        return max(0.0, (later.bytes - (earlier.bytes if earlier else 0)) * 8 / seconds)

    return Bitrates(
        audio_sent=rate(before.audio_sent, after.audio_sent),
        video_sent=rate(before.video_sent, after.video_sent),
        audio_received=rate(before.audio_received, after.audio_received),
        video_received=rate(before.video_received, after.video_received),
    )
