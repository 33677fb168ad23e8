"""What every stream is: audio and video that belong together, to which sinks attach and detach.

Frames reach a stream on whatever thread produces them. Sinks added with `add_video_sink` and
`add_audio_sink` run right there, for engines and recorders; `on_video_frame`, `on_audio` and the
iterators hand over to the event loop through a bounded queue that drops the oldest. Attach and
detach sinks on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self, TypeAlias, TypeVar

from ringmesh.errors import InvalidStateError
from ringmesh.media.audio import SAMPLE_RATE, AudioConverter
from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.handover import Handover

VideoCallback: TypeAlias = Callable[[VideoFrame], Awaitable[None] | None]
AudioCallback: TypeAlias = Callable[[AudioFrame], Awaitable[None] | None]
VideoSink: TypeAlias = Callable[[VideoFrame], None]
AudioSink: TypeAlias = Callable[[AudioFrame], None]
F = TypeVar("F", VideoFrame, AudioFrame)

_log = logging.getLogger(__name__)


class Subscription:
    """A sink attached to a stream. `close` detaches it; idempotent. Also a context manager."""

    def __init__(self, detach: Callable[[], None]) -> None:
        self._detach: Callable[[], None] | None = detach

    def close(self) -> None:
        """Detach the sink."""
        if self._detach is not None:
            detach, self._detach = self._detach, None
            detach()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MediaStream:
    """Audio and video that belong together, to which sinks attach and detach at any time."""

    def __init__(self) -> None:
        self._video_sinks: tuple[VideoSink, ...] = ()
        self._audio_sinks: tuple[AudioSink, ...] = ()
        self._close_callbacks: list[Callable[[], None]] = []
        self._closed = False
        self._complained = False

    @property
    def has_audio(self) -> bool:
        """Whether there is an audio track."""
        raise NotImplementedError

    @property
    def has_video(self) -> bool:
        """Whether there is a video track."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether the stream was closed. A closed stream delivers nothing more."""
        return self._closed

    def on_video_frame(self, callback: VideoCallback) -> Subscription:
        """Call `callback` on the event loop with every picture.

        At most 2 pictures wait while it is busy; the oldest is dropped. A callback that raises is
        logged once and goes on being called.
        """
        handover = Handover(callback, 2)
        return self._with_handover(self.add_video_sink(handover.put), handover)

    def on_audio(
        self, callback: AudioCallback, *, sample_rate: int = SAMPLE_RATE, channels: int = 1
    ) -> Subscription:
        """Call `callback` on the event loop with blocks of 10 ms.

        Sound is converted to `sample_rate` (Hz) and `channels` (1 or 2). At most 1 s waits while
        the callback is busy; the oldest is dropped.
        """
        handover = Handover(callback, 100)
        sink = _converting(AudioConverter(sample_rate, channels), handover.put)
        return self._with_handover(self.add_audio_sink(sink), handover)

    async def video_frames(self, *, max_queued: int = 2) -> AsyncIterator[VideoFrame]:
        """Iterate over pictures until the stream closes; the oldest waiting one is dropped."""
        queue: deque[VideoFrame] = deque(maxlen=max_queued)
        wake = asyncio.Event()
        with self.on_video_frame(_queueing(queue, wake)):
            async for frame in self._drained(queue, wake):
                yield frame

    async def audio_frames(
        self, *, sample_rate: int = SAMPLE_RATE, channels: int = 1, max_queued: int = 100
    ) -> AsyncIterator[AudioFrame]:
        """Iterate over 10 ms blocks until the stream closes; the oldest waiting is dropped."""
        queue: deque[AudioFrame] = deque(maxlen=max_queued)
        wake = asyncio.Event()
        put = _queueing(queue, wake)
        with self.on_audio(put, sample_rate=sample_rate, channels=channels):
            async for frame in self._drained(queue, wake):
                yield frame

    def add_video_sink(self, sink: VideoSink) -> Subscription:
        """Call `sink` on the producing thread with every picture. It must return quickly."""
        self._check_open()
        self._video_sinks += (sink,)
        self._sinks_changed()
        return Subscription(lambda: self._remove_video_sink(sink))

    def add_audio_sink(self, sink: AudioSink) -> Subscription:
        """Call `sink` on the producing thread with every block of sound. It must return quickly."""
        self._check_open()
        self._audio_sinks += (sink,)
        self._sinks_changed()
        return Subscription(lambda: self._remove_audio_sink(sink))

    def add_close_callback(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the stream closes; at once when it is closed already."""
        if self._closed:
            callback()
        else:
            self._close_callbacks.append(callback)

    def close(self) -> None:
        """Deliver nothing more. Idempotent. On the event loop."""
        if self._closed:
            return
        self._closed = True
        self._video_sinks = ()
        self._audio_sinks = ()
        self._sinks_changed()
        callbacks, self._close_callbacks = self._close_callbacks, []
        for callback in callbacks:
            callback()

    def _sinks_changed(self) -> None:
        """Begin or end producing, as the sinks need it."""

    def _emit(self, sinks: tuple[Callable[[F], None], ...], frame: F) -> None:
        for sink in sinks:
            try:
                sink(frame)
            except Exception:
                if not self._complained:
                    self._complained = True
                    _log.exception("a media sink failed: %r", sink)

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidStateError("the stream is closed")

    def _remove_video_sink(self, sink: VideoSink) -> None:
        self._video_sinks = tuple(other for other in self._video_sinks if other is not sink)
        self._sinks_changed()

    def _remove_audio_sink(self, sink: AudioSink) -> None:
        self._audio_sinks = tuple(other for other in self._audio_sinks if other is not sink)
        self._sinks_changed()

    def _with_handover(self, inner: Subscription, handover: Handover[F]) -> Subscription:
        def detach() -> None:
            inner.close()
            handover.close()
            if handover.close in self._close_callbacks:
                self._close_callbacks.remove(handover.close)

        self.add_close_callback(handover.close)
        return Subscription(detach)

    async def _drained(self, queue: deque[F], wake: asyncio.Event) -> AsyncIterator[F]:
        self.add_close_callback(wake.set)
        try:
            while queue or not self._closed:
                while queue:
                    yield queue.popleft()
                wake.clear()
                if not self._closed:
                    await wake.wait()
        finally:
            if wake.set in self._close_callbacks:
                self._close_callbacks.remove(wake.set)


def _converting(converter: AudioConverter, put: AudioSink) -> AudioSink:
    def sink(frame: AudioFrame) -> None:
        for block in converter.convert(frame):
            put(block)

    return sink


def _queueing(queue: deque[F], wake: asyncio.Event) -> Callable[[F], None]:
    def put(frame: F) -> None:
        queue.append(frame)
        wake.set()

    return put
