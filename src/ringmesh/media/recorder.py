"""Recording to a file, encoded on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

from ringmesh.errors import InvalidStateError, MediaError
from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.media_file import FORMATS, WRITE_ERRORS, MediaFileWriter
from ringmesh.media.media_stream import MediaStream, Subscription

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
        began: when its time 0 was, in seconds of `time.monotonic`, which puts several files of one
            call in step; None for an empty file.
        duration: seconds.
        video_frames: pictures written.
        video_frames_dropped: pictures that the encoder was too slow for.
        audio_seconds: seconds of sound written.
        bytes: size of the file.
        user_id: whose file it is, where a call was recorded into one file per person.
    """

    path: Path
    began: float | None
    duration: float
    video_frames: int
    video_frames_dropped: int
    audio_seconds: float
    bytes: int
    user_id: int | None = None


def check_path(path: Path) -> None:
    """Raises `MediaError` unless the extension is one that can be recorded to."""
    if path.suffix.lower() not in FORMATS:
        raise MediaError(f"record to one of {', '.join(FORMATS)}, not {path.name!r}")


class FileRecorder:
    """One file and the thread that writes it: VP8 and Opus in ``.mkv`` or ``.webm``, H.264 and AAC
    in ``.mp4``. Subclasses say what is written.

    What is written reaches the disk within about a second, so the file can be played meanwhile,
    and is not lost when the process is killed.
    """

    def __init__(
        self,
        path: str | Path,
        announced: Callable[[], Set[str]],
        *,
        size: tuple[int, int] | None,
        on_error: Callable[[MediaError], None] | None,
    ) -> None:
        self.path = Path(path)
        check_path(self.path)
        try:
            file = self.path.open("wb", buffering=0)
        except OSError as error:
            raise MediaError(f"cannot write {self.path}: {error.strerror}") from error
        format = FORMATS[self.path.suffix.lower()]
        self._writer = MediaFileWriter(file, format, announced, size=size)
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._error: MediaError | None = None
        self._dropped = 0
        self._finishing = False
        self._done = asyncio.Event()

    async def stop(self) -> Recording:
        """Finish the file. Idempotent. Raises the `MediaError` that ended the recording, if any."""
        self.finish()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self._done.wait()
        except TimeoutError:
            raise MediaError(f"{self.path} could not be finished in time") from None
        if self._error is not None:
            raise self._error
        return Recording(
            path=self.path,
            began=self._writer.origin,
            duration=self._writer.duration,
            video_frames=self._writer.video_frames,
            video_frames_dropped=self._dropped,
            audio_seconds=self._writer.audio_seconds,
            bytes=self._writer.size,
        )

    def finish(self) -> None:
        """Begin to finish the file; `stop` waits for that. Idempotent. On the event loop."""
        if not self._finishing:
            self._finishing = True
            self._detach()

    def _detach(self) -> None:
        """Take nothing more in, and let `_write_all` come to its end."""
        raise NotImplementedError

    def _write_all(self) -> None:
        """Write until there is no more, on the thread."""
        raise NotImplementedError

    def _start(self) -> None:
        threading.Thread(target=self._run, name="ringmesh-recorder", daemon=True).start()

    def _run(self) -> None:
        try:
            try:
                self._write_all()
            except WRITE_ERRORS:
                with contextlib.suppress(*WRITE_ERRORS):
                    self._writer.close()
                raise
            self._writer.close()
        except WRITE_ERRORS as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._error = MediaError(f"recording to {self.path} ended: {reason}")
            _log.error("%s", self._error)
        try:
            self._loop.call_soon_threadsafe(self._ended)
        except RuntimeError:  # the loop is closed: nobody is left to tell
            _log.debug("the recording of %s outlived its event loop", self.path)

    def _ended(self) -> None:
        self.finish()
        self._done.set()
        if self._error is not None and self._on_error is not None:
            self._on_error(self._error)


class Recorder(FileRecorder):
    """Records a stream. In ``.mkv`` and ``.webm`` the size of the file's pictures follows the
    stream's when they get larger or turn; smaller ones, and in ``.mp4`` all, are fitted in, with
    black bars where the shape differs. Sound that is missing becomes silence, so that both stay in
    step.
    """

    def __init__(
        self,
        stream: MediaStream,
        path: str | Path,
        *,
        size: tuple[int, int] | None = None,
        video: bool = False,
        ends_with_stream: bool = True,
        on_error: Callable[[MediaError], None] | None = None,
    ) -> None:
        """Open (and overwrite) the file and begin. On the event loop.

        `size` fixes width and height. `video` makes room for pictures that the stream does not
        have yet. With `ends_with_stream` the recording ends when the stream closes, otherwise only
        with `stop`. `on_error` is called on the event loop, once, when writing fails later (disk
        full): the recording ends there, the stream goes on.

        Raises `MediaError` when the path cannot be written or its extension is not known,
        `InvalidStateError` when the stream is closed.
        """
        if stream.closed:
            raise InvalidStateError("the stream is closed")
        self._stream = stream
        self._with_video = video
        super().__init__(path, self._announced, size=size, on_error=on_error)
        self._queue: queue.SimpleQueue[VideoFrame | AudioFrame | None] = queue.SimpleQueue()
        self._pictures = 0
        self._blocks = 0
        self._subscriptions: list[Subscription] = []
        self._attach()
        self._start()
        if ends_with_stream:
            stream.add_close_callback(self.finish)

    def replace_stream(self, stream: MediaStream) -> None:
        """Go on with another stream. Raises `InvalidStateError` when it is closed."""
        if not self._finishing and stream is not self._stream:
            for subscription in self._subscriptions:
                subscription.close()
            self._stream = stream
            self._attach()

    def _attach(self) -> None:
        self._subscriptions = [
            self._stream.add_video_sink(self._put_video),
            self._stream.add_audio_sink(self._put_audio),
        ]

    def _announced(self) -> Set[str]:
        kinds = {"audio": self._stream.has_audio, "video": self._stream.has_video}
        return {kind for kind, comes in kinds.items() if comes} | (
            {"audio", "video"} if self._with_video else set()
        )

    def _detach(self) -> None:
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

    def _write_all(self) -> None:
        while (frame := self._queue.get()) is not None:
            if isinstance(frame, VideoFrame):
                self._pictures -= 1
            else:
                self._blocks -= 1
            self._writer.write(frame)
