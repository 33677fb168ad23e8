"""A screen that is shared with a browser: the unmodified npm SDK in Chromium."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import ringmesh
from tests.client.conftest import SignIn
from tests.interop.browser import BrowserPeer, Browsers
from tests.interop.conftest import PASSWORD
from tests.interop.people import LIMIT, sees
from tests.interop.people import coded as coded_stream
from tests.screen.desktop import HEIGHT, WIDTH, Desktop
from tests.screen.test_sharing import coded


async def shows(peer: BrowserPeer, user_id: int, stream_id: int, size: tuple[int, int]) -> None:
    """Wait until the page shows this picture of the user, at this size."""
    picture = None
    try:
        async with asyncio.timeout(LIMIT):
            while True:
                picture = await peer.run("picture", user_id)
                if (
                    picture
                    and picture.get("streamId") == stream_id
                    and (picture["width"], picture["height"]) == size
                ):
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"expected picture {stream_id} of {size}, saw {picture}") from None


@pytest.mark.browser
async def test_a_browser_sees_the_screen_and_the_camera_again(
    desktop: Desktop, browsers: Browsers, sign_in: SignIn, login: Callable[[], str]
) -> None:
    """At full size, without renegotiation; the call goes on both ways."""
    desktop.window(coded(9, WIDTH, HEIGHT))
    peer = await browsers.sign_in(login(), PASSWORD)
    me = await sign_in()
    session = me.calls.create_call_session(ringmesh.CallType.VIDEO_CALL, [peer.user_id])
    with_camera = coded_stream(3, 440.0)
    await session.init_local_media_stream(with_camera)
    await session.start_call()
    await peer.run("accept", await peer.incoming())
    await peer.sees(me.id, 3)
    await session.enable_screen_sharing(True)
    await shows(peer, me.id, 9, (WIDTH, HEIGHT))
    await sees(session, peer.user_id, peer.stream_id)
    await session.enable_screen_sharing(False)
    await peer.sees(me.id, 3)
    await session.hang_up()
    with_camera.close()
