"""Whole screens, through mss: X11, macOS, Windows."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import dataclass

import mss
import numpy as np

from ringmesh.errors import MediaError, NotSupportedError
from ringmesh.media.frames import Pixels

LAYOUT_INTERVAL = 1.0
"""Seconds after which it is looked whether screens came, went or changed their size."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen, numbered from 1."""

    number: int
    title: str
    width: int
    height: int


def screens() -> list[Screen]:
    """The screens of this machine. Raises `NotSupportedError` when there is none to be read."""
    with _open(cursor=False) as grabber:
        return [
            Screen(number, _title(number, monitor), monitor["width"], monitor["height"])
            for number, monitor in enumerate(grabber.monitors[1:], 1)
        ]


class ScreenGrabber:
    """Implements `ringmesh.media.screen.grabber.Grabber` for one screen."""

    def __init__(self, number: int, *, cursor: bool = True) -> None:
        """Raises `MediaError` when there is no such screen."""
        self._number = number
        self._cursor = cursor
        self._grabber: mss.MSS | None = _open(cursor=cursor)
        self._looked_at = time.monotonic()
        try:
            self._monitor(self._grabber)
        except MediaError:
            self.close()
            raise

    def grab(self) -> Pixels | None:
        """See `Grabber`."""
        now = time.monotonic()
        if self._grabber is None or now - self._looked_at > LAYOUT_INTERVAL:
            self._grabber = self._reopened()
            self._looked_at = now
        try:
            shot = self._grabber.grab(self._monitor(self._grabber))
        except (mss.ScreenShotError, AssertionError):  # it asserts that the X server answers
            self._grabber = self._reopened()  # a screen may have changed its size
            return None
        pixels: Pixels = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
        return pixels

    def close(self) -> None:
        """Release everything. Idempotent."""
        grabber, self._grabber = self._grabber, None
        if grabber is not None:
            with suppress(mss.ScreenShotError):  # of an X server that is gone
                grabber.close()

    def _monitor(self, grabber: mss.MSS) -> dict[str, int]:
        try:
            return grabber.monitors[self._number]
        except IndexError:
            raise MediaError(f"there is no screen {self._number} any more") from None

    def _reopened(self) -> mss.MSS:
        """Mss learns about screens only once."""
        self.close()
        try:
            return _open(cursor=self._cursor)
        except NotSupportedError as error:
            raise MediaError(str(error)) from error


def _open(*, cursor: bool) -> mss.MSS:
    try:
        if sys.platform == "linux":
            return mss.MSS(with_cursor=cursor)
        return mss.MSS()  # it can draw the cursor on X11 only
    except mss.ScreenShotError as error:
        raise NotSupportedError(
            "there is no screen to share: log in to a desktop, on Linux set DISPLAY"
        ) from error


def _title(number: int, monitor: dict[str, object]) -> str:
    name = monitor.get("name") or monitor.get("output") or ""
    return f"Screen {number} ({name})" if name else f"Screen {number}"
