"""Screens and windows in real calls, read at the far side."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest

import ringmesh
from ringmesh.errors import ConfigurationError, InvalidStateError, MediaError
from ringmesh.media.frames import Pixels, VideoFrame
from ringmesh.media.synthetic import SyntheticVideoSource, read_code
from tests.client.calling import Phone, all_meet, eventually
from tests.client.conftest import SignIn
from tests.interop.people import LIMIT, remote_stream, sees
from tests.screen.desktop import HEIGHT, WIDTH, Desktop, running, wait_until

CELL = 3


@dataclass
class Talk:
    """Two people in a call; the near one shares."""

    near: Phone
    far: Phone
    session: ringmesh.P2PSession
    far_session: ringmesh.P2PSession

    async def shows(self, stream_id: int) -> None:
        """Wait until the far side sees the still or moving picture with this id."""
        stream = await remote_stream(self.far_session, self.near.id)
        async with asyncio.timeout(LIMIT):
            async for frame in stream.video_frames():
                code = read_code(frame)
                if code is not None and code.stream_id == stream_id:
                    return

    async def camera_is_back(self) -> None:
        """Wait until the far side sees the moving picture that was sent before."""
        await sees(self.far_session, self.near.id, self.near.number)

    def local_sdp(self) -> str:
        """What was negotiated, without the candidates."""
        sdp = self.session._peers.connection(self.far.id).local_sdp()
        assert sdp is not None
        return "\n".join(line for line in sdp.splitlines() if not line.startswith("a=candidate"))


@asynccontextmanager
async def talking(
    sign_in: SignIn, call_type: ringmesh.CallType = ringmesh.CallType.VIDEO_CALL
) -> AsyncIterator[Talk]:
    """A call in which both hear and see each other."""
    near, far = Phone(await sign_in(), 1), Phone(await sign_in(), 2)
    session = await near.calls(far, call_type=call_type)
    far_session = await far.answers()
    await all_meet({near: session, far: far_session})
    yield Talk(near, far, session, far_session)
    await session.hang_up()


def coded(stream_id: int, width: int = 640, height: int = 360) -> Pixels:
    """A still picture that `read_code` knows again."""
    picture: Pixels = SyntheticVideoSource(width, height, 1, stream_id).draw(0).to_ndarray("rgb24")
    return picture


def fine_pattern(width: int, height: int) -> tuple[Pixels, np.ndarray]:
    """A picture of bits, black and white cells of 3x3 pixels, no larger than small print."""
    bits = np.random.default_rng(7).random((height // CELL, width // CELL)) > 0.5
    grey = np.zeros((height, width), np.uint8)
    cells = np.repeat(np.repeat(bits, CELL, 0), CELL, 1)
    grey[: cells.shape[0], : cells.shape[1]] = cells * np.uint8(255)
    return np.repeat(grey[:, :, None], 3, 2), bits


def wrong_bits(frame: VideoFrame, bits: np.ndarray) -> float:
    """Share of the cells of a `fine_pattern` that are read wrongly."""
    luma = frame.luma()[1::CELL, 1::CELL][: bits.shape[0], : bits.shape[1]]
    return float(np.mean((luma > 125) != bits))


async def test_a_screen_is_shared_and_the_camera_comes_back(
    desktop: Desktop, sign_in: SignIn
) -> None:
    """The far side sees the screen at full size, then the camera, without renegotiation."""
    desktop.window(coded(9, WIDTH, HEIGHT))
    async with talking(sign_in) as talk:
        before = talk.local_sdp()
        await talk.session.enable_screen_sharing(True)
        assert talk.session.is_screen_shared
        await talk.shows(9)
        stats = await talk.far_session.get_stats(talk.near.id)
        assert stats.video_received is not None
        await talk.session.enable_screen_sharing(False)
        assert not talk.session.is_screen_shared
        await talk.camera_is_back()
        assert talk.local_sdp() == before


async def test_a_window_is_shared_by_its_id(desktop: Desktop, sign_in: SignIn) -> None:
    """Out of the list, also while others cover it; then another one in its place."""
    desktop.window(coded(9), 40, 40, title="first")
    desktop.window(coded(10, 800, 450), 60, 60, title="second")
    desktop.window(coded(11, WIDTH, HEIGHT), title="cover")
    found = {source.title: source for source in await ringmesh.list_capture_sources()}
    async with talking(sign_in) as talk:
        await talk.session.start_screen_sharing(found["first"].id)
        await talk.shows(9)
        await talk.session.start_screen_sharing(found["second"].id)
        await talk.shows(10)
        await talk.session.enable_screen_sharing(False)
        await talk.camera_is_back()


async def test_small_print_can_be_read_at_the_far_side(desktop: Desktop, sign_in: SignIn) -> None:
    """A screen full of cells of 3 pixels arrives unscaled, with every cell readable, also when
    there is little bandwidth for it."""
    picture, bits = fine_pattern(WIDTH, HEIGHT)
    desktop.window(picture)
    async with talking(sign_in) as talk:
        await talk.session.set_max_bandwidth(300)
        await talk.session.enable_screen_sharing(True)
        stream = await remote_stream(talk.far_session, talk.near.id)
        wrong = 1.0
        async with asyncio.timeout(LIMIT):
            async for frame in stream.video_frames():
                if (frame.width, frame.height) == (WIDTH, HEIGHT):
                    wrong = wrong_bits(frame, bits)
                    if wrong < 0.0005:
                        break
        assert wrong < 0.0005


async def test_text_that_moves_keeps_pixels_and_frame_rate(
    desktop: Desktop, sign_in: SignIn
) -> None:
    """The encoder may give up detail alone, while a screen is shared and no longer."""
    desktop.window(coded(9, WIDTH, HEIGHT))
    async with talking(sign_in) as talk:
        connection = talk.session._peers.connection(talk.far.id)

        def kept() -> object:
            return connection._senders["video"].get_parameters().degradation_preference

        assert kept() is None
        await talk.session.enable_screen_sharing(True)
        await eventually(lambda: kept() == "maintain-framerate-and-resolution")
        await talk.session.enable_screen_sharing(False)
        await eventually(lambda: kept() is None)


async def test_real_text_is_sharp(desktop: Desktop, display: str, sign_in: SignIn) -> None:
    """What xterm writes differs at the far side in next to no pixel once it stands still."""
    command = "yes 'The quick brown fox jumps over the lazy dog 0123456789' | head -60; sleep 600"
    arguments = ["-geometry", "100x40+0+0", "-e", "sh", "-c", command]
    env = {"DISPLAY": display, "PATH": "/usr/bin:/bin"}
    with running("xterm", *arguments, env=env):
        wait_until(lambda: _dark(_screen()) > 10_000, "xterm to write")
        async with talking(sign_in) as talk:
            await talk.session.enable_screen_sharing(True)
            stream = await remote_stream(talk.far_session, talk.near.id)
            different = 1.0
            async with asyncio.timeout(LIMIT):
                async for frame in stream.video_frames():
                    if (frame.width, frame.height) == (WIDTH, HEIGHT):
                        seen, sent = frame.to_ndarray("rgb24")[:, :, 1], _screen()
                        different = float(np.mean((seen > 127) != (sent > 127)))
                        if different < 0.001:
                            break
            assert different < 0.001


async def test_a_window_closed_during_sharing_brings_the_camera_back(
    desktop: Desktop, sign_in: SignIn
) -> None:
    """An event says why; sharing has ended; the call goes on."""
    window = desktop.window(coded(9))
    reasons: list[str] = []
    async with talking(sign_in) as talk:
        talk.session.on_screen_sharing_ended = lambda _, reason: reasons.append(reason)
        await talk.session.start_screen_sharing(window.source)
        await talk.shows(9)
        window.close()
        event = await talk.session.wait_for(ringmesh.ScreenSharingEnded, timeout=LIMIT)
        assert event.reason == "the shared window was closed"
        assert reasons == [event.reason]
        assert not talk.session.is_screen_shared
        await talk.camera_is_back()


async def test_a_window_changes_its_size_during_sharing(desktop: Desktop, sign_in: SignIn) -> None:
    """The far side sees the new size."""
    window = desktop.window(coded(9))
    async with talking(sign_in) as talk:
        await talk.session.start_screen_sharing(window.source)
        await talk.shows(9)
        window.show(coded(12, 1000, 600))
        window.configure(Width=1000, Height=600)
        await talk.shows(12)
        stream = await remote_stream(talk.far_session, talk.near.id)
        async with asyncio.timeout(LIMIT):
            async for frame in stream.video_frames():
                if (frame.width, frame.height) == (1000, 600):
                    break


async def test_a_camera_that_was_off_stays_off(desktop: Desktop, sign_in: SignIn) -> None:
    """Sharing shows the screen although video was off; afterwards it is off again."""
    desktop.window(coded(9, WIDTH, HEIGHT))
    async with talking(sign_in) as talk:
        talk.session.set_video_enabled(False)
        await talk.session.enable_screen_sharing(True)
        await talk.shows(9)
        await talk.session.enable_screen_sharing(False)
        stream = talk.session.local_stream
        assert stream is not None
        assert not stream.video_enabled


async def test_a_camera_chosen_during_sharing_is_seen_afterwards(
    desktop: Desktop, sign_in: SignIn
) -> None:
    """The screen stays meanwhile."""
    desktop.window(coded(9, WIDTH, HEIGHT))
    async with talking(sign_in) as talk:
        await talk.session.enable_screen_sharing(True)
        await talk.shows(9)
        await talk.session.switch_camera("lavfi:color=c=red:size=640x480:rate=25")
        assert talk.session.is_screen_shared
        await talk.shows(9)
        await talk.session.enable_screen_sharing(False)
        stream = await remote_stream(talk.far_session, talk.near.id)
        async with asyncio.timeout(LIMIT):
            async for frame in stream.video_frames():
                if np.abs(frame.to_ndarray()[::40, ::40].astype(int) - (254, 0, 0)).max() < 40:
                    break


async def test_another_stream_ends_sharing(desktop: Desktop, sign_in: SignIn) -> None:
    """`replace_media_stream` is what is sent then."""
    desktop.window(coded(9, WIDTH, HEIGHT))
    async with talking(sign_in) as talk:
        await talk.session.enable_screen_sharing(True)
        await talk.shows(9)
        other = ringmesh.LocalStream.synthetic(stream_id=5)
        await talk.session.replace_media_stream(other)
        assert not talk.session.is_screen_shared
        await sees(talk.far_session, talk.near.id, 5)
        other.close()


async def test_the_screen_can_be_shared_before_the_call(desktop: Desktop, sign_in: SignIn) -> None:
    """Who is called sees it from the start, and black when it ends: there is no camera."""
    desktop.window(coded(9, WIDTH, HEIGHT))
    near, far = Phone(await sign_in(), 1), Phone(await sign_in(), 2)
    session = near.me.calls.create_call_session(ringmesh.CallType.VIDEO_CALL, [far.id])
    await session.enable_screen_sharing(True)
    await session.start_call()
    far_session = await far.answers()
    talk = Talk(near, far, session, far_session)
    await talk.shows(9)
    await session.hang_up()
    await session.wait_for(ringmesh.SessionClosed, timeout=LIMIT)
    assert not session.is_screen_shared


async def test_what_cannot_be_shared_changes_nothing(desktop: Desktop, sign_in: SignIn) -> None:
    """A typed error, and the camera goes on; so does what is shared already."""
    window = desktop.window(coded(9))
    async with talking(sign_in) as talk:
        for source, error in (("screen:9", MediaError), ("nonsense", ConfigurationError)):
            with pytest.raises(error):
                await talk.session.start_screen_sharing(source)
        assert not talk.session.is_screen_shared
        await talk.camera_is_back()
        await talk.session.start_screen_sharing(window.source)
        with pytest.raises(MediaError):
            await talk.session.start_screen_sharing("window:0x7fffff0")
        assert talk.session.is_screen_shared
        await talk.shows(9)
    with pytest.raises(InvalidStateError, match="over"):
        await talk.session.enable_screen_sharing(True)
    await talk.session.enable_screen_sharing(False)


async def test_an_audio_call_shares_nothing(desktop: Desktop, sign_in: SignIn) -> None:
    """The message says what to do."""
    async with talking(sign_in, ringmesh.CallType.AUDIO_CALL) as talk:
        with pytest.raises(InvalidStateError, match="video call"):
            await talk.session.enable_screen_sharing(True)


async def test_a_call_that_ends_lets_the_screen_go(desktop: Desktop, sign_in: SignIn) -> None:
    """No thread goes on reading the screen, and the stream is as it was."""

    async with talking(sign_in) as talk:
        await talk.session.enable_screen_sharing(True)
    await talk.session.wait_for(ringmesh.SessionClosed, timeout=LIMIT)
    await eventually(
        lambda: all(thread.name != "ringmesh-screen" for thread in threading.enumerate())
    )
    stream = talk.session.local_stream
    assert stream is not None
    assert stream.content_hint == ""


def _screen() -> Pixels:
    """The green of the screen, of every pixel."""
    from ringmesh.media.screen.screens import ScreenGrabber

    grabber = ScreenGrabber(1)
    try:
        pixels = grabber.grab()
        assert pixels is not None
        return pixels[:, :, 1].copy()
    finally:
        grabber.close()


def _dark(green: Pixels) -> int:
    """Pixels of ink in xterm's part of the screen, which is white."""
    return int((green[:500, :600] < 100).sum()) if (green[:500, :600] > 200).any() else 0
