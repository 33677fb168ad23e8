"""A screen or window as a source of pictures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from ringmesh.errors import MediaError
from ringmesh.media.frames import Pixels, VideoFrame
from ringmesh.media.screen.grabber import Grabber
from ringmesh.media.screen.picture import to_frame
from ringmesh.media.sources import Pacer

FRAME_RATE = 15.0
"""Pictures per second: enough to follow scrolling, and bits left over for sharp text."""

REFINEMENT = 1.0
"""Seconds for which a picture that stands still is sent on at the full rate: an encoder makes it
sharper each time."""


class ScreenSource:
    """A `VideoSource` that shows what a grabber sees.

    A picture that stands still is neither converted nor sent again once it is sharp; a
    `LocalStream` repeats it twice a second. The source ends when what it shows is gone.
    """

    content_hint = "text"

    def __init__(
        self,
        grabber: Grabber,
        *,
        frame_rate: float = FRAME_RATE,
        on_gone: Callable[[MediaError], None] = lambda _: None,
    ) -> None:
        """It owns the grabber. `on_gone` is called once, on the source's thread, when the screen
        or window is gone."""
        self._grabber = grabber
        self._on_gone = on_gone
        self._pacer = Pacer(1 / frame_rate, self._on_tick, "ringmesh-screen")
        self._lock = threading.Lock()
        self._deliver: Callable[[VideoFrame | None], None] | None = None
        self._seen: Pixels | None = None
        self._frame: VideoFrame | None = None
        self._changed_at = 0.0
        self._ended = False
        self._closed = False

    @property
    def ended(self) -> bool:
        """Whether the screen or window is gone."""
        return self._ended

    def start(self, deliver: Callable[[VideoFrame | None], None]) -> None:
        """Begin, or go on, to show what is seen."""
        with self._lock:
            if self._closed or self._ended:
                return
            self._deliver, self._frame = deliver, None
        self._pacer.start()

    def stop(self) -> None:
        """Pause."""
        self._pacer.stop()
        with self._lock:
            self._deliver = None

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        with self._lock:
            self._closed = True
            self._grabber.close()

    def _on_tick(self, _: float) -> None:
        gone: MediaError | None = None
        with self._lock:
            deliver = self._deliver
            if deliver is None or self._ended:
                return
            try:
                frame = self._next(time.monotonic())
            except MediaError as error:
                self._ended, frame, gone = True, None, error
        if gone is not None:
            self._pacer.stop()
            deliver(None)
            self._on_gone(gone)
        elif frame is not None:
            deliver(frame)

    def _next(self, now: float) -> VideoFrame | None:
        """The picture to send now; None when it is that of before, and sharp."""
        pixels = self._grabber.grab()
        if pixels is None:
            return None
        if self._frame is None or self._seen is None or not _equal(pixels, self._seen):
            self._seen = pixels.copy()
            self._frame = to_frame(pixels, now)
            self._changed_at = now
        elif now - self._changed_at > REFINEMENT:
            return None
        return self._frame.at(now)


def _equal(one: Pixels, other: Pixels) -> bool:
    """Whether two pictures are the same; as numbers of 32 bits, which is faster."""
    return one.shape == other.shape and np.array_equal(one.view(np.uint32), other.view(np.uint32))
