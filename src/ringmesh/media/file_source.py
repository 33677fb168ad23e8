"""Playing a media file in real time: one thread decodes ahead, another delivers when it is due."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import av
import av.container
import av.error
import numpy as np

from ringmesh.errors import MediaError
from ringmesh.media.audio import AudioConverter
from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.sources import TICK

F = TypeVar("F", VideoFrame, AudioFrame)

MAX_QUEUED_PICTURES = 16
MAX_QUEUED_BLOCKS = 100
MAX_BAD_PACKETS = 250

_log = logging.getLogger(__name__)


class MediaFileSource:
    """A media file as a source of pictures, of sound, or of both in step.

    Attributes:
        video: the pictures, or None when the file has none.
        audio: the sound, or None when the file has none.
    """

    def __init__(self, path: str | Path, *, loop: bool = False) -> None:
        """Open the file and decode its beginning.

        `loop` begins again at the end. Raises `MediaError` when the file is missing, is not a
        media file, or has nothing that can be decoded.
        """
        self._reader = _Reader(Path(path), loop=loop)
        self._player = _Player(self._reader)
        self.video = _Facet[VideoFrame](self._player) if self._reader.has_video else None
        self.audio = _Facet[AudioFrame](self._player) if self._reader.has_audio else None
        self._player.video = self.video
        self._player.audio = self.audio

    @property
    def duration(self) -> float | None:
        """Seconds, if the file says so."""
        return self._reader.duration


class _Facet(Generic[F]):
    """One kind of frames of a player; a `Source`."""

    def __init__(self, player: _Player) -> None:
        self._player = player
        self.queue: deque[F] = deque()
        self.deliver: Callable[[F | None], None] | None = None

    @property
    def ended(self) -> bool:
        return self._player.ended

    def start(self, deliver: Callable[[F | None], None]) -> None:
        self.deliver = deliver
        self._player.start()

    def stop(self) -> None:
        self.deliver = None
        self._player.stop_if_unused()

    def close(self) -> None:
        self.deliver = None
        self._player.close()


class _Player:
    """Keeps the media clock; holds at most a second of decoded media."""

    def __init__(self, reader: _Reader) -> None:
        self.video: _Facet[VideoFrame] | None = None
        self.audio: _Facet[AudioFrame] | None = None
        self.ended = False
        self._reader = reader
        self._changed = threading.Condition()
        self._decoded_all = False
        self._closed = False
        self._decoding = False
        self._playing: object | None = None

    def start(self) -> None:
        """Play on from where it stands."""
        with self._changed:
            if self._closed or self.ended or self._playing is not None:
                return
            self._playing = run = object()
            self._spawn("ringmesh-play", self._play, run)
            if not self._decoding:
                self._decoding = True
                self._spawn("ringmesh-decode", self._decode)

    def stop_if_unused(self) -> None:
        """Pause when nobody takes frames any more."""
        if all(facet.deliver is None for facet in self._facets()):
            with self._changed:
                self._playing = None
                self._changed.notify_all()

    def close(self) -> None:
        """End both threads."""
        with self._changed:
            self._closed = True
            self._playing = None
            self._changed.notify_all()
            if not self._decoding:
                self._reader.close()

    def _spawn(self, name: str, target: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=target, args=arguments, name=name, daemon=True).start()

    def _facets(self) -> list[_Facet[VideoFrame] | _Facet[AudioFrame]]:
        return [facet for facet in (self.video, self.audio) if facet is not None]

    def _decode(self) -> None:
        try:
            for frame in self._reader.frames():
                if not self._enqueue(frame):
                    return
        except (av.error.FFmpegError, MediaError) as error:
            _log.error("playing %s ended early: %s", self._reader.path.name, error)
        finally:
            with self._changed:
                self._decoded_all = True
                self._changed.notify_all()
            self._reader.close()

    def _enqueue(self, frame: VideoFrame | AudioFrame) -> bool:
        """Wait for room and queue a frame; False when the player was closed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room())
            if isinstance(frame, VideoFrame) and self.video is not None:
                self.video.queue.append(frame)
            elif isinstance(frame, AudioFrame) and self.audio is not None:
                self.audio.queue.append(frame)
            self._changed.notify_all()
            return not self._closed

    def _has_room(self) -> bool:
        pictures = len(self.video.queue) if self.video is not None else 0
        blocks = len(self.audio.queue) if self.audio is not None else 0
        return pictures < MAX_QUEUED_PICTURES and blocks < MAX_QUEUED_BLOCKS

    def _play(self, run: object) -> None:
        origin: float | None = None
        while (facet := self._next(run)) is not None:
            position = facet.queue[0].timestamp
            now = time.monotonic()
            if origin is None or now - (origin + position) > 0.5:
                origin = now - position
            due = origin + position
            with self._changed:
                if self._changed.wait_for(lambda: self._playing is not run, max(0.0, due - now)):
                    return
                frame = facet.queue.popleft()
                self._changed.notify_all()
            self._hand_out(facet, frame, due)

    def _next(self, run: object) -> _Facet[VideoFrame] | _Facet[AudioFrame] | None:
        """The facet whose frame is due first; None when paused, closed or at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._playing is not run
                    or self._decoded_all
                    or not self._has_room()
                    or all(facet.queue for facet in self._facets())
                )
            )
            if self._playing is not run:
                return None
            filled = [facet for facet in self._facets() if facet.queue]
            if filled:
                return min(filled, key=lambda facet: facet.queue[0].timestamp)
            self.ended = True
            self._playing = None
        for facet in self._facets():
            if facet.deliver is not None:
                facet.deliver(None)
        return None

    def _hand_out(
        self,
        facet: _Facet[VideoFrame] | _Facet[AudioFrame],
        frame: VideoFrame | AudioFrame,
        due: float,
    ) -> None:
        deliver = facet.deliver
        if deliver is not None:
            deliver(frame.at(due))  # type: ignore[arg-type]


class _Reader:
    """Decodes a file into frames whose timestamps are positions, growing over loops."""

    def __init__(self, path: Path, *, loop: bool) -> None:
        self.path = path
        self._loop = loop
        try:
            self._container = av.open(str(path))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise MediaError(f"cannot play {path}: {_reason(error)}") from error
        try:
            self._probe()
        except (av.error.FFmpegError, MediaError) as error:
            self._container.close()
            raise MediaError(f"cannot play {path}: {_reason(error)}") from error

    @property
    def duration(self) -> float | None:
        """Seconds."""
        length = self._container.duration
        return None if length is None else length / av.time_base

    def frames(self) -> Iterator[VideoFrame | AudioFrame]:
        """Everything in the file, in the file's order; without an end when looping."""
        offset = 0.0
        while True:
            end = offset
            self._container.seek(0)
            converter = AudioConverter(block_ms=round(TICK * 1000))
            for frame in self._decoded():
                for made in self._convert(frame, offset, converter):
                    length = made.duration if isinstance(made, AudioFrame) else self._frame_time
                    end = max(end, made.timestamp + length)
                    yield made
            if not self._loop or end == offset:
                return
            offset = end

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _probe(self) -> None:
        streams = self._container.streams
        self._video = next(iter(streams.video), None)
        self._audio = next(iter(streams.audio), None)
        first = None
        for first in self._decoded():
            if isinstance(first, av.VideoFrame):
                VideoFrame.from_av(first)
            break
        if first is None:
            raise MediaError("it has no pictures or sound that can be decoded")
        start = self._container.start_time
        self._start = 0.0 if start is None else start / av.time_base
        rate = self._video.average_rate if self._video is not None else None
        self._frame_time = 1 / float(rate) if rate else 0.04
        self.has_video = self._video is not None
        self.has_audio = self._audio is not None

    def _decoded(self) -> Iterator[av.VideoFrame | av.AudioFrame]:
        wanted = [stream for stream in (self._video, self._audio) if stream is not None]
        if not wanted:
            return
        bad = 0
        for packet in self._container.demux(wanted):
            try:
                decoded = packet.decode()
            except av.error.InvalidDataError as error:
                bad += 1
                if bad > MAX_BAD_PACKETS:
                    raise MediaError("too much of it is damaged") from error
                continue
            for frame in decoded:
                if isinstance(frame, av.VideoFrame | av.AudioFrame):
                    yield frame

    def _convert(
        self, frame: av.VideoFrame | av.AudioFrame, offset: float, converter: AudioConverter
    ) -> Iterator[VideoFrame | AudioFrame]:
        position = offset + max(0.0, (frame.time or 0.0) - self._start)
        if isinstance(frame, av.VideoFrame):
            yield VideoFrame.from_av(frame, timestamp=position)
        else:
            yield from converter.convert(from_av_audio(frame, position))


def from_av_audio(frame: av.AudioFrame, timestamp: float) -> AudioFrame:
    """A block from a PyAV frame of any sample format, with all its channels or their mix to two."""
    if frame.format.name != "s16" or len(frame.layout.channels) > 2:
        layout = "mono" if len(frame.layout.channels) == 1 else "stereo"
        resampler = av.AudioResampler("s16", layout, frame.sample_rate)
        frame = resampler.resample(frame)[0]
    channels = len(frame.layout.channels)
    samples = np.asarray(frame.to_ndarray(), np.int16)
    shaped = samples.reshape(-1) if channels == 1 else samples.reshape(-1, channels)
    return AudioFrame(shaped, frame.sample_rate, timestamp)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
