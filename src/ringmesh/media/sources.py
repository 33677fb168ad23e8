"""Sources of pictures and sound.

A source has its own thread or clock and delivers frames from there between `start` and `stop`.
Sound is delivered at 48 kHz, mono, in blocks of 10 or 20 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeAlias, TypeVar

import av
import numpy as np

from ringmesh.errors import ConfigurationError, MediaError
from ringmesh.media.audio import SAMPLE_RATE, AudioConverter
from ringmesh.media.frames import AudioFrame, Pcm, Pixels, VideoFrame, check_pcm

F = TypeVar("F", covariant=True)

TICK = 0.02
"""Seconds of sound that paced sources deliver at once: one Opus packet."""

TICK_SAMPLES = SAMPLE_RATE // 50

_MAX_LAG = 0.5


class Source(Protocol[F]):
    """Something that produces frames."""

    @property
    def ended(self) -> bool:
        """Whether there will be no more frames, ever."""

    def start(self, deliver: Callable[[F | None], None]) -> None:
        """Begin, or go on, to call `deliver`, on any thread; with None once at the end."""

    def stop(self) -> None:
        """Pause; `deliver` is not called again until the next `start`."""

    def close(self) -> None:
        """Release everything. Idempotent."""


VideoSource: TypeAlias = Source[VideoFrame]
AudioSource: TypeAlias = Source[AudioFrame]


class Pacer:
    """Calls `tick(due)` on a thread of its own every `interval` seconds, without drift.

    `due` is the time on the monotonic clock at which the tick was to happen. After a lag of more
    than half a second (a suspended machine) missed ticks are skipped.
    """

    def __init__(self, interval: float, tick: Callable[[float], None], name: str) -> None:
        self._interval = interval
        self._tick = tick
        self._name = name
        self._stop: threading.Event | None = None

    def start(self) -> None:
        """Begin to tick, one interval from now. Does nothing while it runs."""
        if self._stop is None:
            self._stop = threading.Event()
            arguments = (self._stop,)
            threading.Thread(target=self._run, args=arguments, name=self._name, daemon=True).start()

    def stop(self) -> None:
        """End ticking; a tick that has begun goes on."""
        if self._stop is not None:
            self._stop.set()
            self._stop = None

    def _run(self, stop: threading.Event) -> None:
        due = time.monotonic() + self._interval
        while not stop.wait(max(0.0, due - time.monotonic())):
            self._tick(due)
            due += self._interval
            if time.monotonic() - due > _MAX_LAG:
                due = time.monotonic()


class PacedSource:
    """A source that makes one frame per interval: subclasses say which."""

    ended = False

    def __init__(self, interval: float, name: str) -> None:
        self._pacer = Pacer(interval, self._on_tick, name)
        self._deliver: Callable[..., None] | None = None

    def start(self, deliver: Callable[..., None]) -> None:
        """Begin, or go on, to deliver."""
        self._deliver = deliver
        self._pacer.start()

    def stop(self) -> None:
        """Pause."""
        self._deliver = None
        self._pacer.stop()

    def close(self) -> None:
        """Stop for good."""
        self.stop()

    def make(self, due: float) -> VideoFrame | AudioFrame:
        """The frame for this instant."""
        raise NotImplementedError

    def _on_tick(self, due: float) -> None:
        frame, deliver = self.make(due), self._deliver
        if deliver is not None:
            deliver(frame)


class SilenceSource(PacedSource):
    """Silence."""

    def __init__(self) -> None:
        super().__init__(TICK, "ringmesh-silence")
        self._samples: Pcm = np.zeros(TICK_SAMPLES, np.int16)

    def make(self, due: float) -> AudioFrame:
        """20 ms of silence."""
        return AudioFrame(self._samples, SAMPLE_RATE, due)


class BlankVideoSource:
    """One black picture; a `LocalStream` repeats it."""

    ended = False

    def __init__(self, width: int = 640, height: int = 360) -> None:
        self._black = VideoFrame.black(width, height)

    def start(self, deliver: Callable[[VideoFrame | None], None]) -> None:
        """Deliver the picture."""
        deliver(self._black.at(time.monotonic()))

    def stop(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing is held."""


