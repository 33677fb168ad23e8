"""``ringmesh screens`` and ``ringmesh call --screen``, on an X server of their own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator

import pytest

from ringmesh.cli.exit_code import ExitCode
from tests.cli.conftest import Shell
from tests.cli.test_call_and_answer import pictures
from tests.screen.desktop import HEIGHT, WIDTH, Desktop, xvfb
from tests.screen.test_sharing import coded


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    """Draws on the screen that commands share."""
    with xvfb() as display:
        monkeypatch.setenv("DISPLAY", display)
        drawn = Desktop(display)
        yield drawn
        drawn.close()


async def listed(*options: str) -> tuple[int, str, str]:
    """Exit code, output and complaints of ``ringmesh screens``."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from ringmesh.cli.main import main; main()", "screens", *options),
        env=os.environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaints = await process.communicate()
    return process.returncode or 0, output.decode(), complaints.decode()


async def test_screens_are_listed_for_people_and_programs(desktop: Desktop) -> None:
    """A line each, or JSON."""
    window = desktop.window(coded(9), title="a [bold]title")
    code, output, _ = await listed()
    assert code == 0
    rows = [line.split() for line in output.splitlines()]
    assert rows[1][:2] == ["screen:1", f"{WIDTH}x{HEIGHT}"]
    assert rows[2] == [window.source, "640x360", "a", "[bold]title"]
    _, output, _ = await listed("--json")
    assert [source["id"] for source in json.loads(output)] == ["screen:1", window.source]


async def test_without_a_desktop_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and no traceback."""
    monkeypatch.delenv("DISPLAY", raising=False)
    code, _, complaints = await listed()
    assert code == ExitCode.FAILED
    assert complaints.startswith("ringmesh: there is no screen to share")


async def test_a_call_shows_a_screen(shell: Shell, desktop: Desktop) -> None:
    """What the other side records is the screen."""
    desktop.window(coded(9, WIDTH, HEIGHT))
    back = shell.folder / "back.mkv"
    answering = await shell.start("answer", "--record", str(back), "--once", login="bob")
    await answering.says("waiting for calls")
    code, _ = await shell.run(
        "call", "bob", "--screen", "screen:1", "--duration", "3", login="alice"
    )
    assert code == 0
    await answering.ends()
    assert {stream_id for stream_id, _ in pictures(back)} == {9}
