"""The sides of a call, each a process that reads and writes JSON lines, and ends with its input."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from typing import Any

ANSWER_LIMIT = 90.0  # seconds


async def start(module: str, *arguments: str) -> Process:
    """Run a module of the benchmarks, as ``python -m`` does."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)


def tell(side: Process, what: object) -> None:
    """Write a line to it."""
    assert side.stdin is not None
    side.stdin.write(json.dumps(what).encode() + b"\n")


async def answer(side: Process) -> Any:
    """The next line that it writes."""
    assert side.stdout is not None
    async with asyncio.timeout(ANSWER_LIMIT):
        return json.loads(await side.stdout.readline())


async def end(sides: Sequence[Process]) -> None:
    """Let them end."""
    for side in sides:
        assert side.stdin is not None
        side.stdin.close()
        await side.wait()
