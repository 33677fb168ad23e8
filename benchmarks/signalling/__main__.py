"""Signalling: this server, complete, beside ejabberd, interleaved in one run.

Needs gcc and, for the comparison, Debian's packages ``ejabberd`` and ``erlang``. README.md beside
this file says what is measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from rich.console import Console
from rich.table import Table

from benchmarks.signalling.servers import (
    DOMAIN,
    Target,
    ejabberd,
    ejabberd_is_installed,
    ringmesh,
)

Figures: TypeAlias = dict[str, Any]

PAIRS = 200
RATE = 2000
NOISE = 30.0
"""Percent of one processor that others may use during a run before it is repeated."""
MOST_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        run: ``idle``, ``rate`` or ``saturated``.
        aim: what the ratio must be at most (or at least, if `more_is_better`), or None.
        limit: what our own figure must be at most.
    """

    title: str
    run: str
    figure: str
    aim: float | None = None
    more_is_better: bool = False
    limit: float | None = None

    def judge(self, ours: float, ratio: float | None) -> str:
        """What was asked for, and whether it is so."""
        if self.limit is not None:
            return f"≤ {self.limit:g} {_tick(ours <= self.limit)}"
        if self.aim is None or ratio is None:
            return ""
        if self.more_is_better:
            return f"≥ {self.aim:g}x {_tick(ratio >= self.aim)}"
        return f"≤ {self.aim:g}x {_tick(ratio <= self.aim)}"


ROWS = (
    Row(f"CPU per stanza at {RATE}/s, µs", "rate", "cpu_us_per_stanza", aim=0.2),
    Row(f"latency p50 at {RATE}/s, ms", "rate", "p50_ms"),
    Row(f"latency p99 at {RATE}/s, ms", "rate", "p99_ms", aim=1),
    Row("CPU per stanza saturated, µs", "saturated", "cpu_us_per_stanza"),
    Row("stanzas per second saturated", "saturated", "stanzas_per_s", aim=4, more_is_better=True),
    Row("memory per idle client, KB", "idle", "rss_kb_per_client", limit=20),
    Row("CPU per login, ms", "idle", "cpu_ms_per_login"),
    Row("logins per second", "idle", "logins_per_s", more_is_better=True),
)


def main() -> int:
    """Run everything, print the table; 1 if a stanza was lost or an aim was missed."""
    options = _options()
    console = Console()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="signalling-")))
        xload = build(folder)
        users = max(options.idle, 2 * PAIRS)
        targets = [stack.enter_context(ringmesh(folder / "ringmesh", users))]
        if ejabberd_is_installed():
            targets.append(stack.enter_context(ejabberd(folder / "ejabberd", users)))
        else:
            console.print("ejabberd is not installed: no comparison")
        results = {target.name: _idle(xload, target, options.idle) for target in targets}
        for number in range(options.rounds):
            console.print(f"round {number + 1} of {options.rounds}")
            for run, flags in _runs(options.seconds).items():
                for target in targets:
                    figures = _quiet_run(xload, target, flags)
                    results[target.name].setdefault(run, []).append(figures)
    medians = {name: _medians(runs) for name, runs in results.items()}
    missed = _print_table(console, medians)
    faults = _faults(results["ringmesh"])
    for fault in faults:
        console.print(f"[red]{fault}[/red]")
    if options.save:
        options.save.write_text(json.dumps(results, indent=1))
    return 1 if faults or missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Signalling beside ejabberd.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--idle", type=int, default=5000, help="idle clients")
    parser.add_argument("--save", type=Path, help="write all figures to this file")
    return parser.parse_args()


def build(folder: Path) -> Path:
    """Compile xload."""
    xload = folder / "xload"
    source = Path(__file__).with_name("xload.c")
    subprocess.run(["gcc", "-O3", "-march=native", "-o", xload, source, "-lm"], check=True)
    return xload


def _runs(seconds: float) -> dict[str, tuple[str, ...]]:
    pairs = ("--mode", "pair", "--pairs", str(PAIRS), "--duration", str(seconds))
    return {"rate": (*pairs, "--rate", str(RATE)), "saturated": (*pairs, "--window", "16")}


def _idle(xload: Path, target: Target, clients: int) -> dict[str, list[Figures]]:
    """First of all, while the servers are fresh: what comes later leaves free memory behind."""
    return {"idle": [_run(xload, target, ("--mode", "idle", "--clients", str(clients)))]}


def _quiet_run(xload: Path, target: Target, flags: tuple[str, ...]) -> Figures:
    """A run that others disturbed little and in which all got in; the quietest if there is none."""
    runs: list[Figures] = []
    while len(runs) <= MOST_REPEATS:
        runs.append(_run(xload, target, flags))
        if not runs[-1]["failed"] and runs[-1]["other_cpu_pct"] <= NOISE:
            break
    return min(runs, key=lambda run: (run["failed"], run["other_cpu_pct"]))


def _run(xload: Path, target: Target, flags: tuple[str, ...]) -> Figures:
    command = (str(xload), *target.options, "--user", "%d-1", "--domain", DOMAIN)
    process = subprocess.run(
        (*command, "--pid", str(target.pid), *flags), capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise RuntimeError(f"xload: {process.stderr}")
    figures: Figures = json.loads(process.stdout)
    return figures


def _medians(runs: dict[str, list[Figures]]) -> dict[tuple[str, str], float]:
    return {
        (run, figure): statistics.median(figures[figure] for figures in all_figures)
        for run, all_figures in runs.items()
        for figure, value in all_figures[0].items()
        if isinstance(value, int | float)
    }


def _print_table(console: Console, medians: dict[str, dict[tuple[str, str], float]]) -> bool:
    ours, theirs = medians["ringmesh"], medians.get("ejabberd")
    table = Table("", "ringmesh", "ejabberd", "ratio", "aim")
    missed = False
    for row in ROWS:
        own = ours[row.run, row.figure]
        other = theirs[row.run, row.figure] if theirs else None
        ratio = own / other if other else None
        verdict = row.judge(own, ratio)
        missed |= "✗" in verdict
        table.add_row(row.title, _text(own), _text(other), _text(ratio), verdict)
    console.print(table)
    console.print(
        "Clients log in with session tokens at ringmesh, with plainly kept passwords at ejabberd."
    )
    return missed


def _faults(runs: dict[str, list[Figures]]) -> list[str]:
    """What must not happen to our clients and stanzas at all."""
    names = ("failed", "closed", "lost", "wrong_from", "error_stanzas")
    return [
        f"{run}: {figures[name]} {name.replace('_', ' ')} {figures['problem']}"
        for run, all_figures in runs.items()
        for figures in all_figures
        for name in names
        if figures.get(name)
    ]


def _text(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def _tick(good: bool) -> str:
    return "✓" if good else "✗"


if __name__ == "__main__":
    sys.exit(main())
