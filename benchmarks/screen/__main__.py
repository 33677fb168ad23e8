"""CPU of a screen of 1280x720 shared at 15 pictures a second: ``python -m benchmarks.screen``.

Cases take turns, each in a process of its own on an X server (Xvfb) of its own:

* x11grab: FFmpeg's screen capture (through PyAV) and conversion to the pixels of a codec: the peer;
* capture: our source of the screen, whose pictures nobody takes: the floor of sharing;
* call: a video call that sends black and silence, and receives the same;
* shared: that call with the screen in it, at the sharing side.

What is seen is either a page of text that scrolls by a line with each picture, or that page
standing still. CPU is in cores, of the whole process; ratios compare figures of the same round.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import ringmesh
from benchmarks.screen.cases import PASSWORD, run_answer, run_case
from benchmarks.screen.page import scrolling, xvfb
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings

CASES = ("x11grab", "capture", "call", "shared")

_context = multiprocessing.get_context("spawn")


def in_process(target: Callable[..., None], *arguments: object) -> dict[str, float]:
    """Run a case and return its figures."""
    ours, theirs = _context.Pipe()
    process = _context.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    if not ours.poll(120):
        raise TimeoutError(f"{arguments} says nothing")
    result: dict[str, float] = ours.recv()
    process.join(20)
    return result


async def run(rounds: int, seconds: float) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, xvfb() as display:
        settings = load_settings(port=0, host="127.0.0.1")
        async with Server(Path(folder), settings) as server:
            ours, theirs = _context.Pipe()
            far = _context.Process(target=run_answer, args=(server.url, theirs), daemon=True)
            far.start()
            if not await asyncio.to_thread(ours.poll, 60):
                raise TimeoutError("the far side says nothing")
            async with ringmesh.connect(server.url, login="near", password=PASSWORD):
                pass
            for moves in (True, False):
                with scrolling(display, moves=moves):
                    figures: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
                    for _ in range(rounds):
                        for name in CASES:
                            arguments = (run_case, name, display, server.url, seconds)
                            figures[name].append(await asyncio.to_thread(in_process, *arguments))
                print_table("scrolling text" if moves else "standing text", figures)
            far.terminate()


def print_table(title: str, figures: dict[str, list[dict[str, float]]]) -> None:
    """One table for one content of the screen."""
    alone = [figure["cores"] for figure in figures["capture"]]
    print(f"\n{title}\n| case | cores | beside capture | per round | pictures/s | kbit/s |")
    print("|---|---|---|---|---|---|")
    for name, rounds in figures.items():
        cores = [figure["cores"] for figure in rounds]
        ratios = np.divide(cores, alone)
        print(
            f"| {name} | {statistics.median(cores):.3f} | {np.median(ratios):.2f} "
            f"| {', '.join(f'{ratio:.2f}' for ratio in ratios)} "
            f"| {statistics.median(figure['fps'] for figure in rounds):.1f} "
            f"| {statistics.median(figure.get('kbps', 0) for figure in rounds):.0f} |"
        )


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.rounds, arguments.seconds))


if __name__ == "__main__":
    main()
