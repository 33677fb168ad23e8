"""A person in a browser: the unmodified npm SDK in Chromium, driven through `page/peer.js`."""

from __future__ import annotations

import asyncio
import functools
import http.server
import itertools
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

HERE = Path(__file__).parent
SDK = HERE / "node_modules" / "connectycube" / "dist" / "connectycube.min.js"

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    # Pages behind one another must keep painting and playing at full rate.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    # Without this, host candidates are mDNS names that need a multicast responder.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
]


class _Files(http.server.SimpleHTTPRequestHandler):
    """Serves the page and, beside it, the SDK from its npm package."""

    def translate_path(self, path: str) -> str:
        if path == "/connectycube.min.js":
            return str(SDK)
        return super().translate_path(path)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def page_server(host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve the page on an origin of its own, so that CORS is tested too; yields its URL."""
    if not SDK.exists():
        raise RuntimeError(f"{SDK} is missing: run `make setup-test`")
    handler = functools.partial(_Files, directory=str(HERE / "page"))
    with http.server.ThreadingHTTPServer((host, port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Chromium without a window: $RINGMESH_CHROMIUM, the system's, or the one of playwright."""
    path = os.environ.get("RINGMESH_CHROMIUM") or shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(frozen=True)
class Endpoints:
    """What the SDK needs to know of a server."""

    application_id: int
    auth_key: str
    api_url: str
    chat_domain: str
    chat_url: str


@dataclass
class BrowserPeer:
    """One signed-in user on one page."""

    page: Page
    user_id: int
    stream_id: int
    tone_hz: float
    problems: list[str] = field(default_factory=list)

    async def run(self, name: str, *arguments: Any) -> Any:
        """Call ``peer.NAME(...arguments)`` in the page."""
        return await self.page.evaluate(
            "([name, args]) => window.peer[name](...args)", [name, list(arguments)]
        )

    async def events(
        self, name: str | None = None, session: str | None = None
    ) -> list[dict[str, Any]]:
        """What the SDK told the page so far, oldest first."""
        found: list[dict[str, Any]] = await self.page.evaluate("() => window.peer.events")
        return [
            event
            for event in found
            if (name is None or event["name"] == name)
            and (session is None or event["session"] == session)
        ]

    async def event(
        self,
        name: str,
        *,
        session: str | None = None,
        where: Callable[[dict[str, Any]], bool] = lambda event: True,
        limit: float = 30,
    ) -> dict[str, Any]:
        """Wait for an event of this name that has come or will come; at most `limit` seconds."""
        async with asyncio.timeout(limit):
            while True:
                for found in await self.events(name, session):
                    if where(found):
                        return found
                await asyncio.sleep(0.05)

    async def incoming(self) -> str:
        """Wait until somebody calls; returns the session id."""
        session: str = (await self.event("call"))["session"]
        return session

    async def sees(self, user_id: int, stream_id: int, limit: float = 30) -> None:
        """Wait until this user's picture is that of `stream_id` and moves: three frame numbers."""
        seen: set[int] = set()
        picture = None
        try:
            async with asyncio.timeout(limit):
                while len(seen) < 3:
                    picture = await self.run("picture", user_id)
                    if picture and picture.get("streamId") == stream_id:
                        seen.add(picture["counter"])
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"expected picture {stream_id}, saw {picture}, {seen}") from None

    async def hears(self, user_id: int, hertz: float, limit: float = 30) -> float:
        """Wait until this user's sound is a tone within 2 % of `hertz`; returns what was heard."""
        heard = None
        try:
            async with asyncio.timeout(limit):
                while True:
                    heard = await self.run("tone", user_id)
                    if heard is not None and abs(heard - hertz) < 0.02 * hertz:
                        return float(heard)
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"expected a tone of {hertz} Hz, heard {heard}") from None


class Browsers:
    """Opens pages, each a device of a user with its own storage and its own tone."""

    def __init__(self, browser: Browser, page_url: str, endpoints: Endpoints) -> None:
        self._browser = browser
        self._page_url = page_url
        self._endpoints = endpoints
        # No tone is a harmonic of another.
        self._tones = itertools.cycle([500.0, 620.0, 770.0, 950.0, 1180.0])
        self._stream_ids = itertools.count(8)
        self.opened: list[BrowserPeer] = []

    async def sign_in(self, login: str, password: str, **videochat: Any) -> BrowserPeer:
        """A new page, signed in; `videochat` overrides the SDK's call settings."""
        context = await self._browser.new_context()
        page = await context.new_page()
        peer = BrowserPeer(page, 0, next(self._stream_ids), next(self._tones))
        page.on("pageerror", lambda error: peer.problems.append(str(error)))
        await page.goto(self._page_url)
        ends = self._endpoints
        await peer.run(
            "init",
            {
                "applicationId": ends.application_id,
                "authKey": ends.auth_key,
                "apiUrl": ends.api_url,
                "chatDomain": ends.chat_domain,
                "chatUrl": ends.chat_url,
                "toneHz": peer.tone_hz,
                "streamId": peer.stream_id,
                "videochat": videochat,
            },
        )
        peer.user_id = await peer.run("login", login, password)
        self.opened.append(peer)
        return peer

    async def close(self) -> None:
        """Close every page that was opened."""
        for peer in self.opened:
            await peer.page.context.close()
        self.opened.clear()
