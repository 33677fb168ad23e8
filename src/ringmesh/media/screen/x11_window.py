"""Pictures of one X11 window, also while others cover it (Composite), with the cursor (XFixes)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xcffib.composite
import xcffib.xfixes
from xcffib import xproto

from ringmesh.errors import MediaError, NotSupportedError
from ringmesh.media.frames import MIN_SIDE, Pixels
from ringmesh.media.screen.cursor import Cursor, draw_cursor
from ringmesh.media.screen.x11_display import X_ERRORS, X11Display
from ringmesh.media.screen.x11_memory import SharedMemory

_GONE = (xproto.WindowError, xproto.DrawableError)
_DEPTHS = (24, 32)


class WindowGrabber:
    """Implements `ringmesh.media.screen.grabber.Grabber` for one window."""

    def __init__(self, window: int, *, cursor: bool = True) -> None:
        """Raises `MediaError` when there is no such window."""
        self._window = window
        self._display = X11Display()
        self._memory: SharedMemory | None = None
        self._closed = False
        try:
            self._open(cursor)
        except _GONE as error:
            self.close()
            raise self._gone() from error
        except BaseException:
            self.close()
            raise

    def _open(self, cursor: bool) -> None:
        display = self._display
        depth = display.core.GetGeometry(self._window).reply().depth
        if depth not in _DEPTHS:
            raise NotSupportedError(f"windows of {depth} bits per pixel cannot be shared")
        self._memory = SharedMemory(display)
        if not display.has_extension("Composite"):
            raise NotSupportedError("the X server shows no single windows (Composite)")
        self._composite = display.connection(xcffib.composite.key)
        self._composite.QueryVersion(0, 4).reply()
        # The server then keeps the window's picture apart, whatever lies above it.
        self._composite.RedirectWindow(
            self._window, xcffib.composite.Redirect.Automatic, is_checked=True
        ).check()
        self._xfixes = None
        if cursor and display.has_extension("XFIXES"):
            self._xfixes = display.connection(xcffib.xfixes.key)
            self._xfixes.QueryVersion(4, 0).reply()

    def grab(self) -> Pixels | None:
        """See `Grabber`. None while the window is minimised or hidden."""
        if self._memory is None:
            raise self._gone()
        try:
            geometry = self._display.core.GetGeometry(self._window).reply()
            if min(geometry.width, geometry.height) < MIN_SIDE:
                return None
            pixels = self._picture(self._memory, geometry)
            if self._xfixes is not None and (cursor := self._cursor()) is not None:
                draw_cursor(pixels, cursor)
            return pixels
        except _GONE as error:
            raise self._gone() from error
        except xcffib.ConnectionException as error:
            raise MediaError("the connection to the X server was lost") from error
        except X_ERRORS:
            return None  # not on the screen, or it has just changed its size

    def _picture(self, memory: SharedMemory, geometry: Any) -> Pixels:
        """The window's pixmap, named anew each time: it changes with the window's size and when
        the window is shown again. It has the border, and parts that are off the screen too."""
        pixmap = self._display.connection.generate_id()
        self._composite.NameWindowPixmap(self._window, pixmap, is_checked=True).check()
        try:
            border = geometry.border_width
            return memory.get_image(pixmap, border, border, geometry.width, geometry.height)
        finally:
            self._display.core.FreePixmap(pixmap)

    def close(self) -> None:
        """Release everything. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        self._display.close()

    def _cursor(self) -> Cursor | None:
        """The cursor, where it is in this window's pixels; None when it is over another one."""
        assert self._xfixes is not None
        core, root = self._display.core, self._display.root
        if core.QueryPointer(root).reply().child not in self._ancestors():
            return None
        image = self._xfixes.GetCursorImage().reply()
        origin = core.TranslateCoordinates(self._window, root, 0, 0).reply()
        bgra = np.frombuffer(image.cursor_image.raw, np.uint8)
        return Cursor(
            bgra.reshape(image.height, image.width, 4),
            left=image.x - image.xhot - origin.dst_x,
            top=image.y - image.yhot - origin.dst_y,
        )

    def _ancestors(self) -> set[int]:
        """The window and those it is in: window managers put windows into frames."""
        found: set[int] = set()
        window = self._window
        while window not in (0, self._display.root) and len(found) < 16:
            found.add(window)
            window = self._display.core.QueryTree(window).reply().parent
        return found

    @staticmethod
    def _gone() -> MediaError:
        return MediaError("the shared window was closed")
