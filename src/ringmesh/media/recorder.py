"""Recording one stream to one file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ringmesh.errors import MediaError
from ringmesh.media.streams import MediaStream


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
    """Records a stream: VP8 and Opus in ``.mkv`` or ``.webm``, H.264 and AAC in ``.mp4``."""

    def __init__(
        self,
        stream: MediaStream,
        path: str | Path,
        *,
        on_error: Callable[[MediaError], None] | None = None,
    ) -> None:
        """Open the file and begin. Raises `MediaError` when the path cannot be written.

        `on_error` is called on the event loop, once, when writing fails later (disk full);
        the recording ends there, the stream goes on.
        """
        raise NotImplementedError

    async def stop(self) -> Recording:
        """Finish the file. Idempotent. Raises the `MediaError` that ended the recording, if any."""
        raise NotImplementedError
