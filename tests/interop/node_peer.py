"""A person in Node: the unmodified npm SDK, driven through `node_client.mjs`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.interop.browser import Endpoints

CLIENT = Path(__file__).with_name("node_client.mjs")
LIMIT = 30.0


class NodePeer:
    """One user in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._heard: list[dict[str, Any]] = []
        self.user_id = 0

    async def do(self, name: str, **values: Any) -> None:
        """Give a command, see `commands` in node_client.mjs."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"name": name, **values}).encode() + b"\n")
        await self._process.stdin.drain()

    async def event(self, name: str) -> dict[str, Any]:
        """The next event of this name; others are kept."""
        assert self._process.stdout is not None
        for heard in self._heard:
            if heard["event"] == name:
                self._heard.remove(heard)
                return heard
        async with asyncio.timeout(LIMIT):
            while line := await self._process.stdout.readline():
                heard = json.loads(line)
                if heard["event"] == name:
                    return heard
                self._heard.append(heard)
        raise AssertionError(f"no {name}, but {self._heard}")


@asynccontextmanager
async def node_peer(
    endpoints: Endpoints, chat_url: str, login: str, password: str, certificate: Path, tls: bool
) -> AsyncIterator[NodePeer]:
    """A user who is online.

    Args:
        tls: let the SDK use TLS over TCP, STARTTLS too.
    """
    environment = os.environ | {"CUBE_TCP_ENABLE": "true", "NODE_EXTRA_CA_CERTS": str(certificate)}
    if tls:
        environment["CUBE_TLS_ENABLE"] = "true"
    config = {
        "applicationId": endpoints.application_id,
        "authKey": endpoints.auth_key,
        "apiUrl": endpoints.api_url,
        "chatDomain": endpoints.chat_domain,
        "chatUrl": chat_url,
        "login": login,
        "password": password,
    }
    node = shutil.which("node")
    assert node is not None
    process = await asyncio.create_subprocess_exec(
        *(node, str(CLIENT), json.dumps(config)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    peer = NodePeer(process)
    try:
        online = await peer.event("online")
        assert online["connected"]
        peer.user_id = online["userId"]
        yield peer
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
