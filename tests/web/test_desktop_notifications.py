"""Chromium with windows on a desktop with a real notification daemon, where a person answers."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import BrowserContext, async_playwright

from ringmesh.client.events import CallRejectedByUser, SessionClosed
from ringmesh.server.app import Server
from tests.callkit.desktop import Desktop
from tests.interop.browser import CHROMIUM_FLAGS
from tests.push.fake_push_service import FakePushService
from tests.web.bell import Bell
from tests.web.conftest import Account
from tests.web.page_driver import LIMIT, Person
from tests.web.test_notifications import (  # noqa: F401  # fixtures of the neighbouring module
    MISSED,
    Call,
    call,
    push_service,
    server,
)


@asynccontextmanager
async def chromium(desktop: Desktop) -> AsyncIterator[BrowserContext]:
    """With windows, in this desktop."""
    path = os.environ.get("RINGMESH_CHROMIUM") or shutil.which("chromium")
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            desktop.folder / "chromium",
            headless=False,
            executable_path=path,
            args=[*CHROMIUM_FLAGS, "--use-fake-device-for-media-stream"],
            env={name: str(value) for name, value in desktop.environment.items()},
        )
        try:
            yield context
        finally:
            await context.close()


async def at_home(context: BrowserContext, url: str, login: str, bell: Bell, key: str) -> Person:
    """Somebody who has turned the bell on."""
    person = Person(await context.new_page(), login)
    await bell.prepare(person.page, key)
    await person.page.goto(url)
    await person.sign_in()
    await bell.turn_on(person)
    return person


# From the right and the lower edge of the notification, beside a button of Chromium's own.
BUTTONS = {"Accept": (208, 27), "Decline": (142, 27)}


async def press(desktop: Desktop, button: str) -> None:
    """With the mouse."""
    find = ("xdotool", "search", "--onlyvisible", "--name", "Critical Notification")
    _, found = await desktop.run(*find, "getwindowgeometry", "--shell")
    place = dict(line.split("=") for line in found.split() if "=" in line)
    right, lower = BUTTONS[button]
    x = int(place["X"]) + int(place["WIDTH"]) - right
    y = int(place["Y"]) + int(place["HEIGHT"]) - lower
    code, output = await desktop.run("xdotool", "mousemove", str(x), str(y), "click", "1")
    assert code == 0, output


async def test_answering_on_the_desktop(
    tmp_path: Path,
    server: Server,  # noqa: F811
    push_service: FakePushService,  # noqa: F811
    account: Account,
    call: Call,  # noqa: F811
) -> None:
    """Decline reaches the caller without a page; Accept opens one into the call, and its end is
    that of the notification."""
    folder = tmp_path / "desktop"
    folder.mkdir()
    async with Desktop(folder) as desktop:
        notifications = await desktop.mate()
        async with chromium(desktop) as context:
            bell = Bell(context, server.url, push_service)
            key = str(server.push.web_key(server.application.id))
            bob = await at_home(context, server.url, await account(), bell, key)
            await bob.page.close()

            session = await call(bob)
            await bell.deliver("startCall", session.session_id)
            await notifications.shows(1)
            await press(desktop, "Decline")
            rejected = await session.wait_for(CallRejectedByUser, timeout=LIMIT)
            assert rejected.user_id == bob.user_id
            await notifications.shows(0)

            session = await call(bob)
            await bell.deliver("startCall", session.session_id)
            await notifications.shows(1)
            async with context.expect_page() as opening:
                await press(desktop, "Accept")
            again = Person(await opening.value, bob.login)
            await again.at_call()
            assert again.user_id == bob.user_id
            assert again.page.url == f"{server.url}/"
            await notifications.shows(0)
            await again.hang_up()
            await session.wait_for(SessionClosed, timeout=LIMIT)
            await again.page.close()

            session = await call(bob)
            await bell.deliver("startCall", session.session_id)
            await notifications.shows(1)
            await session.hang_up()
            await bell.deliver("endCall", session.session_id)
            await notifications.shows(0)
            await bell.shows(MISSED)
