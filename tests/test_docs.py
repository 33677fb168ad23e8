"""What the documents show is run: Python programs wholly, command lines as far as they parse."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import typer

import ringmesh
from ringmesh.cli.main import app
from ringmesh.media.streams import LocalStream
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DEMO_URL = "http://localhost:8080"
PEOPLE = ("alice", "bob", "carol", "bot")
LIMIT = 60.0


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """(name, text) of every fenced block in this language."""
    for page in PAGES:
        found = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)
        for number, text in enumerate(found, 1):
            yield f"{page.name}-{number}", text


def command_lines() -> Iterator[str]:
    """Every line of a code block, fenced or indented, that runs ringmesh."""
    for page in PAGES:
        for line in re.findall(r"^(?:    |\$ )?(ringmesh (?!/).*)$", page.read_text(), re.M):
            if re.match(r"ringmesh [a-z]", line):
                yield line.split("  #")[0].removesuffix("&").strip()


@pytest_asyncio.fixture
async def demo_server(tmp_path: Path) -> AsyncIterator[str]:
    """A server with the demo's people, of whom `bot` answers every call."""
    async with Server(tmp_path / "server", load_settings(port=0)) as server:
        for login in PEOPLE[:-1]:
            async with ringmesh.connect(server.url, login=login, password=f"{login}-demo"):
                pass
        stream = LocalStream.synthetic()

        async def answer(session: ringmesh.P2PSession) -> None:
            await session.init_local_media_stream(stream)
            await session.accept_call()

        async with ringmesh.connect(server.url, login="bot", password="bot-demo") as bot:
            bot.calls.on_receive_new_session = answer
            yield server.url
        stream.close()


@pytest.mark.parametrize(("name", "program"), list(blocks("python")))
async def test_documented_programs_run(
    name: str, program: str, demo_server: str, tmp_path: Path
) -> None:
    """A program from the documents, pointed at a demo server, ends well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program.replace(DEMO_URL, demo_server)),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, output.decode()


@pytest.mark.parametrize("line", sorted(set(command_lines())))
def test_documented_commands_exist(line: str) -> None:
    """Commands and options that the documents show are those that the program has."""
    command = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    while words and (commands := getattr(command, "commands", None)):
        assert words[0] in commands, f"no command {words[0]!r}"
        command = commands[words.pop(0)]
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    used = {word.split("=")[0] for word in words if word.startswith("-")}
    assert used <= known | {"--help"}
