"""Python pairs beside Chromium pairs on bad and changing networks, through our server and relay.

Sound is a tone of each person's own, pictures carry a code: only what is recognised counts. Times
are those of the side that waits longer. What befalls the network does so at times spread evenly
over libwebrtc's interval of looking at it, the same for both pairs: give --repeat for figures that
mean something. Needs root and what `scripts/setup.sh network` installs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
from contextlib import suppress

from rich.console import Console
from rich.table import Table

from benchmarks.network.trials import POLL, TRIALS, Facts, People, Trial
from tests.netlab.world import World, world

PAIRS = ("Python", "Chromium")


async def people(here: World, pair: str) -> People:
    """One on each side."""
    if pair == "Python":
        return await here.python("a"), await here.python("b")
    return await here.browser("a"), await here.browser("b")


def phases(name: str, count: int) -> list[float]:
    """Seconds of `POLL`: one at random in each of so many equal parts of it, in random order."""
    chance = random.Random(name)
    found = [POLL * (part + chance.random()) / count for part in range(count)]
    chance.shuffle(found)
    return found


async def measure(trial: Trial, pair: str, phase: float) -> Facts:
    """One trial in a laboratory of its own."""
    async with world(trial.scenario) as here:
        both = await people(here, pair)
        try:
            return await trial.run(here, both, phase)
        except TimeoutError:
            return {"sound and picture after": "never"}


def show(found: dict[str, dict[str, list[Facts]]]) -> None:
    """Medians, and from the least to the most, where there are several."""
    table = Table(title="Bad and changing networks")
    for heading in ("", "measured", *(f"{pair} <-> {pair}" for pair in PAIRS)):
        table.add_column(heading, justify="right" if "<->" in heading else "left")
    for name, pairs in found.items():
        facts = [fact for runs in pairs.values() for run in runs for fact in run]
        for number, fact in enumerate(dict.fromkeys(facts)):
            cells = [_median([run.get(fact) for run in pairs.get(pair, [])]) for pair in PAIRS]
            table.add_row(name if number == 0 else "", fact, *cells)
    Console().print(table)


def _median(values: list[float | str | None]) -> str:
    numbers = [value for value in values if isinstance(value, int | float)]
    words = [str(value) for value in values if isinstance(value, str)]
    if numbers and len(numbers) >= len(words):
        text = f"{statistics.median(numbers):.4g}"
        if len(numbers) > 1:
            text += f" ({min(numbers):g} to {max(numbers):g})"
        return ", ".join([text, *words])
    return words[0] if words else "-"


async def main(arguments: argparse.Namespace) -> None:
    """Alternate the pairs, so that both meet the same noise."""
    found: dict[str, dict[str, list[Facts]]] = {}
    for trial in TRIALS:
        if arguments.trials and not any(part in trial.name for part in arguments.trials):
            continue
        for phase in phases(trial.name, arguments.repeat):
            for pair in arguments.pairs:
                facts = await measure(trial, pair, phase)
                found.setdefault(trial.name, {}).setdefault(pair, []).append(facts)
                print(json.dumps({"trial": trial.name, "pair": pair, **facts}), flush=True)
    show(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.network", description=__doc__)
    parser.add_argument("trials", nargs="*", help="parts of names, for instance cut (default: all)")
    parser.add_argument("--repeat", type=int, default=1, help="how often each (default 1)")
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=PAIRS)
    with suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args()))
