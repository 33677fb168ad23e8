"""Memory of a long call, beside the engine's: ``python -m benchmarks.soak [MINUTES] [WARM_UP]``.

It takes ten minutes, the first two of which are warm-up. Two processes call each other through a
server of their own, with 640x360 at 25 pictures a second and sound both ways, statistics each
second, a report each minute and callbacks on all that comes. At the same time, and so under the
same load, two other processes do the same with the engine (libwebrtc, by wrtc) alone: no SDK, no
statistics. What the engine's memory does is the floor. Linux only.

Memory is the resident set, looked at every ten seconds. Growth after the warm-up is told twice: as
the difference of the ends, and as the slope of the line that fits all looks best (least squares).
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.server import serving
from benchmarks.sides import answer, end, start, tell

EVERY = 10
"""Seconds between two looks."""

AIM = 1.0
"""MiB that memory may grow after the warm-up, per ten minutes, more than the engine's."""

PORT = 18091


async def start_persons(url: str) -> list[Process]:
    """Caller and callee, in a call."""
    callee = await start("soak.person", url, "callee")
    callee_id = (await answer(callee))["id"]
    caller = await start("soak.person", url, "caller", str(callee_id))
    await answer(caller)
    return [caller, callee]


async def start_engines() -> list[Process]:
    """The same without the SDK."""
    caller, callee = await start("soak.engine", "offer"), await start("soak.engine", "answer")
    tell(callee, await answer(caller))
    tell(caller, await answer(callee))
    return [caller, callee]


async def ask(sides: Sequence[Process], *, report: bool = False) -> list[dict[str, Any]]:
    """How they do now."""
    for side in sides:
        tell(side, "report" if report else "look")
    return [await answer(side) for side in sides]


async def main(minutes: int, warm_up: int) -> None:
    """Call, and print a row each minute."""
    looks: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), PORT) as url:
            sides = await start_persons(url) + await start_engines()
            print("Memory in MiB.\n")
            print("| minute | caller | callee | engine's caller | its callee | pictures |")
            print("|---|---|---|---|---|---|", flush=True)
            for second in range(0, minutes * 60 + 1, EVERY):
                if second:
                    await asyncio.sleep(EVERY)
                found = await ask(sides, report=second % 60 == 0)
                looks.append([side["memory"] for side in found])
                if second % 60 == 0:
                    cells = " | ".join(f"{memory:.1f}" for memory in looks[-1])
                    print(f"| {second // 60} | {cells} | {count(found)} |", flush=True)
            await end(sides)
    print("\ncaller:", found[0]["quality"])
    if minutes > warm_up:
        print_growth(looks[warm_up * 60 // EVERY :], warm_up)


def count(found: Sequence[dict[str, Any]]) -> str:
    """Pictures that came to each caller."""
    return f"{found[0].get('pictures', 0)}, engine {found[2].get('pictures', 0)}"


def print_growth(looks: Sequence[Sequence[float]], warm_up: int) -> None:
    """Of both, and how much more it is than the engine's."""
    print(f"\nGrowth after minute {warm_up}, in MiB per ten minutes, mean of both sides:\n")
    print("| | by the ends | by the slope |")
    print("|---|---|---|")
    caller, callee, *engines = (growth(side) for side in zip(*looks, strict=True))
    ours, floor = mean(caller, callee), mean(*engines)
    print(f"| SDK | {ours[0]:.2f} | {ours[1]:.2f} |")
    print(f"| engine alone | {floor[0]:.2f} | {floor[1]:.2f} |")
    print(f"| SDK, less the engine | {ours[0] - floor[0]:.2f} | {ours[1] - floor[1]:.2f} |")
    print(f"\naim: at most {AIM} more than the engine alone")


def mean(*sides: tuple[float, float]) -> list[float]:
    """Of each figure."""
    return [statistics.fmean(column) for column in zip(*sides, strict=True)]


def growth(memory: Sequence[float]) -> tuple[float, float]:
    """By the ends, and by the slope."""
    seconds = [index * EVERY for index in range(len(memory))]
    slope = statistics.linear_regression(seconds, memory).slope
    return (memory[-1] - memory[0]) / seconds[-1] * 600, slope * 600


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    asyncio.run(main(*(numbers + [10, 2][len(numbers) :])))
