"""What a call looks like on a terminal: a live table where there is one, plain lines elsewhere.

Progress goes to standard error and results to standard output, so that `--json` can be piped.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ringmesh.cli.call_statistics import stats_lines, stats_table
from ringmesh.cli.call_summary import CallSummary, Person, PersonState
from ringmesh.media.stats import PeerStats

LEVEL_CELLS = 12
"""Width of the bar that shows how loud somebody is."""

_STYLES = {
    PersonState.CONNECTED: "green",
    PersonState.DISCONNECTED: "yellow",
    PersonState.REJECTED: "red",
    PersonState.BUSY: "red",
    PersonState.NO_ANSWER: "red",
    PersonState.FAILED: "red",
}


class Display:
    """Shows progress and results.

    Args:
        as_json: results are one JSON object per line, and progress is plain.
        stats: show statistics, too.
    """

    def __init__(self, *, as_json: bool = False, stats: bool = False) -> None:
        self._table = stats_table if stats else _table
        self._stats = stats
        self._told: PeerStats | None = None
        self._progress = Console(stderr=True, highlight=False, soft_wrap=True)
        self._results = Console(highlight=False, soft_wrap=True)
        self._as_json = as_json
        self._live: Live | None = None
        self._shown: dict[int, str] = {}

    def say(self, text: str) -> None:
        """One line of progress."""
        self._progress.print(Text(text))

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Show that something takes a moment."""
        if self._progress.is_terminal:
            with self._progress.status(Text(text)):
                yield
        else:
            self.say(text)
            yield

    @contextmanager
    def call(self, summary: CallSummary) -> Iterator[None]:
        """Show a call while it runs."""
        self._shown.clear()
        if not self._progress.is_terminal:
            yield
            return
        with Live(
            console=self._progress,
            get_renderable=lambda: self._table(summary, _now()),
            refresh_per_second=4,
            transient=True,
        ) as self._live:
            yield
        self._live = None

    def update(self, person: Person) -> None:
        """Something about a person changed; without a terminal, say how far we are."""
        if self._live is None and self._stats and person.stats is not self._told:
            self._told = person.stats
            for line in stats_lines(person):
                self.say(line)
        if self._live is None and self._shown.get(person.user_id) != person.standing:
            self._shown[person.user_id] = person.standing
            self.say(f"{person.name}: {person.standing}")

    def summary(self, summary: CallSummary) -> None:
        """How the call went."""
        facts = summary.facts(_now())
        if self._as_json:
            self._results.print(Text(json.dumps(facts)))
            return
        for person in facts["people"]:
            for line in _summary(person):
                self._results.print(Text(line))


def _now() -> float:
    # The clock of the event loop, but readable from the thread that refreshes the display.
    return time.monotonic()


def _table(summary: CallSummary, now: float) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for heading in ("Who", "State", "Time", "Receiving", "Sending", "Level"):
        table.add_column(heading)
    for person in list(summary.people.values()):
        received, sent = person.receiving, person.sending
        table.add_row(
            Text(person.name),
            Text(person.standing, style=_STYLES.get(person.state, "")),
            _clock(person.seconds(now)),
            _kbps(received.audio_kbps + received.video_kbps),
            _kbps(sent.audio_kbps + sent.video_kbps),
            _level(person),
        )
    return table


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _kbps(kbps: float) -> str:
    return f"{kbps:.0f} kbit/s"


def _level(person: Person) -> str:
    received = person.stats.audio_received if person.stats is not None else None
    level = (received.audio_level if received is not None else None) or 0.0
    cells = round(math.sqrt(level) * LEVEL_CELLS)  # loudness is felt roughly as the root
    return "▮" * cells + "▯" * (LEVEL_CELLS - cells)


def _summary(person: dict[str, object]) -> Iterator[str]:
    """One person's part of the call in words."""
    if not person["connected"]:
        yield f"{person['login']}: {person['outcome']}"
        return
    yield f"{person['login']}: talked for {person['seconds']} s ({person['outcome']})"
    if person["set_up_seconds"] is not None:
        yield f"  set-up       {person['set_up_seconds']} s from the answer to the first media"
    if person["frames_received"] is not None:
        size = f"{person['width']}x{person['height']}"
        yield f"  frames       {person['frames_received']} received at {size}, " + (
            f"{person['frames_sent']} sent"
        )
    if person["received_kbps"] is not None:
        yield f"  bitrate      {person['received_kbps']} kbit/s received, " + (
            f"{person['sent_kbps']} kbit/s sent"
        )
    codecs = [str(person[name]) for name in ("video_codec", "audio_codec") if person[name]]
    if codecs:
        yield f"  codecs       {', '.join(codecs)}"
    if person["path"] is not None:
        yield f"  path         {person['path']}"
    if person["recording"] is not None:
        yield f"  recording    {person['recording']} ({person['recorded_seconds']} s, " + (
            f"{person['recorded_frames']} frames)"
        )
    if person["recording_error"] is not None:
        yield f"  not recorded: {person['recording_error']}"
