"""Sharing the screen of a Wayland desktop, through its portal and PipeWire."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ringmesh
from ringmesh.errors import ConfigurationError, MediaError, NotSupportedError
from ringmesh.media.frames import Pixels
from ringmesh.media.screen.capture import capture_sources, open_grabber
from ringmesh.media.screen.grabber import Grabber
from ringmesh.media.screen.pipewire import _Size
from tests.client.conftest import SignIn
from tests.screen.desktop import is_near, plain, wait_until
from tests.screen.test_sharing import coded, talking
from tests.screen.wayland import WaylandDesktop, wayland

RED, BLUE = (200, 30, 40), (30, 60, 200)


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WaylandDesktop]:
    """A Wayland desktop of this test's own."""
    with wayland(tmp_path, monkeypatch) as found:
        yield found


def first_picture(grabber: Grabber) -> Pixels:
    """In RGB, once there is one."""
    found: list[Pixels] = []

    def look() -> bool:
        pixels = grabber.grab()
        if pixels is not None:
            found.append(np.ascontiguousarray(pixels[:, :, 2::-1]))
        return bool(found)

    wait_until(look, "a picture")
    return found[0]


def portal_threads() -> list[str]:
    """What serves a sharing in this process."""
    names = {"ringmesh-portal", "ringmesh-pipewire"}
    return [thread.name for thread in threading.enumerate() if thread.name in names]


def test_what_the_person_chooses_is_grabbed(desktop: WaylandDesktop) -> None:
    """At its own size, odd or not, with the cursor asked for; the next sharing asks anew."""
    for width, height, colour in ((640, 360, RED), (333, 201, BLUE)):
        with desktop.screen(plain(width, height, colour)):
            grabber = open_grabber("portal")
            try:
                picture = first_picture(grabber)
            finally:
                grabber.close()
        assert picture.shape == (height, width, 3)
        assert is_near(picture, colour)
    assert desktop.asked() == ["types 3 cursor 2"] * 2


def test_a_screen_that_goes_away_ends_the_source(desktop: WaylandDesktop) -> None:
    """As a monitor that is unplugged."""
    with desktop.screen(plain(640, 360, RED)):
        grabber = open_grabber("portal")
        first_picture(grabber)
    try:
        with pytest.raises(MediaError, match="gone"):
            wait_until(lambda: grabber.grab() is None and False, "the end")
    finally:
        grabber.close()


def test_the_person_ends_sharing_in_the_desktop(desktop: WaylandDesktop) -> None:
    """Desktops show a button for that while something is shared."""
    with desktop.screen(plain(640, 360, RED)):
        grabber = open_grabber("portal")
        first_picture(grabber)
        desktop.ends_sharing()
        try:
            with pytest.raises(MediaError, match=r"ended in the desktop|gone"):
                wait_until(lambda: grabber.grab() is None and False, "the end")
        finally:
            grabber.close()


def test_who_declines_shares_nothing(desktop: WaylandDesktop) -> None:
    """And a dialogue that fails is told apart."""
    for code, what in ((1, "declined"), (2, "could not share")):
        desktop.answers(code)
        with pytest.raises(MediaError, match=what):
            open_grabber("portal")


def test_only_the_choice_is_listed(desktop: WaylandDesktop) -> None:
    """A Wayland desktop tells nobody what is on it, and needs no thumbnails for that."""
    source, *others = capture_sources()
    assert (source.id, source.kind, others) == ("portal", ringmesh.CaptureKind.PORTAL, [])
    assert desktop.asked() == []
    for name in ("screen:1", "window:0x400001"):
        with pytest.raises(NotSupportedError, match="'portal'"):
            open_grabber(name)
    with pytest.raises(ConfigurationError):
        open_grabber("portal:1")


def test_what_is_missing_is_named(
    desktop: WaylandDesktop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """GStreamer, the desktop's part of the portal, and the session."""
    with desktop.screen(plain(640, 360, RED)), monkeypatch.context() as here:
        here.setenv("PATH", str(tmp_path))
        with pytest.raises(NotSupportedError, match="apt install gstreamer"):
            open_grabber("portal")
    with desktop.screen(plain(640, 360, RED)), monkeypatch.context() as here:
        here.setenv("GST_PLUGIN_SYSTEM_PATH", str(tmp_path))
        here.setenv("GST_REGISTRY", str(tmp_path / "registry"))
        grabber = open_grabber("portal")
        try:
            with pytest.raises(MediaError, match="apt install gstreamer"):
                wait_until(lambda: grabber.grab() is None and False, "the end")
        finally:
            grabber.close()
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    with pytest.raises(NotSupportedError, match="no D-Bus session"):
        open_grabber("portal")


async def test_a_wayland_screen_is_shared_in_a_call(
    desktop: WaylandDesktop, sign_in: SignIn
) -> None:
    """The far side sees it, then the camera; and what the person ends is told."""
    with desktop.screen(coded(9)):
        async with talking(sign_in) as talk:
            await talk.session.enable_screen_sharing(True)
            await talk.shows(9)
            await talk.session.enable_screen_sharing(False)
            await talk.camera_is_back()
            await talk.session.enable_screen_sharing(True)
            await talk.shows(9)
            desktop.ends_sharing()
            await talk.session.wait_for(ringmesh.ScreenSharingEnded, timeout=20)
            await talk.camera_is_back()


async def test_a_choice_that_nobody_waits_for_shares_nothing(
    desktop: WaylandDesktop, sign_in: SignIn
) -> None:
    """A program that gives up while the dialogue is open."""
    desktop.answers(None)
    with desktop.screen(coded(9)):
        async with talking(sign_in) as talk:
            sharing = asyncio.create_task(talk.session.enable_screen_sharing(True))
            async with asyncio.timeout(20):
                while not desktop.asked():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            sharing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sharing
            assert portal_threads()
            desktop.answers(0)
            async with asyncio.timeout(20):
                while portal_threads():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert not talk.session.is_screen_shared
            await talk.camera_is_back()


def test_a_picture_waits_for_its_size() -> None:
    """GStreamer tells it apart, in text that may come in parts, and again when it changes."""
    ours, theirs = os.pipe()
    size = _Size(ours)
    picture, turned = bytes(range(48)), bytes(48)
    line = b"/GstCapsFilter:capsfilter0.GstPad:src: caps = video/x-raw, " + (
        b"width=(int)%d, height=(int)%d\n"
    )
    assert size.shaped(picture) is None
    said = line % (4, 3)
    os.write(theirs, b"Setting pipeline to PLAYING ...\n" + said[:70])
    assert size.shaped(picture) is None
    os.write(theirs, said[70:])
    shaped = size.shaped(picture)
    assert shaped is not None
    assert shaped.shape == (3, 4, 4)
    assert shaped[2, 3, 3] == 47
    padded = size.shaped(bytes(3 * 20))
    assert padded is not None
    assert padded.shape == (3, 4, 4)
    assert size.shaped(bytes(50)) is None
    os.write(theirs, line % (3, 4))
    shaped = size.shaped(turned)
    assert shaped is not None
    assert shaped.shape == (4, 3, 4)
    os.close(theirs)
    assert size.shaped(turned) is not None
    os.close(ours)
