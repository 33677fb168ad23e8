"""Pictures of a PipeWire stream that the desktop's portal handed out: Wayland, and X11 likewise.

GStreamer's own programs read the stream: distributions ship them beside PipeWire.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from io import BufferedReader
from typing import IO

import numpy as np

from ringmesh.errors import MediaError, NotSupportedError
from ringmesh.media.frames import Pixels
from ringmesh.media.screen.portal import ScreenCast

MAX_RATE = 30
"""Pictures per second that leave GStreamer, at most: the newest is the one that is shown."""

KEEPALIVE, SILENCE = 1.0, 10.0
"""Seconds after which a picture that stands still comes again, and without any the source is gone:
PipeWire tells GStreamer of many an end with nothing but that."""

MAX_PICTURE = 8192 * 8192 * 4
"""Bytes."""

_PADDING = 256
"""Bytes at the end of each row: less than these."""

_SIZE = re.compile(rb"capsfilter\S* caps = video/x-raw.*?width=\(int\)(\d+).*?height=\(int\)(\d+)")
_HEADER_LINES, _LENGTH = 4, re.compile(rb"Content-Length: (\d{1,9})\s*$", re.IGNORECASE)

_GONE = "what was shared is gone"
_INSTALL = (
    "reading the desktop's screen needs GStreamer: "
    "apt install gstreamer1.0-tools gstreamer1.0-pipewire gstreamer1.0-plugins-good"
)


class PipeWireGrabber:
    """Implements `ringmesh.media.screen.grabber.Grabber` for what the person chooses."""

    def __init__(self, *, cursor: bool = True) -> None:
        """Ask the person. Raises as `ScreenCast`, and `NotSupportedError` without GStreamer."""
        self._lock = threading.Lock()
        self._newest: bytes | None = None
        self._came_at = 0.0
        self._gone: str | None = None
        self._closed = False
        self._cast = ScreenCast(self._end, cursor=cursor)
        try:
            self._start()
        except BaseException:
            self._cast.close()
            raise

    def grab(self) -> Pixels | None:
        """See `Grabber`. None until the first picture has come."""
        with self._lock:
            if self._gone is not None:
                raise MediaError(self._gone)
            if time.monotonic() - self._came_at > SILENCE:
                raise MediaError(_GONE)
            newest = self._newest
        # Its size may come a moment after the picture.
        return None if newest is None else self._size.shaped(newest)

    def close(self) -> None:
        """Release everything. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._process.kill()
        self._reader.join()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._cast.close()
        self._errors.close()

    def _start(self) -> None:
        ours, theirs = os.pipe()
        # Each picture is a part of a multipart message and so tells its length; width and height
        # are in what -v writes. A stream of few buffers stands still unless they are copied, and
        # one whose source is gone must not go on with another one, such as the camera.
        pipeline = (
            f"pipewiresrc fd={self._cast.remote} path={self._cast.node} do-timestamp=true "
            f"always-copy=true keepalive-time={KEEPALIVE * 1000:.0f} "
            "stream-properties=props,node.dont-reconnect=true "
            f"! videorate drop-only=true max-rate={MAX_RATE} ! videoconvert "
            f"! video/x-raw,format=BGRx ! multipartmux boundary=picture ! fdsink fd={theirs}"
        )
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the rest
        try:
            self._process = subprocess.Popen(
                ["gst-launch-1.0", "-v", *pipeline.split()],
                pass_fds=(self._cast.remote, theirs),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
            )
        except OSError as error:
            os.close(ours)
            self._errors.close()
            raise NotSupportedError(_INSTALL) from error
        finally:
            os.close(theirs)
        assert self._process.stdout is not None
        self._came_at = time.monotonic()
        self._size = _Size(self._process.stdout.fileno())
        self._reader = threading.Thread(
            target=self._read, args=(os.fdopen(ours, "rb"),), name="ringmesh-pipewire", daemon=True
        )
        self._reader.start()

    def _read(self, pictures: BufferedReader) -> None:
        reason = None
        with pictures:
            try:
                while length := _length(pictures):
                    picture = pictures.read(length)
                    if len(picture) < length:
                        break
                    with self._lock:
                        self._newest, self._came_at = picture, time.monotonic()
            except MediaError as error:
                reason = str(error)
        self._end(reason or self._why())

    def _why(self) -> str:
        """What GStreamer said at its end."""
        self._errors.seek(0)
        said = self._errors.read(4096).decode(errors="replace")
        if "no element" in said:
            return f"{_INSTALL} ({said.strip()[:200]})"
        return _GONE

    def _end(self, reason: str) -> None:
        with self._lock:
            if self._gone is None:
                self._gone = reason


def _length(pictures: BufferedReader) -> int:
    """The length of the next picture; 0 when there is none any more."""
    for _ in range(_HEADER_LINES):
        line = pictures.readline(200)
        if found := _LENGTH.match(line):
            length = int(found[1])
            if not 0 < length <= MAX_PICTURE:
                raise MediaError(f"a picture of {length} bytes is too large to be shared")
            pictures.readline(200)
            return length
        if not line:
            return 0
    raise MediaError("GStreamer writes what is no picture")


class _Size:
    """The size of pictures, out of what GStreamer says about them."""

    def __init__(self, messages: int) -> None:
        os.set_blocking(messages, False)
        self._messages = messages
        self._unread = b""
        self._width = self._height = 0

    def shaped(self, picture: bytes) -> Pixels | None:
        """The picture in its size; None while that is not known."""
        self._read()
        if not self._height or len(picture) % self._height:
            return None
        rows = np.frombuffer(picture, np.uint8).reshape(self._height, -1)
        if not 0 <= rows.shape[1] - self._width * 4 < _PADDING:
            return None
        return rows[:, : self._width * 4].reshape(self._height, self._width, 4)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            while said := os.read(self._messages, 65536):
                *lines, rest = (self._unread + said).split(b"\n")
                self._unread = rest[-4096:]
                for found in filter(None, map(_SIZE.search, lines)):
                    self._width, self._height = int(found[1]), int(found[2])
