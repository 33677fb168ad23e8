"""Calls between Flutter's SDKs and the JavaScript SDK, in the words of both."""

from __future__ import annotations

import pytest

from tests.chat.conversation import play
from tests.chat.tcp import tcp_running


@pytest.mark.parametrize("script", ["flutter_is_called", "flutter_calls"])
async def test_calls_over_tcp(script: str) -> None:
    """A phone gets legal XML with numbers for indexes; a browser hears just what a phone wrote."""
    async with tcp_running() as tcp:
        tcp.host.passwords[1, 1] = "secret"
        browser = await tcp.host.online(2, javascript=True)
        await play(await tcp.client(), f"calls/{script}", browser)
        await browser.ping()
        await tcp.host.until(lambda: not tcp.host.chat.is_online(1, 1))


@pytest.mark.parametrize("script", ["flutter_web_is_called", "flutter_web_calls"])
async def test_calls_over_websocket(script: str) -> None:
    """Flutter's SDK for the Web gets legal XML too, and may say goodbye as over TCP."""
    async with tcp_running() as tcp:
        tcp.host.passwords[1, 1] = "secret"
        browser = await tcp.host.online(2, javascript=True)
        await play(await tcp.host.client(), f"calls/{script}", browser)
        await browser.ping()
        await tcp.host.until(lambda: not tcp.host.chat.is_online(1, 1))
