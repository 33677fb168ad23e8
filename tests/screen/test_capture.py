"""Screens and windows as sources of pictures, on an X server of their own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import ringmesh
from ringmesh.errors import ConfigurationError, MediaError, NotSupportedError
from ringmesh.media.frames import Pixels, VideoFrame
from ringmesh.media.screen.capture import capture_sources, open_grabber
from ringmesh.media.screen.picture import fitted, to_frame
from ringmesh.media.screen.source import FRAME_RATE, REFINEMENT, ScreenSource
from tests.screen.desktop import (
    HEIGHT,
    WIDTH,
    Desktop,
    is_near,
    plain,
    running,
    wait_until,
    xvfb,
)

RED, GREEN, BLUE = (200, 30, 40), (20, 160, 60), (30, 60, 200)


def grabbed(source: str) -> Pixels:
    """One picture of a source, in RGB."""
    grabber = open_grabber(source)
    try:
        pixels = grabber.grab()
        assert pixels is not None
        return np.ascontiguousarray(pixels[:, :, 2::-1])
    finally:
        grabber.close()


class Watcher:
    """What a source delivers."""

    def __init__(self, source: str) -> None:
        self.frames: list[VideoFrame] = []
        self.ends = 0
        self.reasons: list[MediaError] = []
        self.gone = threading.Event()
        self.source = ScreenSource(open_grabber(source), on_gone=self._on_gone)

    def deliver(self, frame: VideoFrame | None) -> None:
        """A sink."""
        if frame is None:
            self.ends += 1
        else:
            self.frames.append(frame)

    def sees(self, colour: tuple[int, int, int], size: tuple[int, int] | None = None) -> None:
        """Wait until the newest picture has this colour in its middle, and this size."""

        def seen() -> bool:
            if not self.frames:
                return False
            last = self.frames[-1]
            middle = last.to_ndarray()[last.height // 2, last.width // 2]
            return is_near(middle, colour) and size in (None, (last.width, last.height))

        wait_until(seen, f"{colour} {size}")

    def _on_gone(self, error: MediaError) -> None:
        self.reasons.append(error)
        self.gone.set()


@contextmanager
def watched(source: str) -> Iterator[Watcher]:
    """Show a source for the time of the block."""
    watcher = Watcher(source)
    watcher.source.start(watcher.deliver)
    try:
        yield watcher
    finally:
        watcher.source.close()


async def test_screens_and_windows_are_listed_with_thumbnails(desktop: Desktop) -> None:
    """Each has an id, its kind, title and size, and a small picture of what it shows."""
    window = desktop.window(plain(640, 240, RED), 100, 200, title="Quarterly\nreport \u00e9")
    desktop.window(plain(8, 8, BLUE), title="a helper nobody means to share")
    screen, listed = await ringmesh.list_capture_sources()
    assert (screen.id, screen.kind) == ("screen:1", ringmesh.CaptureKind.SCREEN)
    assert screen.title.startswith("Screen 1")
    assert (screen.width, screen.height) == (WIDTH, HEIGHT)
    assert screen.thumbnail is not None
    assert screen.thumbnail.shape == (180, 320, 3)
    assert is_near(screen.thumbnail[80, 100], RED)
    assert (listed.id, listed.kind) == (window.source, ringmesh.CaptureKind.WINDOW)
    assert (listed.title, listed.width, listed.height) == ("Quarterly report \u00e9", 640, 240)
    assert listed.thumbnail is not None
    assert listed.thumbnail.shape == (120, 320, 3)
    assert is_near(listed.thumbnail[60, 160], RED)
    without = await ringmesh.list_capture_sources(thumbnails=False)
    assert [source.id for source in without] == [screen.id, listed.id]
    assert all(source.thumbnail is None for source in without)


def test_a_window_managers_list_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a window manager its clients are listed, and not the frames around them."""
    with xvfb() as display, running("openbox", env={"DISPLAY": display, "PATH": "/usr/bin"}):
        monkeypatch.setenv("DISPLAY", display)
        drawn = Desktop(display)
        window = drawn.window(plain(400, 300, GREEN), title="managed", managed=True)
        wait_until(
            lambda: [source.id for source in capture_sources()[1:]] == [window.source],
            "the window manager to list the window",
        )
        assert is_near(grabbed(window.source)[150, 200], GREEN)
        drawn.close()


