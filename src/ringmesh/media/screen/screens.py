"""Whole screens, through mss: X11, macOS, Windows."""

from __future__ import annotations

import sys
import time
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
        self._grabber = _open(cursor=cursor)
        self._looked_at = time.monotonic()
        try:
            self._monitor()
        except MediaError:
            self.close()
            raise

    def grab(self) -> Pixels | None:
        """See `Grabber`."""
        now = time.monotonic()
        if now - self._looked_at > LAYOUT_INTERVAL:
            self._reopen(now)
        try:
            shot = self._grabber.grab(self._monitor())
        except (mss.ScreenShotError, AssertionError):  # it asserts that the X server answers
            self._reopen(now)  # a screen changed its size since the last look
            return None
        pixels: Pixels = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
        return pixels

    def close(self) -> None:
        """Release everything. Idempotent."""
        self._grabber.close()

    def _monitor(self) -> dict[str, int]:
        try:
            return self._grabber.monitors[self._number]
        except IndexError:
            raise MediaError(f"there is no screen {self._number} any more") from None

    def _reopen(self, now: float) -> None:
        """Mss learns about screens only once."""
        self._grabber.close()
        try:
            self._grabber = _open(cursor=self._cursor)
        except NotSupportedError as error:
            raise MediaError(str(error)) from error
        self._looked_at = now


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
