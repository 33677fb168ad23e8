"""A laboratory with our server and its relay in it, and people on both sides."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from playwright.async_api import Browser, Page, async_playwright

from tests.interop.browser import CHROMIUM_FLAGS, page_server
from tests.netlab.lab import Lab
from tests.netlab.troubles import ROOT
from tests.web.page_driver import Pages

ADDRESS = "203.0.113.10"
URL = f"https://{ADDRESS}"
PAGE = (ADDRESS, 80)  # the only other port that strict networks let out
RELAY = "203.0.113.11"
CERTIFICATE, KEY = "certificate.pem", "key.pem"
DISCOVERY = "/.well-known/ringmesh.json"
LIMIT = 60.0
"""Seconds for anything that happens."""

POLL = 0.03

PASSWORD = "secret"
"""Of everybody with the browser SDK."""

# The SDK takes the constructor when it is loaded; statistics need the connections.
KEEP_CONNECTIONS = """
window.connections = new Set();
window.RTCPeerConnection = class extends window.RTCPeerConnection {
  constructor(...args) { super(...args); window.connections.add(this); }
};
"""

SERVER_SETTINGS = {
    "RINGMESH_TURN_LISTEN": f'["{RELAY}"]',
    "RINGMESH_TURN_EXTRA_PORTS": "[443]",
    "RINGMESH_TURN_RELAY_PORTS": "49160-49999",
}


@dataclass
class Report:
    """What came in.

    Attributes:
        sound: times at which the right tone was heard, of about 50 ms each.
        pictures: times of pictures with the right code.
        relayed: whether a relay is in the path; None without a path.
        pair: types of the selected candidates, local and remote.
        protocol: how the local relay, or else the peer, is reached.
    """

    sound: list[float] = field(default_factory=list)
    pictures: list[float] = field(default_factory=list)
    relayed: bool | None = None
    pair: str | None = None
    protocol: str | None = None


class Person(Protocol):
    """Somebody in the laboratory."""

    user_id: int
    tone_hz: float
    stream_id: int

    async def call(self, other: Person) -> None: ...
    async def wait_rings(self) -> float: ...
    async def accept(self) -> float: ...
    async def prove(self, other: Person) -> float: ...
    async def report(self) -> Report: ...
    async def hang_up(self) -> None: ...


class PythonPerson:
    """A `person` process."""

    def __init__(self, process: asyncio.subprocess.Process, tone_hz: float, stream_id: int) -> None:
        self._process = process
        self._facts: list[dict[str, Any]] = []
        self._changed = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())
        self._seen = 0
        self.user_id = 0
        self.tone_hz = tone_hz
        self.stream_id = stream_id

    async def call(self, other: Person) -> None:
        self._forget()
        self._say("call", to=other.user_id)
        await self.fact("invites")

    async def wait_rings(self) -> float:
        return float((await self.fact("rings"))["at"])

    async def accept(self) -> float:
        self._say("accept")
        return float((await self.fact("accepts"))["at"])

    async def prove(self, other: Person) -> float:
        """Wait for sound and picture of the other; when both were there first."""
        self._say("watch", user_id=other.user_id, tone_hz=other.tone_hz, stream_id=other.stream_id)
        proven = await self.fact("proven")
        return max(proven["sound"], proven["picture"])

    async def report(self) -> Report:
        mark = len(self._facts)
        self._say("report")
        found = await self.fact("report", since=mark)
        return Report(**{name: found[name] for name in Report.__dataclass_fields__})

    async def statistics(self) -> dict[str, Any]:
        """The snapshots taken in this call (``series``), and the ``report`` of it."""
        mark = len(self._facts)
        self._say("statistics")
        return await self.fact("statistics", since=mark)

    async def hang_up(self) -> None:
        self._say("hang_up")
        await self.fact("SessionClosed")

    async def closed(self) -> None:
        """The call is over on this side."""
        await self.fact("SessionClosed")
        self._forget()

    def facts(self, name: str) -> list[dict[str, Any]]:
        """What was told of this name in the present call."""
        return [fact for fact in self._facts[self._seen :] if fact["fact"] == name]

    async def fact(self, name: str, since: int | None = None) -> dict[str, Any]:
        """Wait for the first fact of this name in the present call."""
        async with asyncio.timeout(LIMIT), self._changed:
            while True:
                begin = self._seen if since is None else since
                for fact in self._facts[begin:]:
                    if fact["fact"] == name:
                        return fact
                    if fact["fact"] == "failed":
                        raise AssertionError(fact["what"])
                if self._reading.done():
                    raise AssertionError(f"a person ended before telling {name!r}")
                await self._changed.wait()

    async def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        await asyncio.gather(self._reading, return_exceptions=True)

    def _forget(self) -> None:
        self._seen = len(self._facts)

    def _say(self, command: str, **values: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": command, **values}).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            async with self._changed:
                self._facts.append(json.loads(line))
                self._changed.notify_all()
        async with self._changed:
            self._changed.notify_all()


class BrowserPerson:
    """A page with the unmodified SDK."""

    def __init__(self, page: Page, user_id: int, tone_hz: float, stream_id: int) -> None:
        self.page = page
        self.user_id = user_id
        self.tone_hz = tone_hz
        self.stream_id = stream_id
        self._seen = 0

    async def call(self, other: Person) -> None:
        await self._forget()
        await self.run("call", [other.user_id], 1)

    async def wait_rings(self) -> float:
        return float((await self._event("call"))["wall"]) / 1000

    async def accept(self) -> float:
        session = (await self._event("call"))["session"]
        await self.run("accept", session)
        return float((await self._event("accepting"))["wall"]) / 1000

    async def prove(self, other: Person) -> float:
        """Wait for sound and picture of the other; when both were there first."""
        arguments = [other.user_id, other.tone_hz, other.stream_id]
        async with asyncio.timeout(LIMIT):
            while not await self.page.evaluate("a => window.watch(...a)", arguments):  # noqa: ASYNC110
                await asyncio.sleep(POLL)
            while True:
                found = await self.page.evaluate("() => window.watching")
                if len(found["sound"]) >= 3 and len(found["pictures"]) >= 3:
                    return float(max(found["sound"][0], found["pictures"][0]))
                await asyncio.sleep(POLL)

    async def report(self) -> Report:
        return Report(**await self.page.evaluate("() => window.report()"))

    async def hang_up(self) -> None:
        events = await self.page.evaluate("() => window.peer.events")
        session = next(e["session"] for e in reversed(events) if e["name"] in ("dial", "call"))
        await self.run("stop", session)

    async def closed(self) -> None:
        """The call is over on this side."""
        await self._event("close")
        await self._forget()

    async def run(self, name: str, *arguments: Any) -> Any:
        """Call ``peer.NAME(...arguments)`` in the page."""
        return await self.page.evaluate(
            "([name, args]) => window.peer[name](...args)", [name, list(arguments)]
        )

    async def close(self) -> None:
        await self.page.context.close()

    async def _forget(self) -> None:
        self._seen = await self.page.evaluate("() => window.peer.events.length")

    async def _event(self, name: str) -> dict[str, Any]:
        async with asyncio.timeout(LIMIT):
            while True:
                events = await self.page.evaluate("() => window.peer.events")
                for event in events[self._seen :]:
                    if event["name"] == name:
                        return dict(event)
                await asyncio.sleep(POLL)


class World:
    """Get it from `world`."""

    def __init__(self, lab: Lab, stack: AsyncExitStack, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self._stack = stack
        self._playwright: Any = None
        self._page_url: str | None = None
        self._count = 0

    async def python(
        self, host: str, *, answers: bool = False, dead: Sequence[str] = (), **rtc: Any
    ) -> PythonPerson:
        """Somebody with the Python SDK, signed in. `rtc` overrides `RTCConfig`; `dead` are URLs of
        ICE servers that come before those of our server."""
        tone_hz, stream_id = self._signature()
        options = {
            "url": URL,
            "login": f"{host}-{self._count}",
            "tone_hz": tone_hz,
            "stream_id": stream_id,
            "answers": answers,
            "dead": dead,
            "rtc": rtc,
        }
        command = [sys.executable, "-m", "tests.netlab.person", json.dumps(options)]
        with (self.folder / f"python-{self._count}-{host}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *self.lab.command(host, command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self.environment(),
                cwd=ROOT,
                limit=1 << 24,
            )
        person = PythonPerson(process, tone_hz, stream_id)
        self._stack.push_async_callback(person.close)
        person.user_id = (await person.fact("ready"))["user"]
        return person

    async def browser(
        self, host: str, *, dead: Sequence[str] = (), **videochat: Any
    ) -> BrowserPerson:
        """Somebody with the npm SDK in Chromium. `videochat` overrides the SDK's settings; `dead`
        are URLs of ICE servers that come before those of our server."""
        tone_hz, stream_id = self._signature()
        context = await (await self._chromium(host)).new_context()
        page = await context.new_page()
        await page.add_init_script(KEEP_CONNECTIONS)
        await page.goto(self._page_url)
        await page.add_script_tag(path=Path(__file__).with_name("watch.js"))
        ends = await self.discover()
        user_id = await page.evaluate(
            """async ([options, login, password, dead]) => {
                options.videochat.iceServers = window.iceServers;
                peer.init(options);
                const session = await peer.sdk.createSession({login, password});
                await window.fetchIceServers(options.apiUrl, session.token);
                window.iceServers.unshift(
                    ...dead.map((urls) => ({urls, username: 'name', credential: 'password'})));
                peer.userId = session.user_id;
                await peer.sdk.chat.connect({userId: session.user_id, password});
                return session.user_id;
            }""",
            [
                {
                    "applicationId": ends["application_id"],
                    "authKey": ends["auth_key"],
                    "apiUrl": URL,
                    "chatDomain": ends["chat_domain"],
                    "chatUrl": ends["chat_url"],
                    "toneHz": tone_hz,
                    "streamId": stream_id,
                    "videochat": videochat,
                },
                f"{host}-{self._count}",
                PASSWORD,
                list(dead),
            ],
        )
        return BrowserPerson(page, user_id, tone_hz, stream_id)

    async def pages(self, host: str) -> Pages:
        """Opens the server's own calling page in a Chromium there."""
        return Pages(await self._chromium(host), URL)

    async def _chromium(self, host: str) -> Browser:
        """A Chromium whose network is the host's."""
        if self._page_url is None:
            self._playwright = await self._stack.enter_async_context(async_playwright())
            with self.lab.inside("server"):
                self._page_url = self._stack.enter_context(page_server(*PAGE))
        chromium = os.environ.get("RINGMESH_CHROMIUM", "/usr/bin/chromium")
        wrapper = self.folder / f"chromium-{host}"
        wrapper.write_text(f'#!/bin/sh\nexec ip netns exec {self.lab.ns(host)} {chromium} "$@"\n')
        wrapper.chmod(0o755)
        origin = self._page_url.rstrip("/")
        browser: Browser = await self._playwright.chromium.launch(
            executable_path=wrapper,
            args=[
                *CHROMIUM_FLAGS,
                "--ignore-certificate-errors",
                f"--unsafely-treat-insecure-origin-as-secure={origin}",
            ],
        )
        self._stack.push_async_callback(browser.close)
        return browser

    async def discover(self) -> dict[str, Any]:
        """What the server tells about itself."""
        fetch = f"import urllib.request as u; print(u.urlopen('{URL}{DISCOVERY}').read().decode())"
        found = await asyncio.to_thread(
            self.lab.run,
            "server",
            [sys.executable, "-c", fetch],
            timeout=LIMIT,
            env=self.environment(),
        )
        return dict(json.loads(found.stdout))

    def environment(self) -> dict[str, str]:
        """For programs that are to trust the server's certificate."""
        return {**os.environ, "SSL_CERT_FILE": str(self.folder / CERTIFICATE)}

    def _signature(self) -> tuple[float, int]:
        """A tone and a picture number that nobody else has."""
        self._count += 1
        return (500.0, 620.0, 770.0, 950.0, 1180.0, 1460.0)[self._count % 6], 1 + self._count % 15


