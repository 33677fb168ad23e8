"""Which screens and windows there are, and opening one; blocking."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from ringmesh.errors import MediaError, NotSupportedError, RingmeshError
from ringmesh.media.frames import Pixels
from ringmesh.media.screen.grabber import (
    PORTAL_SOURCE,
    CaptureKind,
    CaptureSource,
    Grabber,
    parse_source_id,
    source_id,
)
from ringmesh.media.screen.picture import thumbnail

_EXTRA = "sharing the screen needs more packages: pip install 'ringmesh[devices]'"


def default_source() -> str:
    """The id of what is shared when nobody says what: the first screen, or the person's choice."""
    return PORTAL_SOURCE if _wayland() else source_id(CaptureKind.SCREEN, 1)


def capture_sources(*, thumbnails: bool = True) -> list[CaptureSource]:
    """Screens first, then the windows that can be seen (X11 only); on Wayland the person's choice.

    Raises `NotSupportedError` without a desktop and without the extra ``devices``.
    """
    if _wayland():
        return [
            CaptureSource(PORTAL_SOURCE, CaptureKind.PORTAL, "Ask me when sharing begins", 0, 0)
        ]
    try:
        from ringmesh.media.screen.screens import screens

        found = [
            CaptureSource(
                source_id(CaptureKind.SCREEN, screen.number),
                CaptureKind.SCREEN,
                screen.title,
                screen.width,
                screen.height,
            )
            for screen in screens()
        ]
        if sys.platform == "linux":
            found += _windows()
    except ImportError as error:
        raise NotSupportedError(_EXTRA) from error
    return [_with_thumbnail(source) for source in found] if thumbnails else found


def open_grabber(source: str) -> Grabber:
    """Open a screen or window by its id.

    Raises `ConfigurationError` for what is no id, `MediaError` when there is no such source (any
    more) or the person declines, and `NotSupportedError` as `capture_sources` does.
    """
    kind, number = parse_source_id(source)
    try:
        if kind is CaptureKind.PORTAL:
            return _open_portal()
        if _wayland():
            raise NotSupportedError(
                "a Wayland desktop lets no program read the screen by itself: "
                f"share the source {PORTAL_SOURCE!r}, and the desktop asks what to show"
            )
        if kind is CaptureKind.SCREEN:
            from ringmesh.media.screen.screens import ScreenGrabber

            return ScreenGrabber(number)
        if sys.platform == "linux":
            from ringmesh.media.screen.x11_window import WindowGrabber

            return WindowGrabber(number)
    except ImportError as error:
        raise NotSupportedError(_EXTRA) from error
    raise NotSupportedError("single windows can be shared on X11 only: share a screen")


def _windows() -> list[CaptureSource]:
    from ringmesh.media.screen.x11_display import x11_display

    with x11_display() as display:
        return [
            CaptureSource(
                source_id(CaptureKind.WINDOW, window.id),
                CaptureKind.WINDOW,
                window.title,
                window.width,
                window.height,
            )
            for window in display.windows()
        ]


def _with_thumbnail(source: CaptureSource) -> CaptureSource:
    with suppress(RingmeshError):  # it may close meanwhile
        return CaptureSource(
            source.id, source.kind, source.title, source.width, source.height, _picture(source.id)
        )
    return source


def _picture(source: str) -> Pixels | None:
    grabber = open_grabber(source)
    try:
        pixels = grabber.grab()
        return None if pixels is None else thumbnail(pixels)
    except MediaError:
        return None
    finally:
        grabber.close()


def _open_portal() -> Grabber:
    if sys.platform != "linux":
        raise NotSupportedError("the desktop asks what to share on Linux only: share a screen")
    from ringmesh.media.screen.pipewire import PipeWireGrabber

    return PipeWireGrabber()


def _wayland() -> bool:
    return sys.platform == "linux" and bool(os.environ.get("WAYLAND_DISPLAY"))
