"""Memory of both sides of a long call, each minute: ``python -m benchmarks.soak [MINUTES]`` (10).

Two processes call each other through a server of their own, with 640x360 at 25 pictures a second
and sound both ways, statistics each second and callbacks on all that comes. Linux only.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

from benchmarks.server import serving

WARM_UP = 2
"""Minutes after which memory should not grow any more."""

AIM = 1.0
"""MiB that it may grow from then on, per ten minutes."""


async def start(url: str, login: str, *others: str) -> tuple[Process, int]:
    """A side, and its id."""
    command = [sys.executable, "-m", "benchmarks.soak.person", url, login, *others]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    return process, (await answer(process))["id"]


async def answer(process: Process) -> dict[str, Any]:
    """The next line that it writes."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return dict(json.loads(await process.stdout.readline()))


async def ask(process: Process) -> dict[str, Any]:
    """How it does now."""
    assert process.stdin is not None
    process.stdin.write(b"\n")
    return await answer(process)


async def main(minutes: int) -> None:
    """Call, and print a row each minute."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), 18091) as url:
            callee, callee_id = await start(url, "callee")
            caller, _ = await start(url, "caller", str(callee_id))
            sides = (caller, callee)
            print("| minute | caller, MiB | callee, MiB | pictures | blocks of sound |")
            print("|---|---|---|---|---|", flush=True)
            rows = []
            for minute in range(minutes + 1):
                if minute:
                    await asyncio.sleep(60)
                found = [await ask(side) for side in sides]
                rows.append([side["memory"] for side in found])
                print(
                    f"| {minute} | {found[0]['memory']:.1f} | {found[1]['memory']:.1f} "
                    f"| {found[0].get('pictures', 0)} | {found[0].get('blocks', 0)} |",
                    flush=True,
                )
            print("caller:", found[0]["quality"])
            for side in sides:
                assert side.stdin is not None
                side.stdin.close()
                await side.wait()
    if minutes > WARM_UP:
        grown = max(rows[-1][side] - rows[WARM_UP][side] for side in (0, 1))
        each_ten = grown / (minutes - WARM_UP) * 10
        print(f"growth after minute {WARM_UP}: {each_ten:.2f} MiB in ten minutes; aim: {AIM}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else 10))