@asynccontextmanager
async def world(scenario: str) -> AsyncIterator[World]:
    """A laboratory with ``ringmesh serve --turn auto`` in it."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netlab-")))
        lab = stack.enter_context(Lab(scenario))
        ringmesh = Path(sys.executable).with_name("ringmesh")
        lab.popen(
            "server",
            [ringmesh, "serve", "--host", ADDRESS, "--port", "443", "--turn", "auto",
             "--data", folder / "data"],
            log=folder / "server.log",
            env={**os.environ, **SERVER_SETTINGS, **_certificate(folder)},
        )  # fmt: skip
        # The relay is checked last, then the server says that it is ready.
        async with asyncio.timeout(LIMIT):
            while "Ctrl-C" not in (folder / "server.log").read_text():  # noqa: ASYNC110
                await asyncio.sleep(POLL)
        assert "does NOT work" not in (folder / "server.log").read_text()
        yield World(lab, stack, folder)


def _certificate(folder: Path) -> dict[str, str]:
    """Make one for the server's address; settings that name it.

    Browsers' SDKs send passwords over TLS or to this machine only.
    """
    certificate, key = folder / CERTIFICATE, folder / KEY
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={ADDRESS}",
         "-addext", f"subjectAltName=IP:{ADDRESS}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return {"RINGMESH_TLS_CERTIFICATE": str(certificate), "RINGMESH_TLS_KEY": str(key)}


async def connect_call(caller: Person, callee: Person) -> float:
    """A call with sound and picture in both directions; seconds from acceptance to the last."""
    await caller.call(callee)
    await callee.wait_rings()
    accepted = await callee.accept()
    times = await asyncio.gather(caller.prove(callee), callee.prove(caller))
    return max(times) - accepted
