"""Firefox from end to end: it subscribes at a push service, decrypts our pushes, and rings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringmesh import CallType, P2PSession
from ringmesh.server.app import Server
from tests.callkit.desktop import Desktop
from tests.interop.conftest import SignIn, session_fixture
from tests.interop.people import coded
from tests.push.provider import make_certificate
from tests.web.conftest import Account
from tests.web.firefox import Firefox, find_firefox, firefox
from tests.web.firefox_push import FirefoxPushService
from tests.web.page_driver import LIMIT
from tests.web.test_firefox import CONNECTED, MOVES, enter
from tests.web.test_notifications import push_server

BELL = "[aria-label='Ring when this page is closed']"
DELIVERED = 100


@session_fixture
async def push_service(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[FirefoxPushService]:
    """Where Firefox subscribes."""
    certificate = make_certificate(tmp_path_factory.mktemp("push"))
    async with FirefoxPushService(certificate) as running:
        yield running


@session_fixture
async def server(
    tmp_path_factory: pytest.TempPathFactory, push_service: FirefoxPushService
) -> AsyncIterator[Server]:
    """A server that may reach it."""
    async with push_server(tmp_path_factory.mktemp("server"), push_service) as running:
        yield running


async def close_the_page(window: Firefox) -> None:
    """Leave a tab elsewhere."""
    other = await window.command("WebDriver:NewWindow", type="tab")
    await window.command("WebDriver:CloseWindow")
    await window.command("WebDriver:SwitchToWindow", handle=other["handle"])


async def switch_to_the_other(window: Firefox) -> None:
    """To the tab that is not this one, once it is there."""
    this = (await window.command("WebDriver:GetWindowHandle"))["value"]
    async with asyncio.timeout(LIMIT):
        while True:
            handles = await window.command("WebDriver:GetWindowHandles")
            others = [handle for handle in handles if handle != this]
            if others:
                break
            await asyncio.sleep(0.1)
    await window.command("WebDriver:SwitchToWindow", handle=others[0])


async def acknowledged(service: FirefoxPushService) -> int:
    """What Firefox says about the next message."""
    async with asyncio.timeout(LIMIT):
        return await service.acknowledged.get()


async def test_firefox_rings(
    tmp_path: Path,
    server: Server,
    push_service: FirefoxPushService,
    account: Account,
    sign_in: SignIn,
) -> None:
    """A real subscription, a push that Firefox decrypts, a notification of the desktop, whose click
    opens the page into the call."""
    program = find_firefox()
    if program is None:
        pytest.fail("firefox-esr is not installed: run `make setup-test`, or install it by hand")
    folder, profile = tmp_path / "desktop", tmp_path / "profile"
    folder.mkdir()
    profile.mkdir()
    async with Desktop(folder) as desktop:
        notifications = await desktop.dunst()
        async with firefox(
            program, profile, preferences=push_service.preferences, desktop=desktop.environment
        ) as window:
            name = await account()
            await enter(window, server, name)
            await window.click(BELL)
            await window.until(
                "return document.querySelector('[aria-label^=\"Do not ring\"]') !== null"
            )
            await close_the_page(window)

            ada = await sign_in()
            bob = await ada.users.get_by_login(name)
            session: P2PSession = ada.calls.create_call_session(CallType.VIDEO_CALL, [bob.id])
            await session.init_local_media_stream(coded(5, 870.0))
            await session.start_call()
            assert await acknowledged(push_service) == DELIVERED
            await notifications.shows(1)
            code, output = await desktop.run("dunstctl", "action")
            assert code == 0, output
            await switch_to_the_other(window)
            await window.until("return document.querySelector('.answer.success') !== null")
            await window.click(".answer.success")
            await window.until(CONNECTED)
            await window.until(MOVES)
            await notifications.shows(0)
            await session.hang_up()