def test_a_screen_shows_what_is_on_it(desktop: Desktop) -> None:
    """Every pixel of the screen, in its colour and at its place."""
    desktop.window(plain(320, 200, BLUE), 600, 100)
    picture = grabbed("screen:1")
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert (picture[100:300, 600:920] == BLUE).all()
    assert (picture[300:, 600:920] == 0).all()


def test_a_screen_may_change_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture follows, and goes on."""
    with xvfb() as display:
        monkeypatch.setenv("DISPLAY", display)
        drawn = Desktop(display)
        drawn.window(plain(WIDTH, HEIGHT, GREEN))
        drawn.move_pointer(0, 0)
        with watched("screen:1") as watcher:
            watcher.sees(GREEN, (WIDTH, HEIGHT))
            drawn.resize(800, 600)
            watcher.sees(GREEN, (800, 600))
            drawn.window(plain(WIDTH, HEIGHT, BLUE))
            watcher.sees(BLUE, (800, 600))
            assert not watcher.ends
        drawn.close()


def test_a_window_is_seen_wherever_it_is(desktop: Desktop) -> None:
    """Others that cover it do not show, nor does the edge of the screen cut it off."""
    window = desktop.window(plain(400, 300, GREEN), 50, 50)
    with watched(window.source) as watcher:
        watcher.sees(GREEN, (400, 300))
        cover = desktop.window(plain(WIDTH, HEIGHT, RED))
        window.configure(X=WIDTH - 100, Y=-200)
        window.show(plain(400, 300, BLUE))
        watcher.sees(BLUE, (400, 300))
        assert all(not is_near(f.to_ndarray()[150, 200], RED) for f in watcher.frames)
        cover.close()


def test_a_window_may_change_its_size(desktop: Desktop) -> None:
    """The picture follows, also beyond the size of the screen; odd sides lose a pixel."""
    window = desktop.window(plain(300, 200, GREEN))
    with watched(window.source) as watcher:
        watcher.sees(GREEN, (300, 200))
        window.configure(Width=801, Height=601)
        watcher.sees(GREEN, (800, 600))
        window.configure(Width=WIDTH + 600, Height=HEIGHT + 400)
        watcher.sees(GREEN, (WIDTH + 600, HEIGHT + 400))
        window.configure(Width=64, Height=48)
        watcher.sees(GREEN, (64, 48))


def test_a_hidden_window_pauses(desktop: Desktop) -> None:
    """While it is minimised nothing new is sent; then it goes on."""
    window = desktop.window(plain(300, 200, GREEN))
    with watched(window.source) as watcher:
        watcher.sees(GREEN)
        window.hide()
        window.show(plain(300, 200, RED))
        window.unhide()
        watcher.sees(RED)
    assert watcher.ends == 0


def test_a_closed_window_ends_the_source(desktop: Desktop) -> None:
    """The end is delivered once, with a reason."""
    window = desktop.window(plain(300, 200, GREEN))
    with watched(window.source) as watcher:
        watcher.sees(GREEN)
        window.close()
        assert watcher.gone.wait(10)
        assert watcher.source.ended
    assert watcher.ends == 1
    assert [str(reason) for reason in watcher.reasons] == ["the shared window was closed"]


def test_the_cursor_is_drawn(desktop: Desktop) -> None:
    """On the screen and on the window under it, where it is; not on a window that is covered."""
    window = desktop.window(plain(400, 300, BLUE), 200, 100)
    desktop.set_cursor(window.id)
    desktop.move_pointer(300, 150)
    for source, left, top in (("screen:1", 300, 150), (window.source, 100, 50)):
        picture = grabbed(source)
        assert is_near(picture[top + 8, left + 8], (255, 255, 255)), source
        assert is_near(picture[top - 4, left - 4], BLUE), source
    desktop.move_pointer(200, 100)
    assert is_near(grabbed(window.source)[8, 8], (255, 255, 255))
    cover = desktop.window(plain(400, 300, RED), 200, 100)
    desktop.set_cursor(cover.id)
    assert is_near(grabbed(window.source)[8, 8], BLUE)


def test_a_standing_picture_is_refined_and_then_rests(desktop: Desktop) -> None:
    """It is sent again for as long as an encoder improves it, and not after that."""
    window = desktop.window(plain(300, 200, GREEN))
    grabber = open_grabber(window.source)
    source = ScreenSource(grabber)
    try:
        first = source._next(10.0)
        assert first is not None
        again = source._next(10.0 + REFINEMENT / 2)
        assert again is not None
        assert again.i420() is first.i420()
        assert source._next(10.1 + REFINEMENT) is None
        window.show(plain(300, 200, RED))
        assert source._next(20.0) is not None
    finally:
        source.close()


def test_the_frame_rate_is_moderate(desktop: Desktop) -> None:
    """Pictures come 15 times a second at most, however fast the screen changes."""
    window = desktop.window(plain(300, 200, GREEN))
    with watched(window.source) as watcher:
        wait_until(lambda: len(watcher.frames) >= 8, "eight pictures")
    times = [frame.timestamp for frame in watcher.frames]
    assert (times[7] - times[0]) > 5 / FRAME_RATE


@pytest.mark.parametrize("source", ["", "screen", "screen:0", "screen:x", "window:-1", "tab:1"])
def test_what_is_no_id_is_refused(desktop: Desktop, source: str) -> None:
    """The message tells where ids come from."""
    with pytest.raises(ConfigurationError, match="list_capture_sources"):
        open_grabber(source)


def test_what_is_not_there_is_refused(desktop: Desktop) -> None:
    """A screen or window that is not there (any more)."""
    with pytest.raises(MediaError, match="no screen 7"):
        open_grabber("screen:7")
    with pytest.raises(MediaError, match="closed"):
        open_grabber("window:0x7fffff0")


def test_without_a_display_nothing_can_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any X server, and with one that is gone."""
    for display in (None, ":4242"):
        if display is None:
            monkeypatch.delenv("DISPLAY", raising=False)
        else:
            monkeypatch.setenv("DISPLAY", display)
        for attempt in (capture_sources, lambda: open_grabber("window:0x400001")):
            with pytest.raises(NotSupportedError, match="DISPLAY"):
                attempt()


