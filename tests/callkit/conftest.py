"""A desktop, a server with people, and the agent of one of them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest_asyncio

import ringmesh
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from tests.callkit.desktop import Desktop, Program, ringmesh_command, until
from tests.callkit.phone import APPLICATION

PEOPLE = ("alice", "bob", "carol")


class Home:
    """Bob's desktop, where the agent runs, and the world outside.

    Attributes:
        diary: what Bob's application wrote down.
    """

    def __init__(self, desktop: Desktop, server: Server, ids: dict[str, int]) -> None:
        self.desktop = desktop
        self.server = server
        self.ids = ids
        self.diary = desktop.folder / "diary"

    def application(self) -> str:
        """The command that starts Bob's application."""
        return f"{sys.executable} -m tests.callkit.phone {self.server.url} bob {self.diary}"

    async def install(self, *options: str) -> tuple[int, str]:
        """Run ``ringmesh agent install``."""
        self.desktop.environment["RINGMESH_PASSWORD"] = "bob-demo"
        return await self.desktop.ringmesh(
            *("agent", "install", "--server", self.server.url, "--login", "bob"),
            *("--application", APPLICATION, "--start-by", "autostart", *options),
        )

    async def agent(self) -> Program:
        """Install the agent and start it."""
        code, output = await self.install("--exec", self.application())
        assert code == 0, output
        agent = await self.desktop.start(*ringmesh_command("agent"))
        await agent.says("waiting for calls")
        return agent

    def person(
        self, login: str, rtc: ringmesh.RTCConfig | None = None
    ) -> AbstractAsyncContextManager[ringmesh.Connection]:
        """Sign in elsewhere."""
        return ringmesh.connect(self.server.url, login=login, password=f"{login}-demo", rtc=rtc)

    async def writes(self, text: str) -> None:
        """Wait until Bob's application has written this down."""

        async def written() -> bool:
            return self.diary.exists() and text in self.diary.read_text()

        def what() -> str:
            return f"{text!r} in {self.diary.read_text() if self.diary.exists() else 'nothing'}"

        await until(written, what)


@pytest_asyncio.fixture
async def desktop(tmp_path: Path) -> AsyncIterator[Desktop]:
    """A desktop without a notification daemon."""
    folder = tmp_path / "desktop"
    folder.mkdir()
    async with Desktop(folder) as running:
        yield running


@pytest_asyncio.fixture
async def home(desktop: Desktop, tmp_path: Path) -> AsyncIterator[Home]:
    """See `Home`."""
    async with Server(tmp_path / "server", load_settings(port=0)) as server:
        ids = {}
        for login in PEOPLE:
            async with ringmesh.connect(server.url, login=login, password=f"{login}-demo") as me:
                ids[login] = me.id
        yield Home(desktop, server, ids)
