"""From libwebrtc's statistics to `PeerStats`.

libwebrtc gives its report as JSON: W3C's webrtc-stats, but for times in microseconds. It is read
here and not by the package `webrtc`, which makes two objects of each entry with all that they have:
a look costs the event loop a quarter, and does not fill CPython's stock of free tuples (up to 2 MB
in the first half hour of a call). Hence the two names of `webrtc` that are not public.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, TypeAlias

import webrtc
from webrtc.utils.loops import call_native

from ringmesh.media.stats import PathStats, PeerStats, ReceivedStats, SentStats

Report: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The entries of a report, by their ids."""


async def look(of: webrtc.RTCPeerConnection | webrtc.RTCRtpReceiver) -> Report:
    """What libwebrtc knows now. Raises what the engine raises."""
    text = await call_native(of._native_obj.getStats)
    return {entry["id"]: entry for entry in json.loads(str(text) or "[]")}


def peer_stats(report: Report) -> PeerStats:
    """The figures of a report that `PeerStats` has."""
    sent: dict[str, SentStats] = {}
    received: dict[str, ReceivedStats] = {}
    path = None
    timestamp = time.time()
    for entry in report.values():
        match entry["type"]:
            case "outbound-rtp":
                sent[entry["kind"]] = _sent(report, entry)
            case "inbound-rtp":
                received[entry["kind"]] = _received(report, entry)
            case "transport":
                path = _path(report, entry) or path
                timestamp = entry["timestamp"] / 1e6
    return PeerStats(
        timestamp=timestamp,
        audio_sent=sent.get("audio"),
        video_sent=sent.get("video"),
        audio_received=received.get("audio"),
        video_received=received.get("video"),
        path=path,
    )


def _sent(report: Report, entry: Mapping[str, Any]) -> SentStats:
    remote = _entry(report, entry.get("remoteId"), "remote-inbound-rtp")
    source = _entry(report, entry.get("mediaSourceId"), "media-source")
    return SentStats(
        codec=_codec(report, entry),
        bytes=entry.get("bytesSent", 0),
        packets=entry.get("packetsSent", 0),
        packets_lost=remote.get("packetsLost"),
        retransmitted_packets=entry.get("retransmittedPacketsSent", 0),
        round_trip_time=remote.get("roundTripTime"),
        jitter=remote.get("jitter"),
        audio_level=source.get("audioLevel"),
        frames=entry.get("framesSent"),
        frames_encoded=entry.get("framesEncoded"),
        key_frames=entry.get("keyFramesEncoded"),
        width=entry.get("frameWidth"),
        height=entry.get("frameHeight"),
        frames_per_second=entry.get("framesPerSecond"),
        target_bitrate=entry.get("targetBitrate"),
        limited_by=entry.get("qualityLimitationReason"),
    )


def _received(report: Report, entry: Mapping[str, Any]) -> ReceivedStats:
    return ReceivedStats(
        codec=_codec(report, entry),
        bytes=entry.get("bytesReceived", 0),
        packets=entry.get("packetsReceived", 0),
        packets_lost=entry.get("packetsLost", 0),
        jitter=entry.get("jitter"),
        jitter_buffer_seconds=entry.get("jitterBufferDelay", 0.0),
        jitter_buffer_count=entry.get("jitterBufferEmittedCount", 0),
        audio_level=entry.get("audioLevel"),
        samples=entry.get("totalSamplesReceived", 0),
        concealed_samples=entry.get("concealedSamples", 0),
        silent_concealed_samples=entry.get("silentConcealedSamples", 0),
        frames=entry.get("framesReceived"),
        frames_decoded=entry.get("framesDecoded"),
        frames_dropped=entry.get("framesDropped"),
        key_frames=entry.get("keyFramesDecoded"),
        freezes=entry.get("freezeCount"),
        freeze_seconds=entry.get("totalFreezesDuration", 0.0),
        width=entry.get("frameWidth"),
        height=entry.get("frameHeight"),
        frames_per_second=entry.get("framesPerSecond"),
    )


def _path(report: Report, entry: Mapping[str, Any]) -> PathStats | None:
    pair = _entry(report, entry.get("selectedCandidatePairId"), "candidate-pair")
    local = _entry(report, pair.get("localCandidateId"), "local-candidate")
    remote = _entry(report, pair.get("remoteCandidateId"), "remote-candidate")
    if not local or not remote:
        return None
    return PathStats(
        local_type=local["candidateType"],
        remote_type=remote["candidateType"],
        protocol=local.get("protocol"),
        relay_protocol=local.get("relayProtocol"),
        round_trip_time=pair.get("currentRoundTripTime"),
        available_outgoing_bitrate=pair.get("availableOutgoingBitrate"),
        bytes_sent=pair.get("bytesSent", 0),
        bytes_received=pair.get("bytesReceived", 0),
        checks=pair.get("requestsReceived", 0) + pair.get("responsesReceived", 0),
        pair_id=pair["id"],
    )


def _codec(report: Report, entry: Mapping[str, Any]) -> str | None:
    mime_type: str | None = _entry(report, entry.get("codecId"), "codec").get("mimeType")
    return None if mime_type is None else mime_type.partition("/")[2]


def _entry(report: Report, name: str | None, kind: str) -> Mapping[str, Any]:
    """The entry of this name and kind; empty without."""
    entry = report.get(name or "", {})
    return entry if entry.get("type") == kind else {}
