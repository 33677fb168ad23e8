"""Keeping pictures and sound of one opponent in step.

libwebrtc stamps a picture with the time at which it could have been shown, whenever it hands it
over, but sound with the time at which it is played, which is after the jitter buffer. This
difference is measured and added to the pictures' times, so that sound stays without cuts.
"""

from __future__ import annotations

import asyncio
import contextlib

import webrtc

from ringmesh.media.wrtc_stats import Report, look

INTERVAL = 0.5
"""Seconds between two measurements; each costs the event loop 0.2 ms."""

MAX_DELAY = 0.5
"""Seconds that pictures are moved at most."""

_SMOOTHING = 0.5


class SoundDelay:
    """Measures how long the sound of a receiver waits before it is played.

    Attributes:
        seconds: the present delay; 0 before it is known.
    """

    def __init__(self, receiver: webrtc.RTCRtpReceiver) -> None:
        self.seconds = 0.0
        self._receiver = receiver
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, or go on, to measure. On the event loop."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch(), name="sound delay")

    def stop(self) -> None:
        """Measure no longer."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _watch(self) -> None:
        """Compare the jitter buffer's running totals (W3C webrtc-stats, `jitterBufferDelay`)."""
        before: tuple[float, int] | None = None
        while True:
            with contextlib.suppress(Exception):  # a connection that closes: there is no more sound
                before = self._compare(before, await look(self._receiver))
            await asyncio.sleep(INTERVAL)

    def _compare(
        self, before: tuple[float, int] | None, report: Report
    ) -> tuple[float, int] | None:
        for entry in report.values():
            if entry["type"] != "inbound-rtp":
                continue
            delay, played = entry.get("jitterBufferDelay"), entry.get("jitterBufferEmittedCount")
            if delay is None or played is None:
                continue
            if before is not None and played > before[1]:
                now = min(max(0.0, (delay - before[0]) / (played - before[1])), MAX_DELAY)
                known = self.seconds > 0
                self.seconds += (now - self.seconds) * (_SMOOTHING if known else 1.0)
            return delay, played
        return before
