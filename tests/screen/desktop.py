"""A screen of its own (Xvfb) with windows that show known pictures."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import xcffib
import xcffib.randr
from xcffib import xproto

from ringmesh.media.frames import Pixels

WIDTH, HEIGHT = 1280, 720
LIMIT = 20.0
_PUT_ROWS_BYTES = 200_000


def program(name: str) -> str:
    """The path of a program that these tests need; without it they fail."""
    path = shutil.which(name)
    if path is None:
        raise AssertionError(f"{name} is not installed: run scripts/setup.sh")
    return path


@contextmanager
def running(*command: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the time of the block."""
    process = subprocess.Popen(
        [program(command[0]), *command[1:]], stderr=subprocess.DEVNULL, **options
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def xvfb(*options: str, width: int = WIDTH, height: int = HEIGHT) -> Iterator[str]:
    """An X server on a free display; yields the display's name."""
    ours, theirs = os.pipe()
    size = f"{width}x{height}x24"
    command = [
        "Xvfb",
        "-displayfd",
        str(theirs),
        "-screen",
        "0",
        size,
        "-nolisten",
        "tcp",
        "-noreset",
    ]
    with running(*command, *options, pass_fds=(theirs,)):
        os.close(theirs)
        with os.fdopen(ours) as pipe:
            yield f":{pipe.readline().strip()}"


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that no event tells."""
    until = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < until, f"{what} did not happen"
        time.sleep(0.02)


class Desktop:
    """A client of the X server that draws windows. Everything has happened when a call returns."""

    def __init__(self, display: str) -> None:
        self._connection = xcffib.connect(display)
        self._screen = self._connection.setup.roots[self._connection.pref_screen]
        self.core = self._connection.core
        self.root: int = self._screen.root

    def close(self) -> None:
        """Destroy all windows."""
        self._connection.disconnect()

    def window(
        self,
        picture: Pixels,
        left: int = 0,
        top: int = 0,
        *,
        title: str = "",
        managed: bool = False,
    ) -> Window:
        """Open a window that shows an RGB picture."""
        return Window(self, picture, left, top, title, managed)

    def resize(self, width: int, height: int) -> None:
        """Give the screen another size, not beyond that of the beginning (RandR 1.2)."""
        randr = self._connection(xcffib.randr.key)
        randr.QueryVersion(1, 2).reply()
        totals = (width * height * 60, width, width, width, 0, height, height, height)
        info = xcffib.randr.ModeInfo.synthetic(0, width, height, *totals, 4, 0)
        mode = randr.CreateMode(self.root, info, 4, "size").reply().mode
        found = randr.GetScreenResources(self.root).reply()
        (output,), (crtc,) = found.outputs, found.crtcs
        randr.AddOutputModeChecked(output, mode).check()
        randr.SetCrtcConfig(crtc, 0, found.config_timestamp, 0, 0, mode, 1, 1, [output]).reply()
        randr.SetScreenSizeChecked(self.root, width, height, width // 4, height // 4).check()

    def move_pointer(self, left: int, top: int) -> None:
        """Put the mouse cursor there."""
        self.core.WarpPointer(0, self.root, 0, 0, 0, 0, left, top)
        self.sync()

    def set_cursor(self, window: int) -> None:
        """Over this window the cursor is a solid white block of 16x16 pixels."""
        pixmap, context, cursor = (self._connection.generate_id() for _ in range(3))
        core = self.core
        core.CreatePixmap(1, pixmap, self.root, 16, 16)
        core.CreateGC(context, pixmap, xproto.GC.Foreground, [1])
        core.PolyFillRectangle(pixmap, context, 1, [xproto.RECTANGLE.synthetic(0, 0, 16, 16)])
        white = (0xFFFF, 0xFFFF, 0xFFFF)
        core.CreateCursor(cursor, pixmap, pixmap, *white, *white, 0, 0)
        core.ChangeWindowAttributes(window, xproto.CW.Cursor, [cursor])
        self.sync()

    def sync(self) -> None:
        """Wait until the server has done everything."""
        self.core.GetInputFocus().reply()

    def create(self, left: int, top: int, width: int, height: int, managed: bool) -> int:
        window = int(self._connection.generate_id())
        self.core.CreateWindow(
            self._screen.root_depth, window, self.root, left, top, width, height, 0,
            xproto.WindowClass.InputOutput, self._screen.root_visual,
            xproto.CW.BackPixel | xproto.CW.OverrideRedirect, [0, int(not managed)],
        )  # fmt: skip
        return window

    def pixmap(self, picture: Pixels) -> int:
        """A picture in the server's memory."""
        height, width = picture.shape[:2]
        pixmap, context = self._connection.generate_id(), self._connection.generate_id()
        depth = self._screen.root_depth
        self.core.CreatePixmap(depth, pixmap, self.root, width, height)
        self.core.CreateGC(context, pixmap, 0, [])
        bgrx = np.zeros((height, width, 4), np.uint8)
        bgrx[:, :, :3] = picture[:, :, ::-1]
        step = max(1, _PUT_ROWS_BYTES // (width * 4))
        for row in range(0, height, step):
            part = bgrx[row : row + step]
            self.core.PutImage(
                xproto.ImageFormat.ZPixmap, pixmap, context, width, len(part), 0, row, 0, depth,
                part.size, part.tobytes(),
            )  # fmt: skip
        self.core.FreeGC(context)
        return int(pixmap)


class Window:
    """A window that shows a picture, wherever it is put."""

    def __init__(
        self, desktop: Desktop, picture: Pixels, left: int, top: int, title: str, managed: bool
    ) -> None:
        self._desktop = desktop
        height, width = picture.shape[:2]
        self.id = desktop.create(left, top, width, height, managed)
        if title:
            raw = title.encode()
            for name, kind in (("_NET_WM_NAME", "UTF8_STRING"), ("WM_NAME", "STRING")):
                atoms = [desktop.core.InternAtom(False, len(n), n).reply() for n in (name, kind)]
                desktop.core.ChangeProperty(
                    xproto.PropMode.Replace, self.id, atoms[0].atom, atoms[1].atom, 8,
                    len(raw), raw,
                )  # fmt: skip
        self.show(picture)
        desktop.core.MapWindow(self.id)
        desktop.sync()
        wait_until(self._visible, "the window to be shown")

    @property
    def source(self) -> str:
        """The id by which it is shared."""
        return f"window:{self.id:#x}"

    def show(self, picture: Pixels) -> None:
        """Show another picture; the window's size stays."""
        pixmap = self._desktop.pixmap(picture)
        core = self._desktop.core
        core.ChangeWindowAttributes(self.id, xproto.CW.BackPixmap, [pixmap])
        core.FreePixmap(pixmap)
        core.ClearArea(False, self.id, 0, 0, 0, 0)
        self._desktop.sync()

    def configure(self, **values: int) -> None:
        """Change X, Y, Width or Height."""
        mask = 0
        for name in values:
            mask |= getattr(xproto.ConfigWindow, name)
        order = ("X", "Y", "Width", "Height")
        self._desktop.core.ConfigureWindow(
            self.id, mask, [values[name] for name in order if name in values]
        )
        self._desktop.sync()

    def hide(self) -> None:
        """As if it were minimised."""
        self._desktop.core.UnmapWindow(self.id)
        self._desktop.sync()

    def unhide(self) -> None:
        """Show it again."""
        self._desktop.core.MapWindow(self.id)
        self._desktop.sync()

    def close(self) -> None:
        """Destroy it."""
        self._desktop.core.DestroyWindow(self.id)
        self._desktop.sync()

    def _visible(self) -> bool:
        attributes = self._desktop.core.GetWindowAttributes(self.id).reply()
        return bool(attributes.map_state == xproto.MapState.Viewable)


def plain(width: int, height: int, colour: tuple[int, int, int]) -> Pixels:
    """A picture of one colour."""
    return np.full((height, width, 3), colour, np.uint8)


def is_near(pixel: Pixels, colour: tuple[int, int, int]) -> bool:
    """Whether a pixel has this colour, as far as YUV leaves it so."""
    return bool(np.abs(pixel.astype(int) - colour).max() < 12)
