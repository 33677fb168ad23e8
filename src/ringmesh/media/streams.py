"""What one person sends (`LocalStream`) and what comes from another (`RemoteStream`)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Generic

from ringmesh.media.file_source import MediaFileSource
from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.media_stream import F, MediaStream, Subscription
from ringmesh.media.sources import (
    AudioSource,
    BlankVideoSource,
    Pacer,
    SilenceSource,
    Source,
    VideoSource,
)
from ringmesh.media.synthetic import SyntheticVideoSource, ToneSource

KEEPALIVE_INTERVAL = 0.5
"""Seconds after which a standing picture is sent again, so that who joins late sees it."""


class LocalStream(MediaStream):
    """What is sent to the others. Sources run while somebody listens: a peer or a sink.

    The application that made it closes it; a call never does. Pictures that stand still (nothing
    new pushed, a file at its end, video disabled) are sent again twice a second.
    """

    def __init__(
        self, *, audio: AudioSource | None = None, video: VideoSource | None = None
    ) -> None:
        super().__init__()
        self._audio = audio
        self._video = video
        self._silence = SilenceSource()
        self._audio_enabled = True
        self._video_enabled = True
        self._video_lock = threading.Lock()
        self._shown: VideoFrame | None = None
        self._black: VideoFrame | None = None
        self._shown_at = 0.0
        self._running: dict[str, Source[AudioFrame] | Source[VideoFrame]] = {}
        self._keepalive = Pacer(KEEPALIVE_INTERVAL, self._repeat, "ringmesh-keepalive")
        self._end_waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._presented: VideoSource | None = None
        self._mix: Callable[[AudioFrame], AudioFrame] | None = None
        self._content_callbacks: list[Callable[[str], None]] = []

    @classmethod
    def from_file(cls, path: str | Path, *, loop: bool = False) -> LocalStream:
        """Send a media file in real time. Raises `MediaError` for a file that cannot be played.

        `loop` begins again at the end; otherwise black and nothing follow, and `wait_ended`
        returns. The file's clock starts when the first listener attaches.
        """
        source = MediaFileSource(path, loop=loop)
        return cls(audio=source.audio, video=source.video)

    @classmethod
    def synthetic(
        cls,
        *,
        width: int = 640,
        height: int = 360,
        frame_rate: float = 25.0,
        tone_hz: float = 440.0,
        stream_id: int = 0,
        video: bool = True,
    ) -> LocalStream:
        """Send a moving picture with a readable frame counter, and a tone.

        `ringmesh.media.synthetic.read_code` and `dominant_tone` recognise them on the other side.
        """
        picture = SyntheticVideoSource(width, height, frame_rate, stream_id) if video else None
        return cls(audio=ToneSource(tone_hz), video=picture)

    @classmethod
    def blank(cls, *, video: bool = True, width: int = 640, height: int = 360) -> LocalStream:
        """Send black pictures of this size, and silence."""
        return cls(audio=SilenceSource(), video=BlankVideoSource(width, height) if video else None)

    @classmethod
    def echo(cls, remote: MediaStream) -> LocalStream:
        """Send back what another stream, usually a `RemoteStream`, delivers."""
        return cls(
            audio=_EchoSource(remote, remote.add_audio_sink),
            video=_EchoSource(remote, remote.add_video_sink),
        )

    @property
    def has_audio(self) -> bool:
        """Whether there is an audio source."""
        return self._audio is not None

    @property
    def has_video(self) -> bool:
        """Whether there is a video source."""
        return self._video is not None

    @property
    def audio_enabled(self) -> bool:
        """False sends silence."""
        return self._audio_enabled

    @audio_enabled.setter
    def audio_enabled(self, enabled: bool) -> None:
        self._audio_enabled = enabled

    @property
    def video_enabled(self) -> bool:
        """False sends black pictures."""
        return self._video_enabled

    @video_enabled.setter
    def video_enabled(self, enabled: bool) -> None:
        with self._video_lock:
            self._video_enabled = enabled
            if not enabled and self._shown is not None:
                self._show_black(self._shown)

    @property
    def content_hint(self) -> str:
        """What its pictures show (W3C MediaStreamTrack Content Hints): ``text`` for screens, whose
        detail matters more than their motion; empty for anything else."""
        hint: str = getattr(self._presented or self._video, "content_hint", "")
        return hint

    def add_content_callback(self, callback: Callable[[str], None]) -> None:
        """For engines: call `callback` with `content_hint` now and when it may have changed."""
        self._content_callbacks.append(callback)
        callback(self.content_hint)

    def present(self, source: VideoSource | None) -> VideoSource | None:
        """Send this source's pictures in place of the video source's, until None takes it away.

        The video source may be replaced meanwhile. Returns the source presented before, stopped
        and not closed. On the event loop. Raises `InvalidStateError` when the stream is closed.
        """
        self._check_open()
        before, self._presented = self._presented, source
        self._video_changed()
        return before

    def mix_audio(self, mix: Callable[[AudioFrame], AudioFrame] | None) -> None:
        """Send what `mix` makes of each block of sound, also while sound is disabled.

        It gets the block, silent if sound is disabled, on the source's thread. None ends that.
        """
        self._mix = mix

    def replace_audio_source(self, source: AudioSource | None) -> AudioSource | None:
        """Send another source's sound from now on, or silence.

        Those who listen notice nothing else: tracks and sinks stay. Returns the source before,
        stopped and not closed: it is yours now. On the event loop. Raises `InvalidStateError` when
        the stream is closed.
        """
        self._check_open()
        before, self._audio = self._audio, source
        self._sinks_changed()
        return before

    def replace_video_source(self, source: VideoSource | None) -> VideoSource | None:
        """Send another source's pictures from now on, or black ones; as `replace_audio_source`."""
        self._check_open()
        before, self._video = self._video, source
        self._video_changed()
        return before

    async def wait_ended(self) -> None:
        """Wait until no source has any more (a file that does not loop), or the stream closes."""
        if self._ended():
            return
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        self._end_waiters.append(waiter)
        self.add_close_callback(waiter[1].set)
        await waiter[1].wait()

    def close(self) -> None:
        """Show black, stop the sources and detach everybody. Idempotent. On the event loop."""
        self.video_enabled = False
        super().close()
        for source in (self._audio, self._video, self._presented):
            if source is not None:
                source.close()

    def _ended(self) -> bool:
        sources = [source for source in (self._audio, self._video) if source is not None]
        return self._closed or (bool(sources) and all(source.ended for source in sources))

    def _sinks_changed(self) -> None:
        audio = self._audio or self._silence
        self._run("audio", audio if self._audio_sinks else None, self._deliver_audio)
        video = self._presented or self._video
        self._run("video", video if self._video_sinks else None, self._deliver_video)
        if self._video_sinks:
            self._keepalive.start()
        else:
            self._keepalive.stop()

    def _video_changed(self) -> None:
        """Another source is to be seen; black until it delivers only if there is none."""
        for callback in self._content_callbacks:
            callback(self.content_hint)
        self._sinks_changed()
        if self._presented is None and self._video is None:
            with self._video_lock:
                if self._shown is not None:
                    self._show_black(self._shown)

    def _run(
        self,
        kind: str,
        wanted: Source[F] | None,
        deliver: Callable[[Source[F], F | None], None],
    ) -> None:
        """Let this source of a kind run, and no other."""
        running = self._running.get(kind)
        if running is wanted:
            return
        if running is not None:
            del self._running[kind]
            running.stop()
        if wanted is not None:
            self._running[kind] = wanted
            wanted.start(partial(deliver, wanted))

    def _deliver_audio(self, source: AudioSource, frame: AudioFrame | None) -> None:
        if self._running.get("audio") is not source:  # replaced while its thread was at it
            return
        if frame is None:
            self._source_ended()
        else:
            frame = frame if self._audio_enabled else frame.silenced()
            mix = self._mix
            self._emit(self._audio_sinks, frame if mix is None else mix(frame))

    def _deliver_video(self, source: VideoSource, frame: VideoFrame | None) -> None:
        with self._video_lock:
            if self._running.get("video") is not source:
                return
            if frame is None:
                if self._shown is not None:
                    self._show_black(self._shown)
            elif self._video_enabled:
                self._show(frame)
            elif frame.timestamp - self._shown_at >= KEEPALIVE_INTERVAL:
                self._show_black(frame)
        if frame is None:
            self._source_ended()

    def _repeat(self, now: float) -> None:
        with self._video_lock:
            if now - self._shown_at < KEEPALIVE_INTERVAL * 0.9:
                return
            if self._shown is None:
                self._show(VideoFrame.black(640, 360, timestamp=now))
            else:
                self._show(self._shown.at(now))

    def _show(self, frame: VideoFrame) -> None:
        self._shown = frame
        self._shown_at = frame.timestamp
        self._emit(self._video_sinks, frame)

    def _show_black(self, like: VideoFrame) -> None:
        black, now = self._black, time.monotonic()
        if black is None or (black.width, black.height) != (like.width, like.height):
            self._black = black = VideoFrame.black(like.width, like.height)
        self._show(black.at(now))

    def _source_ended(self) -> None:
        if self._ended():
            for loop, event in self._end_waiters:
                loop.call_soon_threadsafe(event.set)
            self._end_waiters.clear()


