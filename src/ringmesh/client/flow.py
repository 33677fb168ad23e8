"""Whether media comes in, known sooner than ICE knows: libwebrtc takes about 7 seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from ringmesh.errors import RingmeshError
from ringmesh.media.engine import PeerConnection

_logger = logging.getLogger(__name__)

INTERVAL = 0.2
"""Seconds between two looks."""

SILENCE = 0.7
"""Seconds without media after which it counts as stopped."""

TREMBLING = 0.05
"""Seconds by which the time of the same piece of media differs from look to look: libwebrtc
converts it from another clock each time. Media that flows moves it by `INTERVAL`."""


class _Flow:
    """What is known of one connection."""

    __slots__ = ("changed_at", "checks", "mark", "quiet", "stopped")

    def __init__(self, now: float) -> None:
        self.mark: float | None = None
        self.changed_at = now
        self.stopped = False
        self.quiet = False  # nothing is sent, and yet the path works
        self.checks: tuple[str, int] | None = None  # of which pair, how many


class FlowMonitor:
    """Looks at the connections of one call, a few times per second, until there is none.

    Somebody who sends nothing at all has not lost the path: once STUN checks are seen to go on, it
    counts as working, and from then on only ICE can tell.

    Args:
        connections: those that are open now, by user id.
        report: told (user id, whether media flows) at each change.
    """

    def __init__(
        self,
        connections: Callable[[], Mapping[int, PeerConnection]],
        report: Callable[[int, bool], None],
    ) -> None:
        self._connections = connections
        self._report = report
        self._flows: dict[PeerConnection, _Flow] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look. Does nothing when it has begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="media flow")

    async def stop(self) -> None:
        """Look no more."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        looked_at = clock()
        while True:
            await asyncio.sleep(INTERVAL)
            now = clock()
            late = now - looked_at > 2 * INTERVAL  # we slept ourselves: nothing can be told
            looked_at = now
            connections = self._connections()
            if not connections:
                self._task = None
                return
            open_ones = set(connections.values())
            self._flows = {key: flow for key, flow in self._flows.items() if key in open_ones}
            for user_id, connection in connections.items():
                flow = self._flows.setdefault(connection, _Flow(now))
                if late:
                    flow.changed_at = max(flow.changed_at, now - INTERVAL)
                await self._look(user_id, connection, flow, now)

    async def _look(
        self, user_id: int, connection: PeerConnection, flow: _Flow, now: float
    ) -> None:
        mark = connection.last_media_at()
        if mark is None:
            return
        if flow.mark is None or abs(mark - flow.mark) > TREMBLING:
            flow.mark, flow.changed_at, flow.quiet = mark, now, False
            if flow.stopped:
                self._set(user_id, flow, stopped=False)
        elif flow.stopped:
            await self._look_for_checks(user_id, connection, flow)
        elif not flow.quiet and now - flow.changed_at >= SILENCE:
            flow.checks = None
            self._set(user_id, flow, stopped=True)

    async def _look_for_checks(self, user_id: int, connection: PeerConnection, flow: _Flow) -> None:
        try:
            path = (await connection.get_stats()).path
        except RingmeshError as error:
            _logger.debug("no statistics: %s", error)
            return
        if path is None:
            return
        before, flow.checks = flow.checks, (path.pair_id, path.checks)
        # ICE tries one pair after the other where none works: each has counted for itself.
        if before is None or before[0] != path.pair_id:
            return
        if path.checks > before[1] and flow.stopped:
            flow.quiet = True
            self._set(user_id, flow, stopped=False)

    def _set(self, user_id: int, flow: _Flow, *, stopped: bool) -> None:
        flow.stopped = stopped
        self._report(user_id, not stopped)