def test_without_the_extra_the_message_names_it(
    desktop: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is said as a command."""
    monkeypatch.setitem(sys.modules, "mss", None)
    monkeypatch.delitem(sys.modules, "ringmesh.media.screen.screens", raising=False)
    with pytest.raises(NotSupportedError, match=r"ringmesh\[devices\]"):
        capture_sources()


def test_an_x_server_without_shared_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of another machine, as over ssh, cannot be read fast enough."""
    with xvfb("-extension", "MIT-SHM") as display:
        monkeypatch.setenv("DISPLAY", display)
        drawn = Desktop(display)
        window = drawn.window(plain(300, 200, GREEN))
        with pytest.raises(NotSupportedError, match="share memory"):
            open_grabber(window.source)
        assert len(capture_sources()) == 2
        drawn.close()


def test_when_the_x_server_dies_the_source_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window and a screen alike: an end with a reason, and nothing hangs."""
    with xvfb() as display:
        monkeypatch.setenv("DISPLAY", display)
        drawn = Desktop(display)
        window = drawn.window(plain(300, 200, GREEN))
        watchers = [Watcher("screen:1"), Watcher(window.source)]
        for watcher in watchers:
            watcher.source.start(watcher.deliver)
        wait_until(lambda: all(watcher.frames for watcher in watchers), "pictures")
    for watcher in watchers:
        assert watcher.gone.wait(10)
        assert watcher.ends == 1
        watcher.source.close()


def test_large_screens_are_scaled_and_small_ones_never() -> None:
    """Up to 2560x1600 nothing is scaled; larger ones keep their shape."""
    assert fitted(1280, 720, 2560, 1600) == (1280, 720)
    assert fitted(2560, 1600, 2560, 1600) == (2560, 1600)
    assert fitted(3840, 2160, 2560, 1600) == (2560, 1440)
    frame = to_frame(np.zeros((2160, 3840, 4), np.uint8), 0.0)
    assert (frame.width, frame.height) == (2560, 1440)
