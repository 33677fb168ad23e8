"""An X11 display: a connection, the windows that people see, and what they are called.

Windows are listed as a window manager tells (EWMH, ``_NET_CLIENT_LIST``); without one, they are
the children of the root window.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import xcffib
from xcffib import xproto

from ringmesh.errors import NotSupportedError

MIN_WINDOW = 32
"""Windows with a smaller side are not listed: they are helpers that nobody means to share."""

MAX_WINDOWS = 200
MAX_TITLE = 200

X_ERRORS = (xcffib.XcffibException, xcffib.Error)
"""What a request can raise: a lost connection, or an error that the X server answers."""

_MAX_PROPERTY_WORDS = 4096
_NOT_SHARED = ("_NET_WM_WINDOW_TYPE_DESKTOP", "_NET_WM_WINDOW_TYPE_DOCK")


@dataclass(frozen=True, slots=True)
class X11Window:
    """A window that can be seen."""

    id: int
    title: str
    width: int
    height: int


class X11Display:
    """A connection to the X server that $DISPLAY names. One thread at a time."""

    def __init__(self) -> None:
        """Raises `NotSupportedError` when there is no X server."""
        try:
            self.connection = _connect()
        except X_ERRORS as error:
            raise NotSupportedError(
                "there is no X11 display to share: log in to a desktop, or set DISPLAY"
            ) from error
        self.core = self.connection.core
        self.screen = self.connection.setup.roots[self.connection.pref_screen]
        self.root: int = self.screen.root

    def close(self) -> None:
        """Disconnect. Idempotent."""
        self.connection.disconnect()

    def has_extension(self, name: str) -> bool:
        """Whether the server has an extension."""
        return bool(self.core.QueryExtension(len(name), name).reply().present)

    def windows(self) -> list[X11Window]:
        """The windows that can be seen, as the window manager orders them."""
        found = self._property(self.root, "_NET_CLIENT_LIST", xproto.Atom.WINDOW)
        windows = _words(found) if found else list(self.core.QueryTree(self.root).reply().children)
        described = (self._described(window) for window in windows[:MAX_WINDOWS])
        return [window for window in described if window is not None]

    def _described(self, window: int) -> X11Window | None:
        with suppress(*X_ERRORS):  # it may close meanwhile
            attributes = self.core.GetWindowAttributes(window).reply()
            geometry = self.core.GetGeometry(window).reply()
            if (
                attributes._class == xproto.WindowClass.InputOutput
                and attributes.map_state == xproto.MapState.Viewable
                and min(geometry.width, geometry.height) >= MIN_WINDOW
                and not self._types(window) & {self._atom(name) for name in _NOT_SHARED}
            ):
                title = self._title(window) or f"Window {window:#x}"
                return X11Window(window, title, geometry.width, geometry.height)
        return None

    def _title(self, window: int) -> str:
        raw = self._property(window, "_NET_WM_NAME", self._atom("UTF8_STRING"))
        text = raw.decode("utf-8", "replace") if raw else ""
        if not text:
            raw = self._property(window, "WM_NAME", xproto.Atom.STRING)
            text = raw.decode("latin-1")
        return "".join(char if char.isprintable() else " " for char in text)[:MAX_TITLE].strip()

    def _types(self, window: int) -> set[int]:
        return set(_words(self._property(window, "_NET_WM_WINDOW_TYPE", xproto.Atom.ATOM)))

    def _property(self, window: int, name: str, kind: int) -> bytes:
        atom = self._atom(name)
        reply = self.core.GetProperty(False, window, atom, kind, 0, _MAX_PROPERTY_WORDS).reply()
        return bytes(reply.value.raw)

    def _atom(self, name: str) -> int:
        return int(self.core.InternAtom(False, len(name), name).reply().atom)


@contextmanager
def x11_display() -> Iterator[X11Display]:
    """A connection for the time of the block."""
    display = X11Display()
    try:
        yield display
    finally:
        display.close()


def _connect() -> Any:
    return xcffib.Connection()  # type: ignore[no-untyped-call]


def _words(raw: bytes) -> list[int]:
    return [word for (word,) in struct.iter_unpack("=I", raw[: len(raw) // 4 * 4])]
