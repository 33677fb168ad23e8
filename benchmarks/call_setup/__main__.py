"""Invite -> ring, and accept -> first decoded picture: Python pairs beside Chromium pairs.

Both pairs use the same running server and 640x480 pictures at 25 per second; calls alternate
between the pairs, so that both meet the same noise. Pictures count when they are decoded, before
anything is painted (in Chromium: ``MediaStreamTrackProcessor``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import ringmesh
from benchmarks.server import serving
from tests.interop.browser import BrowserPeer, Browsers, Endpoints, chromium, page_server

LIMIT = 30.0  # seconds for any one step


class PythonPeer:
    """A `python_peer` process and what it told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.user_id = 0

    @classmethod
    @asynccontextmanager
    async def start(cls, url: str, login: str) -> AsyncIterator[PythonPeer]:
        """Start one and wait until it is signed in."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.call_setup.python_peer"),
            *(url, login, "secret"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        peer = cls(process)
        try:
            peer.user_id = (await peer.fact("ready"))["user"]
            yield peer
        finally:
            assert process.stdin
            process.stdin.close()
            await process.wait()

    def say(self, **command: Any) -> None:
        """Send a command."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def fact(self, name: str) -> dict[str, Any]:
        """The next fact of this name."""
        assert self._process.stdout
        async with asyncio.timeout(LIMIT):
            while line := await self._process.stdout.readline():
                fact: dict[str, Any] = json.loads(line)
                if fact["fact"] == name:
                    return fact
        raise RuntimeError(f"a peer ended before it told {name!r}")


async def python_call(caller: PythonPeer, callee: PythonPeer) -> tuple[float, float]:
    """One call; seconds from invitation to ring and from acceptance to the callee's picture."""
    caller.say(call=callee.user_id)
    invited = await caller.fact("invites")
    rang = await callee.fact("rings")
    accepted = await callee.fact("accepts")
    picture = await callee.fact("picture")
    await caller.fact("picture")
    caller.say()
    await caller.fact("over")
    return rang["at"] - invited["at"], picture["at"] - accepted["at"]


async def browser_call(caller: BrowserPeer, callee: BrowserPeer) -> tuple[float, float]:
    """The same between two pages."""
    call = await caller.run("call", [callee.user_id], 1)
    invited = await caller.event("dial", session=call, limit=LIMIT)
    rang = await callee.event("call", session=call, limit=LIMIT)
    accepted = await callee.event("accepting", session=call, limit=LIMIT)
    picture = await callee.event("decoded", session=call, limit=LIMIT)
    await caller.event("decoded", session=call, limit=LIMIT)
    await caller.run("stop", call)
    await callee.event("close", session=call, limit=LIMIT)
    return (rang["wall"] - invited["wall"]) / 1000, (picture["wall"] - accepted["wall"]) / 1000


async def measure(calls: int) -> dict[str, list[tuple[float, float]]]:
    """Alternate calls between the pairs; the first of each is warming up and not counted."""
    found: dict[str, list[tuple[float, float]]] = {"Python": [], "Chromium": []}
    async with AsyncExitStack() as stack:
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = await stack.enter_async_context(serving(data_dir))
        ends = await ringmesh.discover(url)
        endpoints = Endpoints(ends.app_id, ends.auth_key, url, ends.chat_domain, ends.chat_url)
        pages = Browsers(
            await stack.enter_async_context(chromium()),
            stack.enter_context(page_server()),
            endpoints,
        )
        browsers = [await pages.sign_in(f"browser-{n}", "secret") for n in (1, 2)]
        await browsers[1].run("autoAnswer")
        pythons = [
            await stack.enter_async_context(PythonPeer.start(url, f"python-{n}")) for n in (1, 2)
        ]
        for number in range(calls + 1):
            timings = {
                "Chromium": await browser_call(*browsers),
                "Python": await python_call(*pythons),
            }
            for name, timing in timings.items():
                if number:
                    found[name].append(timing)
        await pages.close()
    return found


def show(found: dict[str, list[tuple[float, float]]]) -> None:
    """Print medians, 90th percentiles and the ratio of the medians."""
    calls = len(found["Python"])
    table = Table(title=f"Call set-up, ms, {calls} calls each, one after the other")
    for heading in ("", "invite -> ring", "p90", "accept -> first picture", "p90"):
        table.add_column(heading, justify="right" if heading else "left")
    medians = {}
    for name, timings in found.items():
        cells = []
        medians[name] = []
        for values in zip(*timings, strict=True):
            median = statistics.median(values)
            tail = statistics.quantiles(values, n=10)[-1] if calls > 1 else median
            medians[name].append(median)
            cells += [f"{median * 1000:.1f}", f"{tail * 1000:.1f}"]
        table.add_row(f"{name} <-> {name}", *cells)
    ratios = [p / c for p, c in zip(medians["Python"], medians["Chromium"], strict=True)]
    table.add_row("Python / Chromium", f"{ratios[0]:.2f}", "", f"{ratios[1]:.2f}", "")
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.call_setup", description=__doc__)
    parser.add_argument("--calls", type=int, default=20, help="calls of each pair (default 20)")
    show(asyncio.run(measure(parser.parse_args().calls)))
