"""Records the statistics of calls in trouble, for `tests/client/test_quality.py`.

Run ``python -m tests.netlab.record_series tests/client/series`` as root: a file per trouble, a row
for each second, of the person whose cable is impaired.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.client.series import write_series
from tests.netlab.world import connect_call, world

TROUBLES: dict[str, dict[str, Any]] = {
    "good": {},
    "lossy": {"loss": 0.15},
    "narrow": {"rate": 250_000},
    "late": {"delay": 0.35, "jitter": 0.02},
    "cut": {"loss": 1.0},
}
BEFORE, DURING, AFTER = 10, 20, 30
"""Seconds."""


async def record(name: str, folder: Path) -> None:
    """One call."""
    async with world("cone") as here:
        people = [await here.python(host, stats_reports_interval=1000) for host in "ab"]
        await connect_call(people[0], people[1])
        await asyncio.sleep(BEFORE)
        if TROUBLES[name]:
            await asyncio.to_thread(here.lab.impair, "a", **TROUBLES[name])
        await asyncio.sleep(DURING)
        if TROUBLES[name]:
            await asyncio.to_thread(here.lab.clear, "a")
        await asyncio.sleep(AFTER)
        found = await people[0].statistics()
    write_series(folder / f"{name}.csv", found["series"])
    print(name, json.dumps(found["report"]["verdict"], indent=1))
    for person in found["report"]["people"]:
        for period in person["periods"]:
            print(period)


async def main(folder: Path, names: list[str]) -> None:
    """Record all, or those that are named."""
    for name in names or TROUBLES:
        await record(name, folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
