"""Streams: what one person sends (`LocalStream`) and what comes from another (`RemoteStream`).

Frames reach a stream on whatever thread produces them. Sinks added with `add_video_sink` and
`add_audio_sink` run right there, for engines and recorders; `on_video_frame`, `on_audio` and the
iterators hand over to the event loop through a bounded queue that drops the oldest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from ringmesh.media.frames import AudioFrame, VideoFrame

VideoCallback: TypeAlias = Callable[[VideoFrame], Awaitable[None] | None]
AudioCallback: TypeAlias = Callable[[AudioFrame], Awaitable[None] | None]
VideoSink: TypeAlias = Callable[[VideoFrame], None]
AudioSink: TypeAlias = Callable[[AudioFrame], None]


class Subscription:
    """A sink attached to a stream. `close` detaches it; idempotent. Also a context manager."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MediaStream:
    """Audio and video that belong together, to which sinks attach and detach at any time."""

    @property
    def has_audio(self) -> bool:
        """Whether there is an audio track."""
        raise NotImplementedError

    @property
    def has_video(self) -> bool:
        """Whether there is a video track."""
        raise NotImplementedError

    def on_video_frame(self, callback: VideoCallback) -> Subscription:
        """Call `callback` on the event loop with every picture; at most 2 wait, the oldest is dropped.

        A callback that raises is logged once and goes on being called.
        """
        raise NotImplementedError

    def on_audio(
        self, callback: AudioCallback, *, sample_rate: int = 48_000, channels: int = 1
    ) -> Subscription:
        """Call `callback` on the event loop with blocks of 10 ms; at most 1 s of them waits.

        Sound is converted to `sample_rate` (Hz) and `channels` (1 or 2).
        """
        raise NotImplementedError

    def video_frames(self, *, max_queued: int = 2) -> AsyncIterator[VideoFrame]:
        """Iterate over pictures until the stream closes; the oldest is dropped when you are slow."""
        raise NotImplementedError

    def audio_frames(
        self, *, sample_rate: int = 48_000, channels: int = 1, max_queued: int = 100
    ) -> AsyncIterator[AudioFrame]:
        """Iterate over 10 ms blocks until the stream closes; the oldest is dropped when you are slow."""
        raise NotImplementedError

    def add_video_sink(self, sink: VideoSink) -> Subscription:
        """Call `sink` on the producing thread with every picture. It must return quickly."""
        raise NotImplementedError

    def add_audio_sink(self, sink: AudioSink) -> Subscription:
        """Call `sink` on the producing thread with every block of sound. It must return quickly."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether the stream was closed. A closed stream delivers nothing more."""
        raise NotImplementedError


class LocalStream(MediaStream):
    """What is sent to the others. Sources run while somebody listens: a peer or a sink.

    The application that made it closes it; a call never does.
    """

    @classmethod
    def from_file(cls, path: str | Path, *, loop: bool = False) -> LocalStream:
        """Send a media file in real time. Raises `MediaError` for a file that cannot be played."""
        raise NotImplementedError

    @classmethod
    def synthetic(
        cls,
        *,
        width: int = 640,
        height: int = 360,
        frame_rate: float = 25.0,
        tone_hz: float = 440.0,
        video: bool = True,
    ) -> LocalStream:
        """Send a moving test picture with a readable frame counter, and a tone."""
        raise NotImplementedError

    @classmethod
    def blank(cls, *, video: bool = True) -> LocalStream:
        """Send black pictures and silence."""
        raise NotImplementedError

    @classmethod
    def echo(cls, remote: RemoteStream) -> LocalStream:
        """Send back what comes from a remote stream."""
        raise NotImplementedError

    @property
    def audio_enabled(self) -> bool:
        """False sends silence."""
        raise NotImplementedError

    @audio_enabled.setter
    def audio_enabled(self, enabled: bool) -> None:
        raise NotImplementedError

    @property
    def video_enabled(self) -> bool:
        """False sends black pictures."""
        raise NotImplementedError

    @video_enabled.setter
    def video_enabled(self, enabled: bool) -> None:
        raise NotImplementedError

    async def wait_ended(self) -> None:
        """Wait until the sources have no more (a file that does not loop) or the stream is closed."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the sources and detach everybody. Idempotent."""
        raise NotImplementedError


class RemoteStream(MediaStream):
    """What one opponent sends. Made by the engine; tracks may appear later."""