class RemoteStream(MediaStream):
    """What one opponent sends. Made by the engine; tracks may appear later."""

    def __init__(self, sinks_changed: Callable[[], None]) -> None:
        """`sinks_changed` is called when `wants_audio` or `wants_video` may have changed."""
        super().__init__()
        self._tracks: set[str] = set()
        self._notify_engine = sinks_changed

    @property
    def has_audio(self) -> bool:
        """Whether the opponent has an audio track."""
        return "audio" in self._tracks

    @property
    def has_video(self) -> bool:
        """Whether the opponent has a video track."""
        return "video" in self._tracks

    @property
    def wants_audio(self) -> bool:
        """Whether anybody listens."""
        return bool(self._audio_sinks)

    @property
    def wants_video(self) -> bool:
        """Whether anybody looks."""
        return bool(self._video_sinks)

    def add_track(self, kind: str) -> None:
        """For the engine: the opponent has a track of this kind, ``audio`` or ``video``."""
        self._tracks.add(kind)

    def deliver_video(self, frame: VideoFrame) -> None:
        """For the engine: a picture came."""
        self._emit(self._video_sinks, frame)

    def deliver_audio(self, frame: AudioFrame) -> None:
        """For the engine: a block of sound came."""
        self._emit(self._audio_sinks, frame)

    def _sinks_changed(self) -> None:
        self._notify_engine()


class _EchoSource(Generic[F]):
    """Takes one kind of frames from another stream."""

    ended = False

    def __init__(
        self, stream: MediaStream, attach: Callable[[Callable[[F], None]], Subscription]
    ) -> None:
        self._stream = stream
        self._attach: Callable[[Callable[[F], None]], Subscription] = attach
        self._subscription: Subscription | None = None

    def start(self, deliver: Callable[[F | None], None]) -> None:
        if not self._stream.closed:
            self._subscription = self._attach(deliver)

    def stop(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def close(self) -> None:
        self.stop()
