"""What is known about one call while it runs and when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringmesh.cli.exit_code import ExitCode
from ringmesh.media.figures import ReceivingFigures, SendingFigures, receiving, sending
from ringmesh.media.quality import MediaDirection, Quality
from ringmesh.media.stats import PeerStats
from ringmesh.signals import CallType

if TYPE_CHECKING:  # slow to load
    from ringmesh.media.recorder import Recording


class PersonState(StrEnum):
    """How far we are with one person, in words for people."""

    CALLING = "calling"
    RINGING = "ringing"
    ACCEPTED = "answered"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "connection lost"
    REJECTED = "declined"
    BUSY = "busy"
    NO_ANSWER = "no answer"
    HUNG_UP = "hung up"
    FAILED = "no connection"
    ENDED = "ended"


@dataclass(slots=True)
class Person:
    """One person in the call. Times are in seconds of the event loop's clock.

    Attributes:
        state: how far we are.
        accepted_at: when the call was answered, by either side.
        media_at: when their first picture (in an audio call: sound) was there.
        connected_at: when media could flow.
        ended_at: when it no longer could.
        receiving: what came in during the last second.
        sending: what went out.
        quality: how good it is, by direction.
        records: whether they say that they record the call.
    """

    user_id: int
    name: str
    state: PersonState = PersonState.CALLING
    accepted_at: float | None = None
    media_at: float | None = None
    connected_at: float | None = None
    ended_at: float | None = None
    stats: PeerStats | None = None
    receiving: ReceivingFigures = field(default_factory=ReceivingFigures)
    sending: SendingFigures = field(default_factory=SendingFigures)
    quality: Mapping[MediaDirection, Quality] = field(default_factory=dict)
    records: bool = False
    recording: Recording | None = None
    recording_path: Path | None = None
    recording_error: str | None = None

    @property
    def standing(self) -> str:
        """What there is to know of them now, in words."""
        return f"{self.state.value}, records the call" if self.records else self.state.value

    def take_stats(self, stats: PeerStats) -> None:
        """Note a snapshot."""
        if self.stats is not None:
            self.receiving = receiving(self.stats, stats)
            self.sending = sending(self.stats, stats)
        self.stats = stats

    def end(self, state: PersonState, now: float) -> None:
        """Note why and when it ended; the first reason counts."""
        if self.ended_at is None:
            self.ended_at = now
            self.state = state

    def seconds(self, now: float) -> float:
        """How long media could flow."""
        if self.connected_at is None:
            return 0.0
        return (now if self.ended_at is None else self.ended_at) - self.connected_at

    @property
    def set_up_seconds(self) -> float | None:
        """From the answer to the first picture (or sound)."""
        ready = self.media_at or self.connected_at
        if ready is None or self.accepted_at is None:
            return None
        return max(0.0, ready - self.accepted_at)

    def facts(self, now: float) -> dict[str, Any]:
        """For programs."""
        seconds = self.seconds(now)
        stats = self.stats
        received = stats.video_received if stats else None
        sent = stats.video_sent if stats else None
        path = stats.path if stats else None
        set_up = self.set_up_seconds
        return {
            "user_id": self.user_id,
            "login": self.name,
            "outcome": self.state.value,
            "connected": self.connected_at is not None,
            "seconds": round(seconds, 2),
            "set_up_seconds": None if set_up is None else round(set_up, 3),
            "frames_received": received.frames_decoded if received else None,
            "frames_sent": sent.frames if sent else None,
            "width": received.width if received else None,
            "height": received.height if received else None,
            "received_kbps": _mean_kbps(stats, "received", seconds),
            "sent_kbps": _mean_kbps(stats, "sent", seconds),
            "video_codec": received.codec if received else None,
            "audio_codec": stats.audio_received.codec if stats and stats.audio_received else None,
            "path": None if path is None else "relayed" if path.relayed else "direct",
            "recording": None if self.recording is None else str(self.recording.path),
            "recorded_frames": None if self.recording is None else self.recording.video_frames,
            "recorded_seconds": (
                None if self.recording is None else round(self.recording.duration, 2)
            ),
            "recording_error": self.recording_error,
        }


def _mean_kbps(stats: PeerStats | None, direction: str, seconds: float) -> int | None:
    if stats is None or seconds <= 0:
        return None
    kinds = (getattr(stats, f"{kind}_{direction}") for kind in ("audio", "video"))
    total: int = sum(kind.bytes for kind in kinds if kind is not None)
    return round(total * 8 / seconds / 1000)


@dataclass(slots=True)
class CallSummary:
    """One call.

    Attributes:
        incoming: somebody called us.
        begun_at: seconds of the event loop's clock.
    """

    session_id: str
    call_type: CallType
    incoming: bool
    begun_at: float
    people: dict[int, Person]

    @property
    def took_place(self) -> bool:
        """Whether anybody was connected."""
        return any(person.connected_at is not None for person in self.people.values())

    def exit_code(self, *, interrupted: bool) -> ExitCode:
        """What the shell is told."""
        if self.took_place:
            return ExitCode.OK
        if interrupted:
            return ExitCode.INTERRUPTED
        codes = {_OUTCOMES.get(person.state, ExitCode.NO_ANSWER) for person in self.people.values()}
        return max(codes)

    def facts(self, now: float) -> dict[str, Any]:
        """For programs."""
        return {
            "session_id": self.session_id,
            "direction": "incoming" if self.incoming else "outgoing",
            "media": "video" if self.call_type is CallType.VIDEO_CALL else "audio",
            "took_place": self.took_place,
            "people": [person.facts(now) for person in self.people.values()],
        }


_OUTCOMES = {
    PersonState.REJECTED: ExitCode.REJECTED,
    PersonState.BUSY: ExitCode.REJECTED,
    PersonState.FAILED: ExitCode.NO_MEDIA,
    PersonState.ACCEPTED: ExitCode.NO_MEDIA,
    PersonState.CONNECTING: ExitCode.NO_MEDIA,
}
