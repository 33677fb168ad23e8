"""The statistics of a running call on a terminal: two rows for each person, one per direction."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ringmesh.cli.call_summary import CallSummary, Person
from ringmesh.media.figures import ReceivingFigures, SendingFigures
from ringmesh.media.quality import MediaDirection, Quality, QualityLevel

_STYLES = {QualityLevel.GOOD: "green", QualityLevel.POOR: "yellow", QualityLevel.BAD: "bold red"}

_HEADINGS = ("", "Quality", "kbit/s", "Lost", "Jitter", "Delay", "Picture", "Codecs", "Path")


def stats_table(summary: CallSummary, now: float) -> RenderableType:
    """Everybody's figures of the last second."""
    table = Table(box=None, pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=heading != "Quality")
    for person in list(summary.people.values()):
        if person.stats is None:
            table.add_row(Text(person.name), Text(person.state.value))
            continue
        for direction in MediaDirection:
            quality = person.quality.get(direction, Quality())
            name, level, *cells = _row(person, direction, quality)
            style = _STYLES[quality.level]
            table.add_row(Text(name), Text(level, style=style), *map(Text, cells))
    return table


def stats_lines(person: Person) -> Iterator[str]:
    """The same of one person as plain lines."""
    if person.stats is not None and person.ended_at is None:
        for direction in MediaDirection:
            cells = _row(person, direction, person.quality.get(direction, Quality()))
            named = zip(_HEADINGS[1:], cells[1:], strict=True)
            yield f"{cells[0]}: " + ", ".join(
                f"{name.lower()} {cell}" for name, cell in named if cell
            )


def _row(person: Person, direction: MediaDirection, quality: Quality) -> tuple[str, ...]:
    causes = ", ".join(cause.value for cause in quality.causes)
    level = f"{quality.level.value} ({causes})" if causes else quality.level.value
    if direction is MediaDirection.RECEIVING:
        return (f"from {person.name}", level, *_figures(person.receiving), *_received(person))
    return (f"to {person.name}", level, *_figures(person.sending), *_sent(person))


def _figures(figures: ReceivingFigures | SendingFigures) -> tuple[str, ...]:
    one_way = isinstance(figures, ReceivingFigures)
    delay = figures.delay if isinstance(figures, ReceivingFigures) else figures.round_trip
    picture = ""
    if figures.width is not None and figures.height is not None:
        rate = figures.frames_per_second or 0.0
        picture = f"{figures.width}x{figures.height} {rate:.0f}/s"
    return (
        f"{figures.audio_kbps + figures.video_kbps:.0f}",
        "" if figures.loss is None else f"{figures.loss:.1%}",
        _milliseconds(figures.jitter),
        _milliseconds(delay) + ("" if one_way or delay is None else " there and back"),
        picture,
    )


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.0f} ms"


def _received(person: Person) -> tuple[str, str]:
    stats = person.stats
    parts = (stats.video_received, stats.audio_received) if stats is not None else ()
    path = stats.path if stats is not None else None
    where = "" if path is None else "relayed" if path.relayed else "direct"
    return _codecs(part.codec for part in parts if part is not None), where


def _sent(person: Person) -> tuple[str, str]:
    stats = person.stats
    parts = (stats.video_sent, stats.audio_sent) if stats is not None else ()
    room = person.sending.available_kbps
    available = "" if room is None else f"{room:.0f} kbit/s available"
    return _codecs(part.codec for part in parts if part is not None), available


def _codecs(names: Iterator[str | None]) -> str:
    return "+".join(name for name in names if name)
