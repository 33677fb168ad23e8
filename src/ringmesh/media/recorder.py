"""Recording one stream to one file, encoded on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ringmesh.errors import InvalidStateError, MediaError
from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.media_file import FORMATS, WRITE_ERRORS, MediaFileWriter
from ringmesh.media.streams import MediaStream

MAX_QUEUED_PICTURES = 30
MAX_QUEUED_BLOCKS = 500
STOP_TIMEOUT = 30.0
"""Seconds that finishing a file may take."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What was written.

    Attributes:
        path: the file.
        duration: seconds.
        video_frames: pictures written.
        video_frames_dropped: pictures that the encoder was too slow for.
        audio_seconds: seconds of sound written.
        bytes: size of the file.
    """

    path: Path
    duration: float
    video_frames: int
    video_frames_dropped: int
    audio_seconds: float
    bytes: int


class Recorder:
    """Records a stream: VP8 and Opus in ``.mkv`` or ``.webm``, H.264 and AAC in ``.mp4``.

    Pictures of another size than the first are scaled into it, with black bars where the shape
    differs. Sound that is missing becomes silence, so that both stay in step. The recording ends
    with `stop`, or when the stream closes.
    """

    def __init__(
        self,
        stream: MediaStream,
        path: str | Path,
        *,
        size: tuple[int, int] | None = None,
        on_error: Callable[[MediaError], None] | None = None,
    ) -> None:
        """Open (and overwrite) the file and begin. On the event loop.

        `size` fixes width and height; without it the first picture does. `on_error` is called
        on the event loop, once, when writing fails later (disk full): the recording ends there,
        the stream goes on. Raises `MediaError` when the path cannot be written or its extension
        is not known, `InvalidStateError` when the stream is closed.
        """
        if stream.closed:
            raise InvalidStateError("the stream is closed")
        self.path = Path(path)
        if self.path.suffix.lower() not in FORMATS:
            raise MediaError(f"record to one of {', '.join(FORMATS)}, not {self.path.name!r}")
        try:
            file = self.path.open("wb", buffering=0)
        except OSError as error:
            raise MediaError(f"cannot write {self.path}: {error.strerror}") from error
        self._writer = MediaFileWriter(
            file,
            FORMATS[self.path.suffix.lower()],
            audio=stream.has_audio,
            video=stream.has_video,
            size=size,
        )
        self._stream = stream
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._error: MediaError | None = None
        self._queue: queue.SimpleQueue[VideoFrame | AudioFrame | None] = queue.SimpleQueue()
        self._pictures = 0
        self._blocks = 0
        self._dropped = 0
        self._finishing = False
        self._done = asyncio.Event()
        self._subscriptions = (
            stream.add_video_sink(self._put_video),
            stream.add_audio_sink(self._put_audio),
        )
        threading.Thread(target=self._run, name="ringmesh-recorder", daemon=True).start()
        stream.add_close_callback(self._finish)

    async def stop(self) -> Recording:
        """Finish the file. Idempotent. Raises the `MediaError` that ended the recording, if any."""
        self._finish()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self._done.wait()
        except TimeoutError:
            raise MediaError(f"{self.path} could not be finished in time") from None
        if self._error is not None:
            raise self._error
        return Recording(
            path=self.path,
            duration=self._writer.duration,
            video_frames=self._writer.video_frames,
            video_frames_dropped=self._dropped,
            audio_seconds=self._writer.audio_seconds,
            bytes=self._writer.size,
        )

    def _finish(self) -> None:
        if not self._finishing:
            self._finishing = True
            for subscription in self._subscriptions:
                subscription.close()
            self._queue.put(None)

    def _put_video(self, frame: VideoFrame) -> None:
        if self._pictures < MAX_QUEUED_PICTURES:
            self._pictures += 1
            self._queue.put(frame)
        else:
            self._dropped += 1

    def _put_audio(self, frame: AudioFrame) -> None:
        if self._blocks < MAX_QUEUED_BLOCKS:
            self._blocks += 1
            self._queue.put(frame)

    def _run(self) -> None:
        try:
            self._write_all()
        except WRITE_ERRORS as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._error = MediaError(f"recording to {self.path} ended: {reason}")
            _log.error("%s", self._error)
        try:
            self._loop.call_soon_threadsafe(self._ended)
        except RuntimeError:  # the loop is closed: nobody is left to tell
            _log.debug("the recording of %s outlived its event loop", self.path)

    def _write_all(self) -> None:
        try:
            while (frame := self._queue.get()) is not None:
                if isinstance(frame, VideoFrame):
                    self._pictures -= 1
                    self._writer.write_video(frame)
                else:
                    self._blocks -= 1
                    self._writer.write_audio(frame)
        except WRITE_ERRORS:
            with contextlib.suppress(*WRITE_ERRORS):
                self._writer.close()
            raise
        self._writer.close()

    def _ended(self) -> None:
        self._finish()
        self._done.set()
        if self._error is not None and self._on_error is not None:
            self._on_error(self._error)
