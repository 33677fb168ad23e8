"""Firefox, driven over its own Marionette protocol: no driver program is needed.

Messages are JSON arrays with their length before them: ``[0, id, command, parameters]`` and
``[1, id, error, result]``.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

START_LIMIT = 60.0
COMMAND_LIMIT = 30.0

PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.gmp-manager.updateEnabled": False,
    "app.update.auto": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


def find_firefox() -> str | None:
    """The installed program."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    """One window."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)

    async def command(self, name: str, **parameters: Any) -> Any:
        """Send a WebDriver command and return its result."""
        message = json.dumps([0, next(self._ids), name, parameters]).encode()
        self._writer.write(b"%d:%b" % (len(message), message))
        async with asyncio.timeout(COMMAND_LIMIT):
            _, _, error, result = await self.receive()
        if error:
            raise AssertionError(f"{name}: {error['error']}: {error['message']}")
        return result

    async def receive(self) -> Any:
        """The next message."""
        length = (await self._reader.readuntil(b":"))[:-1]
        return json.loads(await self._reader.readexactly(int(length)))

    async def run(self, script: str, *arguments: Any) -> Any:
        """The value that a function body returns in the page; promises are awaited."""
        answer = await self.command(
            "WebDriver:ExecuteScript", script=script, args=list(arguments), newSandbox=False
        )
        return answer["value"]

    async def click(self, css: str) -> None:
        """Click as a person does, so that sound may start."""
        found = await self.command("WebDriver:FindElement", using="css selector", value=css)
        element = next(iter(found["value"].values()))
        await self.command("WebDriver:ElementClick", id=element)

    async def until(self, script: str, *arguments: Any) -> Any:
        """Wait until a function body returns something true."""
        value = None
        try:
            async with asyncio.timeout(COMMAND_LIMIT):
                while not value:
                    value = await self.run(script, *arguments)
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"waited in vain for: {script}") from None
        return value


@asynccontextmanager
async def firefox(
    program: str,
    profile: Path,
    *,
    preferences: Mapping[str, Any] | None = None,
    desktop: Mapping[str, str] | None = None,
) -> AsyncIterator[Firefox]:
    """Firefox with fake camera and microphone.

    Args:
        desktop: environment of the desktop to open its window in; without one it has no window.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = PREFERENCES | {"marionette.port": port} | dict(preferences or {})
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in settings.items()]
    profile.joinpath("user.js").write_text("\n".join(lines))
    process = await asyncio.create_subprocess_exec(
        *(program, *(() if desktop else ("--headless",))),
        *("--marionette", "--no-remote", "--profile", str(profile)),
        env=desktop,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    writer = None
    try:
        reader, writer = await _connect(port)
        window = Firefox(reader, writer)
        await window.receive()  # the greeting
        await window.command("WebDriver:NewSession")
        yield window
    finally:
        if writer is not None:
            writer.close()
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(START_LIMIT):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.2)
