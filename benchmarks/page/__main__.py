"""Click on Accept -> first remote picture: the calling page beside the SDK used as documented.

Both are Chromium pairs on the same server with Chromium's own fake devices, calls alternating. The
bare SDK opens its devices when the call is accepted, as its guide shows, with its default settings
but for the endpoints and without its public STUN and TURN servers. The page has opened them while
it rings, since it already may. A picture counts when the browser is about to show it
(``requestVideoFrameCallback``). Also prints what the page weighs, compressed.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import statistics
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright
from rich.console import Console
from rich.table import Table

import ringmesh
from benchmarks.server import serving
from ringmesh.server.page import read_page
from tests.interop.browser import (
    CHROMIUM_FLAGS,
    BrowserPeer,
    Browsers,
    Endpoints,
    page_server,
)
from tests.web.page_driver import PASSWORD, Pages, Person

# Notes when the first picture comes in a video that matches the selector.
WATCH = """
(selector) => {
  window.picture = new Promise((resolve) => {
    const look = () => {
      const video = document.querySelector(selector);
      if (video?.srcObject) video.requestVideoFrameCallback((now) => resolve(now));
      else setTimeout(look, 1);
    };
    look();
  });
}
"""
TOOK = "() => window.picture.then((at) => at - window.acceptedAt)"
REAL_DEVICES = """
() => {
  const open = MediaDevices.prototype.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = open;
}
"""


async def page_call(caller: Person, callee: Person) -> float:
    """One call between pages; milliseconds."""
    await caller.call(callee.login)
    await callee.incoming.locator(".self-view[data-camera=on]").wait_for()
    return await _answered(callee, caller)


async def _answered(callee: Person, caller: Person) -> float:
    page = callee.page
    await page.evaluate(
        "() => document.querySelector('.answer.success').addEventListener("
        "'click', () => { window.acceptedAt = performance.now(); }, {capture: true})"
    )
    await page.evaluate(WATCH, ".tile[data-user] video")
    await callee.accept()
    took: float = await page.evaluate(TOOK)
    await caller.hang_up()
    await callee.button("Back to people").click()
    return took


async def sdk_call(caller: BrowserPeer, callee: BrowserPeer) -> float:
    """One call between bare SDKs; milliseconds."""
    session = await caller.run("call", [callee.user_id], 1)
    await callee.event("call", session=session)
    await callee.page.evaluate("() => document.getElementById('videos').replaceChildren()")
    await callee.page.evaluate("() => { peer.streams = {}; acceptedAt = performance.now(); }")
    await callee.page.evaluate(WATCH, "#videos video")
    await callee.run("accept", session)
    took: float = await callee.page.evaluate(TOOK)
    await caller.run("stop", session)
    await callee.event("close", session=session)
    return took


async def pairs(url: str, rounds: int) -> dict[str, list[float]]:
    """Alternate calls of both kinds."""
    found = await ringmesh.discover(url)
    ends = Endpoints(found.app_id, found.auth_key, url, found.chat_domain, found.chat_url)
    flags = [*CHROMIUM_FLAGS, "--use-fake-device-for-media-stream"]
    took: dict[str, list[float]] = {"the calling page": [], "the SDK as documented": []}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        pages = Pages(browser, url)
        with page_server() as sdk_url:
            peers = Browsers(browser, sdk_url, ends)
            bare = [await peers.sign_in(name, PASSWORD) for name in ("carol", "dave")]
            for peer in bare:
                await peer.page.evaluate(REAL_DEVICES)
            people = [await _enter(pages, name) for name in ("alice", "bob")]
            for _ in range(rounds):
                took["the calling page"].append(await page_call(*people))
                took["the SDK as documented"].append(await sdk_call(*bare))
        await browser.close()
    return took


async def _enter(pages: Pages, name: str) -> Person:
    devices = ["camera", "microphone"]
    person = await pages.open(name, real_devices=True, permissions=devices)
    await person.sign_in()
    return person


def show(took: dict[str, list[float]]) -> None:
    """The table, and the weight of the page."""
    table = Table(title="Click on Accept -> first remote picture, milliseconds")
    for heading in ("client", "calls", "median", "fastest", "slowest"):
        table.add_column(heading, justify="left" if heading == "client" else "right")
    for name, values in took.items():
        figures = (statistics.median(values), min(values), max(values))
        table.add_row(name, str(len(values)), *(f"{value:.0f}" for value in figures))
    console = Console()
    console.print(table)
    sizes = {
        name or "index.html": len(gzip.compress(file.content))
        for name, file in read_page().items()
        if name != "licences.txt" and not name.startswith(".")
    }
    console.print(f"The page, gzip: {sum(sizes.values()) / 1000:.1f} kB: {sizes}")


async def main(rounds: int) -> None:
    """Run everything over a fresh server."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder)) as url:
            for name in ("alice", "bob"):
                async with ringmesh.connect(url, login=name, password=PASSWORD):
                    pass  # makes the account
            show(await pairs(url, rounds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    asyncio.run(main(parser.parse_args().rounds))
