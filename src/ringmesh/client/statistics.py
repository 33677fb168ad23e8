"""Looks at the connections of one call at a fixed interval, and tells what it sees."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ringmesh.client import events
from ringmesh.client.broadcast import Broadcast, Subscription
from ringmesh.client.report import CallReport
from ringmesh.client.report_builder import ENDED, CallReportBuilder
from ringmesh.errors import InvalidStateError, RingmeshError
from ringmesh.media.engine import PeerConnection
from ringmesh.media.quality import MediaDirection, Quality, QualityJudge
from ringmesh.media.stats import PeerStats
from ringmesh.signals import CallType

_logger = logging.getLogger(__name__)

LOOK_TIMEOUT = 5.0
"""Seconds that the engine may take for the statistics of one connection."""

_IN_REPORT: Mapping[type[events.Event], str] = {
    events.ConnectedToUser: "connected",
    events.DisconnectedFromUser: "connection lost",
    events.ConnectionFailedWithUser: "no connection",
    events.ConnectionClosedForUser: ENDED,
}


@dataclass(frozen=True, slots=True)
class CubeStatsReport:
    """The statistics of the connection to one person at one moment."""

    user_id: int
    stats: PeerStats


class CallStatistics:
    """Owns the task that looks, and what was seen.

    Args:
        connections: those that are open now, by user id.
        changed: told (user id, direction, quality) when a level changes.
        interval: seconds between two looks; 0 never looks.
    """

    def __init__(
        self,
        connections: Callable[[], Mapping[int, PeerConnection]],
        changed: Callable[[int, MediaDirection, Quality], None],
        *,
        call_type: CallType,
        interval: float,
    ) -> None:
        self._connections = connections
        self._changed = changed
        self._interval = interval
        self._judges: dict[int, tuple[PeerConnection, QualityJudge]] = {}
        self._builder = CallReportBuilder(call_type)
        self._ended_at: float | None = None
        self._broadcast: Broadcast[CubeStatsReport] = Broadcast()
        self._task: asyncio.Task[None] | None = None
        if not interval:
            self._broadcast.close()

    def reports(self) -> Subscription[CubeStatsReport]:
        """Every look from now on; ends with the call."""
        return self._broadcast.subscribe()

    def quality(self, user_id: int) -> Mapping[MediaDirection, Quality]:
        """What holds now towards a person."""
        if user_id not in self._judges:
            return QualityJudge().quality
        return self._judges[user_id][1].quality

    def report(self, session_id: str, names: Mapping[int, str]) -> CallReport:
        """What is known until now. Raises `InvalidStateError` when nobody looks."""
        if not self._interval:
            raise InvalidStateError("statistics are off: set RTCConfig.stats_reports_interval")
        return self._builder.build(session_id, self._ended_at or time.time(), names)

    def note(self, event: events.Event) -> None:
        """Something happened in the call."""
        what = _IN_REPORT.get(type(event))
        if what is not None and isinstance(event, events.UserEvent):
            self._builder.add_event(event.user_id, what, time.time())
        if isinstance(event, events.ConnectedToUser) and self._interval and self._task is None:
            self._task = asyncio.create_task(self._watch(), name="call statistics")

    def close(self) -> None:
        """The call is over."""
        self._ended_at = time.time()
        self._broadcast.close()
        if self._task is not None:
            self._task.cancel()

    async def wait_closed(self) -> None:
        """Wait for what `close` began."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            looks = [self._look(*item) for item in self._connections().items()]
            await asyncio.gather(*looks)
            await asyncio.sleep(max(self._interval / 2, began + self._interval - clock()))

    async def _look(self, user_id: int, connection: PeerConnection) -> None:
        try:
            stats = await asyncio.wait_for(connection.get_stats(), LOOK_TIMEOUT)
        except (RingmeshError, TimeoutError) as error:
            _logger.debug("no statistics of user %d: %s", user_id, error)
            return
        except Exception:
            _logger.exception("statistics of user %d", user_id)
            return
        self._take(user_id, connection, stats)

    def _take(self, user_id: int, connection: PeerConnection, stats: PeerStats) -> None:
        self._broadcast.publish(CubeStatsReport(user_id, stats))
        self._builder.add_stats(user_id, stats)
        known = self._judges.get(user_id)
        if known is None or known[0] is not connection:
            known = self._judges[user_id] = (connection, QualityJudge())
        for direction, quality in known[1].judge(stats):
            self._builder.add_quality(user_id, direction, quality)
            self._changed(user_id, direction, quality)
