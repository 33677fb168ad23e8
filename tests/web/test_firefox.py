"""The page in Firefox: a call each way with the Python SDK and one with the page in Chromium."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringmesh import CallType, P2PSession
from ringmesh.client.events import ReceiveNewSession, SessionClosed
from ringmesh.server.app import Server
from tests.interop.conftest import SignIn
from tests.interop.conftest import test_fixture as shared_fixture
from tests.interop.people import coded, remote_stream
from tests.web.conftest import Account
from tests.web.firefox import Firefox, find_firefox, firefox
from tests.web.page_driver import LIMIT, PASSWORD, Pages

CONNECTED = "return document.querySelector('.tile[data-user][data-state=connected]') !== null"
# Whether the other's picture is there and moves: this Firefox has no names for pictures.
MOVES = """
const video = document.querySelector('.tile[data-user] video');
return video.videoWidth > 0 && !video.paused && !video.muted && video.currentTime > 0.5;
"""
FILL = """
const fields = Object.entries(arguments[0]);
for (const [name, value] of fields) document.getElementById(name).value = value;
"""


@shared_fixture
async def window(tmp_path: Path) -> AsyncIterator[Firefox]:
    """Firefox, if it is installed."""
    program = find_firefox()
    if program is None:
        pytest.fail("firefox-esr is not installed: run `make setup-test`, or install it by hand")
    async with firefox(program, tmp_path) as running:
        yield running


async def enter(window: Firefox, server: Server, login: str) -> None:
    """Sign in through the form."""
    await window.command("WebDriver:Navigate", url=server.url)
    await window.until("return document.getElementById('login') !== null")
    await window.run(FILL, {"login": login, "password": PASSWORD})
    await window.click("form .primary")
    await window.until("return document.querySelector('.people') !== null")


async def start_from_window(window: Firefox) -> None:
    """Call the first person of the list."""
    await window.until("return document.querySelector('.row input') !== null")
    await window.click(".row input")
    await window.click(".action-buttons .primary")
    await window.until("return document.querySelector('.preview .primary:enabled') !== null")
    await window.click(".preview .primary")


async def test_calls_with_python(
    window: Firefox, server: Server, account: Account, sign_in: SignIn
) -> None:
    """Firefox calls a program and is called by one; pictures arrive on both sides."""
    name = await account()
    await enter(window, server, name)
    me = await sign_in()
    waiting = asyncio.ensure_future(me.calls.wait_for(ReceiveNewSession, timeout=LIMIT))
    await start_from_window(window)
    session = (await waiting).session
    await session.init_local_media_stream(coded(5, 870.0))
    await session.accept_call()
    await both_ways(window, session, session.caller_id)
    await window.click(".hang-up")
    await session.wait_for(SessionClosed, timeout=LIMIT)

    user = await me.users.get_by_login(name)
    session = me.calls.create_call_session(CallType.VIDEO_CALL, [user.id])
    await session.init_local_media_stream(coded(5, 870.0))
    await session.start_call()
    await window.until("return document.querySelector('.answer.success') !== null")
    await window.click(".answer.success")
    await both_ways(window, session, user.id)
    await session.hang_up()
    await window.until("return document.querySelector('dialog.ended') !== null")


async def both_ways(window: Firefox, session: P2PSession, user_id: int) -> None:
    """The window plays the program's picture, and the program gets the window's."""
    await window.until(CONNECTED)
    await window.until(MOVES)
    stream = await remote_stream(session, user_id)
    async with asyncio.timeout(LIMIT):
        count = 0
        async for frame in stream.video_frames():
            count += frame.width > 2
            if count == 3:
                return


async def test_calls_with_chromium(
    window: Firefox, server: Server, pages: Pages, account: Account
) -> None:
    """Firefox calls the page in Chromium: each shows the other's picture."""
    await enter(window, server, await account())
    bob = await pages.sign_in(await account())
    await start_from_window(window)
    await bob.accept()
    await bob.at_call()
    await window.until(CONNECTED)
    await window.until(MOVES)
    await bob.hang_up()
    await window.until("return document.querySelector('dialog.ended') !== null")
