"""From libwebrtc's statistics report to `PeerStats`."""

from __future__ import annotations

import time

import webrtc

from ringmesh.media.stats import PathStats, PeerStats, ReceivedStats, SentStats


def peer_stats(report: webrtc.RTCStatsReport) -> PeerStats:
    """The figures of a report that `PeerStats` has."""
    sent: dict[str, SentStats] = {}
    received: dict[str, ReceivedStats] = {}
    path = None
    timestamp = time.time()
    for entry in report.values():
        if isinstance(entry, webrtc.RTCOutboundRtpStreamStats):
            sent[entry.kind] = _sent(report, entry)
        elif isinstance(entry, webrtc.RTCInboundRtpStreamStats):
            received[entry.kind] = _received(report, entry)
        elif isinstance(entry, webrtc.RTCTransportStats):
            path = _path(report, entry) or path
            timestamp = entry.timestamp / 1000
    return PeerStats(
        timestamp=timestamp,
        audio_sent=sent.get("audio"),
        video_sent=sent.get("video"),
        audio_received=received.get("audio"),
        video_received=received.get("video"),
        path=path,
    )


def _sent(report: webrtc.RTCStatsReport, entry: webrtc.RTCOutboundRtpStreamStats) -> SentStats:
    remote = report.get(entry.remote_id or "")
    if not isinstance(remote, webrtc.RTCRemoteInboundRtpStreamStats):
        remote = None
    source = report.get(entry.media_source_id or "")
    limit = entry.quality_limitation_reason
    return SentStats(
        codec=_codec(report, entry.codec_id),
        bytes=entry.bytes_sent or 0,
        packets=entry.packets_sent or 0,
        packets_lost=remote.packets_lost if remote else None,
        retransmitted_packets=entry.retransmitted_packets_sent or 0,
        round_trip_time=remote.round_trip_time if remote else None,
        jitter=remote.jitter if remote else None,
        audio_level=source.audio_level if isinstance(source, webrtc.RTCAudioSourceStats) else None,
        frames=entry.frames_sent,
        frames_encoded=entry.frames_encoded,
        key_frames=entry.key_frames_encoded,
        width=entry.frame_width,
        height=entry.frame_height,
        frames_per_second=entry.frames_per_second,
        target_bitrate=entry.target_bitrate,
        limited_by=None if limit is None else _text(limit),
    )


def _received(
    report: webrtc.RTCStatsReport, entry: webrtc.RTCInboundRtpStreamStats
) -> ReceivedStats:
    return ReceivedStats(
        codec=_codec(report, entry.codec_id),
        bytes=entry.bytes_received or 0,
        packets=entry.packets_received or 0,
        packets_lost=entry.packets_lost or 0,
        jitter=entry.jitter,
        jitter_buffer_seconds=entry.jitter_buffer_delay or 0.0,
        jitter_buffer_count=entry.jitter_buffer_emitted_count or 0,
        audio_level=entry.audio_level,
        samples=entry.total_samples_received or 0,
        concealed_samples=entry.concealed_samples or 0,
        silent_concealed_samples=entry.silent_concealed_samples or 0,
        frames=entry.frames_received,
        frames_decoded=entry.frames_decoded,
        frames_dropped=entry.frames_dropped,
        key_frames=entry.key_frames_decoded,
        freezes=entry.freeze_count,
        freeze_seconds=entry.total_freezes_duration or 0.0,
        width=entry.frame_width,
        height=entry.frame_height,
        frames_per_second=entry.frames_per_second,
    )


def _path(report: webrtc.RTCStatsReport, entry: webrtc.RTCTransportStats) -> PathStats | None:
    pair = report.get(entry.selected_candidate_pair_id or "")
    if not isinstance(pair, webrtc.RTCIceCandidatePairStats):
        return None
    local, remote = report.get(pair.local_candidate_id), report.get(pair.remote_candidate_id)
    if not isinstance(local, webrtc.RTCIceCandidateStats):
        return None
    if not isinstance(remote, webrtc.RTCIceCandidateStats):
        return None
    return PathStats(
        local_type=_text(local.candidate_type),
        remote_type=_text(remote.candidate_type),
        protocol=local.protocol,
        relay_protocol=_text(local.relay_protocol) if local.relay_protocol else None,
        round_trip_time=pair.current_round_trip_time,
        available_outgoing_bitrate=pair.available_outgoing_bitrate,
        bytes_sent=pair.bytes_sent or 0,
        bytes_received=pair.bytes_received or 0,
        checks=(pair.requests_received or 0) + (pair.responses_received or 0),
        pair_id=pair.id,
    )


def _codec(report: webrtc.RTCStatsReport, codec_id: str | None) -> str | None:
    codec = report.get(codec_id or "")
    if not isinstance(codec, webrtc.RTCCodecStats):
        return None
    return codec.mime_type.partition("/")[2]


def _text(value: object) -> str:
    return str(getattr(value, "value", value))
