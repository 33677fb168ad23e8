"""Lives 100,000 random call lives and checks each: ``python -m benchmarks.chaos [LIVES]``.

What a life is, and what must hold in it, is in `tests.calls.chaos`. A failing one is named by its
seed: ``pytest tests/calls/test_lives.py -k ChaosLife --life-seed=SEED`` replays it.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.calls.chaos import ChaosLife

BATCH = 500
MOST_SHOWN = 10


@dataclass
class Tally:
    """What a number of lives came to."""

    lives: int = 0
    calls: int = 0
    devices: int = 0
    signals: int = 0
    restarts: int = 0
    simulated_seconds: float = 0.0
    failures: dict[int, str] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Count these too."""
        for name in ("lives", "calls", "devices", "signals", "restarts", "simulated_seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures |= other.failures


def live(first: int) -> Tally:
    """A batch of lives."""
    tally = Tally()
    for seed in range(first, first + BATCH):
        life = ChaosLife(seed)
        begun = life.world.now
        try:
            life.live()
        except Exception as error:
            tally.failures[seed] = str(error) or repr(error)
        kinds = Counter(line.split()[1] for line in life.world.wire)
        tally.lives += 1
        tally.calls += life.dialled
        tally.devices += life.started_with
        tally.signals += len(life.world.wire)
        tally.restarts += kinds["iceRestart"]
        tally.simulated_seconds += life.world.now - begun
    return tally


def main() -> int:
    """Run and print; the exit status is 1 if a life failed."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    begun = time.monotonic()
    total = Tally()
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for tally in pool.imap_unordered(live, range(0, wanted, BATCH)):
            total.add(tally)
            if total.lives % 10_000 == 0:
                print(f"{total.lives} lives, {len(total.failures)} failed", file=sys.stderr)
    print(
        f"{total.lives} lives, {total.devices} devices, {total.calls} calls, "
        f"{total.signals} signals, {total.restarts} ICE restarts, "
        f"{total.simulated_seconds / 86400:.0f} days simulated in "
        f"{time.monotonic() - begun:.0f} s: {len(total.failures)} failed"
    )
    for seed, reason in sorted(total.failures.items())[:MOST_SHOWN]:
        print(f"  seed {seed}: {reason}")
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