class PushVideoSource:
    """Pictures that the application pushes, from any thread; each is sent at once."""

    ended = False

    def __init__(self) -> None:
        self._deliver: Callable[[VideoFrame | None], None] | None = None
        self._last: VideoFrame | None = None

    def push_frame(self, frame: Pixels | av.VideoFrame | VideoFrame, format: str = "rgb24") -> None:
        """Send a picture now: an array (height, width, 3) of uint8 in rgb24 or bgr24, or a frame.

        Raises `MediaError` for a wrong shape, dtype or size. The size may change.
        """
        now = time.monotonic()
        if isinstance(frame, VideoFrame):
            picture = frame.at(now)
        elif isinstance(frame, av.VideoFrame):
            picture = VideoFrame.from_av(frame, timestamp=now)
        else:
            picture = VideoFrame.from_ndarray(frame, format, timestamp=now)
        self._last = picture
        if self._deliver is not None:
            self._deliver(picture)

    def start(self, deliver: Callable[[VideoFrame | None], None]) -> None:
        """Deliver the last picture again, and what is pushed from now on."""
        self._deliver = deliver
        if self._last is not None:
            deliver(self._last.at(time.monotonic()))

    def stop(self) -> None:
        """Keep only the last picture of what is pushed."""
        self._deliver = None

    def close(self) -> None:
        """Forget everything."""
        self._deliver = self._last = None


class PushAudioSource(PacedSource):
    """Sound that the application pushes, from any thread, in pieces of any length.

    It is played in real time, with silence when the queue is empty.
    """

    def __init__(self, *, max_seconds: float = 10.0) -> None:
        """`max_seconds` bounds the queue."""
        if not 0.1 <= max_seconds <= 3600:
            raise ConfigurationError(f"max_seconds is 0.1 to 3600, not {max_seconds}")
        super().__init__(TICK, "ringmesh-push-audio")
        self._max_blocks = round(max_seconds / TICK)
        self._blocks: deque[Pcm] = deque()
        self._converter = AudioConverter(block_ms=round(TICK * 1000))
        self._lock = threading.Lock()
        self._silence: Pcm = np.zeros(TICK_SAMPLES, np.int16)
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[bool]]] = []

    @property
    def queued_seconds(self) -> float:
        """Seconds of sound that wait to be played."""
        return len(self._blocks) * TICK

    def push_pcm(self, samples: Pcm, sample_rate: int = SAMPLE_RATE) -> None:
        """Queue int16 samples of shape (n,) or (n, 2).

        Raises `MediaError` for a wrong shape, dtype or rate, and when the queue has no room; then
        nothing is queued. `queued_seconds` tells how far ahead you are.
        """
        samples = check_pcm(samples, sample_rate)
        with self._lock:
            if self.queued_seconds + len(samples) / sample_rate > self._max_blocks * TICK:
                raise MediaError("the queue of sound is full: push no faster than real time")
            frame = AudioFrame(samples.copy(), sample_rate)
            self._blocks.extend(block.samples for block in self._converter.convert(frame))

    async def wait_played(self) -> bool:
        """Wait until all that was pushed is played: True, or False when it was cleared before.

        Nothing is played while nobody listens.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            if not self._blocks:
                return True
            played: asyncio.Future[bool] = loop.create_future()
            waiter = (loop, played)
            self._waiters.append(waiter)
        try:
            return await played
        finally:
            with self._lock:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)

    def clear(self) -> None:
        """Drop what waits, so that silence follows at once: a speaker is interrupted."""
        with self._lock:
            self._blocks.clear()
            self._converter = AudioConverter(block_ms=round(TICK * 1000))
            self._settle(played=False)

    def close(self) -> None:
        """Stop for good."""
        super().close()
        self.clear()

    def make(self, due: float) -> AudioFrame:
        """The next 20 ms."""
        with self._lock:
            samples = self._blocks.popleft() if self._blocks else self._silence
            if not self._blocks:
                self._settle(played=True)
        return AudioFrame(samples, SAMPLE_RATE, due)

    def _settle(self, *, played: bool) -> None:
        waiters, self._waiters = self._waiters, []
        for loop, future in waiters:
            with contextlib.suppress(RuntimeError):  # its loop is closed
                loop.call_soon_threadsafe(_set, future, played)


def _set(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)
