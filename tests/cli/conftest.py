"""A server, and the program run as a person would run it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

import ringmesh
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings

LIMIT = 60.0
PEOPLE = ("alice", "bob", "carol")


class Program:
    """A running ``ringmesh`` command.

    Attributes:
        progress: what it has written to standard error so far.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.progress = ""

    async def says(self, text: str) -> None:
        """Wait until its progress has this text."""
        assert self._process.stderr is not None
        async with asyncio.timeout(LIMIT):
            while text not in self.progress:
                line = await self._process.stderr.readline()
                assert line, f"ended without saying {text!r}:\n{self.progress}"
                self.progress += line.decode()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    async def ends(self) -> tuple[int, str]:
        """Wait for its end: the exit code and standard output."""
        async with asyncio.timeout(LIMIT):
            output, progress = await self._process.communicate()
        self.progress += (progress or b"").decode()
        print(self.progress)  # for the report of a test that fails
        assert "Traceback" not in self.progress
        return self._process.returncode or 0, output.decode()

    async def kill(self) -> None:
        """Make sure that it is gone."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


class Shell:
    """Starts ``ringmesh`` commands against a server."""

    def __init__(self, server: str, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self._programs: list[Program] = []

    async def start(
        self,
        *arguments: str,
        login: str,
        password: str | None = None,
        stderr: int = asyncio.subprocess.PIPE,
    ) -> Program:
        """Start a command as this person."""
        environment = os.environ | {
            "RINGMESH_SERVER": self.server,
            "RINGMESH_PASSWORD": f"{login}-demo" if password is None else password,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from ringmesh.cli.main import main; main()"),
            *(*arguments, "--login", login),
            cwd=self.folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
        program = Program(process)
        self._programs.append(program)
        return program

    async def run(
        self, *arguments: str, login: str, password: str | None = None
    ) -> tuple[int, str]:
        """Run a command to its end: its exit code and standard output."""
        return await (await self.start(*arguments, login=login, password=password)).ends()

    async def close(self) -> None:
        """Leave nothing running."""
        for program in self._programs:
            await program.kill()


@pytest_asyncio.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    """A server with people, and commands against it."""
    async with Server(tmp_path / "server", load_settings(port=0)) as server:
        for login in PEOPLE:
            async with ringmesh.connect(server.url, login=login, password=f"{login}-demo"):
                pass
        opened = Shell(server.url, tmp_path)
        try:
            yield opened
        finally:
            await opened.close()
