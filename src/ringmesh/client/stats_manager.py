"""The two figures that call screens show most: how loud somebody is, and how much video comes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ringmesh.client.broadcast import Broadcast, Subscription
from ringmesh.client.session import P2PSession
from ringmesh.client.statistics import CubeStatsReport
from ringmesh.errors import InvalidStateError
from ringmesh.media.stats import PeerStats, bitrates


@dataclass(frozen=True, slots=True)
class CubeMicLevelEvent:
    """How loud somebody is, 0 to 1; with our own id, how loud our microphone is."""

    user_id: int
    mic_level: float


@dataclass(frozen=True, slots=True)
class CubeVideoBitrateEvent:
    """How much video comes from somebody, in kbit/s (1000 bits)."""

    user_id: int
    bit_rate: int


class CubeStatsReportsManager:
    """Makes streams of levels and bitrates out of a call's statistics.

    `init` it with a call and `dispose` of it when done; it may then be used for another call. Its
    streams are bounded like all streams of events, and end with the call or with `dispose`.
    """

    def __init__(self) -> None:
        self._levels: Broadcast[CubeMicLevelEvent] = Broadcast()
        self._rates: Broadcast[CubeVideoBitrateEvent] = Broadcast()
        self._task: asyncio.Task[None] | None = None

    def init(self, session: P2PSession) -> None:
        """Follow this call.

        Raises `InvalidStateError` when a call is followed already, and outside an event loop.
        Nothing comes unless `RTCConfig.stats_reports_interval` is set.
        """
        if self._task is not None:
            raise InvalidStateError("dispose of the manager before it follows another call")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise InvalidStateError("init needs a running event loop") from None
        self._task = loop.create_task(
            self._follow(session.current_user_id, session.stats_reports), name="levels"
        )

    def dispose(self) -> None:
        """Follow the call no longer and end the streams. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._levels.close()
        self._rates.close()
        self._levels, self._rates = Broadcast(), Broadcast()

    @property
    def mic_level_stream(self) -> Subscription[CubeMicLevelEvent]:
        """Levels from now on, of everybody who is heard and of our own microphone."""
        return self._levels.subscribe()

    @property
    def video_bitrate_stream(self) -> Subscription[CubeVideoBitrateEvent]:
        """Bitrates from now on, of everybody who is seen."""
        return self._rates.subscribe()

    async def _follow(self, own_id: int, reports: Subscription[CubeStatsReport]) -> None:
        before: dict[int, PeerStats] = {}
        async with reports:
            async for report in reports:
                self._tell(own_id, before.get(report.user_id), report)
                before[report.user_id] = report.stats
        self._levels.close()
        self._rates.close()

    def _tell(self, own_id: int, before: PeerStats | None, report: CubeStatsReport) -> None:
        stats = report.stats
        if stats.audio_received is not None and stats.audio_received.audio_level is not None:
            level = stats.audio_received.audio_level
            self._levels.publish(CubeMicLevelEvent(report.user_id, level))
        if stats.audio_sent is not None and stats.audio_sent.audio_level is not None:
            self._levels.publish(CubeMicLevelEvent(own_id, stats.audio_sent.audio_level))
        if before is not None and stats.video_received is not None:
            rate = round(bitrates(before, stats).video_received / 1000)
            self._rates.publish(CubeVideoBitrateEvent(report.user_id, rate))
