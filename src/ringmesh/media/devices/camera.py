"""Taking pictures from a camera, through FFmpeg."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
import av.container
import av.error

from ringmesh.errors import MediaError
from ringmesh.media.devices.cameras import input_format
from ringmesh.media.devices.model import VIRTUAL_CAMERA, MediaDevice
from ringmesh.media.frames import VideoFrame

MAX_BAD_PICTURES = 50
"""Damaged pictures in a row after which a camera counts as broken."""

CLOSE_TIMEOUT = 2.0
"""Seconds that closing waits for the camera's next picture."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFormat:
    """What a camera is asked for; it may give the nearest that it can.

    Attributes:
        width: pixels.
        height: pixels.
        frame_rate: pictures per second.
    """

    width: int = 640
    height: int = 480
    frame_rate: int = 30


class Camera:
    """A camera that is switched on, from its making until `close`.

    Args:
        deliver: called on the camera's thread with every picture.
        failed: called there, once, when no more pictures come.
    """

    def __init__(
        self,
        device: MediaDevice,
        wanted: CameraFormat,
        deliver: Callable[[VideoFrame], None],
        failed: Callable[[], None],
    ) -> None:
        """Waits for the first picture. Raises `MediaError` when the camera cannot be opened."""
        self.device = device
        self._deliver = deliver
        self._failed = failed
        self._container = _open(device, wanted)
        self._pictures = self._decoded()
        self._closed = threading.Event()
        try:
            self._first = next(self._pictures)
        except (av.error.FFmpegError, MediaError, OSError, StopIteration) as error:
            self._container.close()
            raise _unusable(device, error) from error
        self._thread = threading.Thread(target=self._run, name="ringmesh-camera", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Switch it off. Waits at most two seconds for the picture that is being taken."""
        self._closed.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_TIMEOUT)

    def _run(self) -> None:
        try:
            self._deliver(self._first)
            for picture in self._pictures:
                if self._closed.is_set():
                    return
                self._deliver(picture)
        except (av.error.FFmpegError, MediaError, OSError) as error:
            _log.warning("camera %s failed: %s", self.device.label, error)
        finally:
            self._container.close()
            if not self._closed.is_set():
                self._failed()

    def _decoded(self) -> Iterator[VideoFrame]:
        virtual = self.device.id.startswith(VIRTUAL_CAMERA)
        origin, bad = None, 0
        for packet in self._container.demux(self._container.streams.video[0]):
            try:
                decoded = packet.decode()
                bad = 0
            except av.error.InvalidDataError:
                bad += 1
                if bad > MAX_BAD_PICTURES:
                    raise
                continue
            for frame in decoded:
                if not isinstance(frame, av.VideoFrame):
                    continue
                if virtual:  # a filter graph has no clock of its own
                    origin = time.monotonic() if origin is None else origin
                    self._closed.wait(max(0.0, origin + (frame.time or 0.0) - time.monotonic()))
                yield VideoFrame.from_av(frame, timestamp=time.monotonic())


def _open(device: MediaDevice, wanted: CameraFormat) -> av.container.InputContainer:
    attempts: list[tuple[str, str, dict[str, str]]]
    if device.id.startswith(VIRTUAL_CAMERA):
        attempts = [("lavfi", device.id.removeprefix(VIRTUAL_CAMERA), {})]
    else:
        options = {
            "video_size": f"{wanted.width}x{wanted.height}",
            "framerate": str(wanted.frame_rate),
        }
        # Some drivers refuse what they cannot do exactly, instead of giving what is nearest.
        attempts = [(input_format(), device.id, options), (input_format(), device.id, {})]
    error: Exception | None = None
    for name, file, chosen in attempts:
        try:
            container = av.open(file, format=name, options=chosen)
        except (av.error.FFmpegError, OSError, ValueError) as failure:
            error = failure
            continue
        if container.streams.video:
            return container
        container.close()
        error = MediaError("it gives no pictures")
    assert error is not None
    raise _unusable(device, error) from error


def _unusable(device: MediaDevice, error: Exception) -> MediaError:
    reason = getattr(error, "strerror", None) or str(error) or "it gives no pictures"
    return MediaError(
        f"the camera {device.label!r} cannot be used ({reason}): is another program using it, or "
        "was it unplugged?"
    )
