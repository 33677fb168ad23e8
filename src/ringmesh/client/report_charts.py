"""Charts over the time of a call, as SVG without scripts. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ringmesh.client.report import clock

WIDTH, HEIGHT = 760, 150
"""Of a chart, in units of its view box."""

LEFT, RIGHT, TOP, BOTTOM = 44, 12, 8, 22
STRIP_HEIGHT = 22
MAX_SLOTS = 120
"""Places in a chart that show figures when they are pointed at."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart.

    Attributes:
        style: ``in``, ``out`` or ``third``: its class in the style sheet.
        points: (seconds, value); None leaves a gap.
        scales: whether the chart must be high enough for it; it is cut off otherwise.
    """

    label: str
    style: str
    points: Sequence[tuple[float, float | None]]
    scales: bool = True


@dataclass(frozen=True, slots=True)
class Band:
    """A time that is marked. `level` is its class in the style sheet."""

    begin: float
    end: float
    level: str
    label: str


def chart(
    title: str, unit: str, lines: Sequence[Line], bands: Sequence[Band], seconds: float
) -> str:
    """A chart of lines over `seconds`, with its heading and legend; empty without values."""
    values = [
        value for line in lines if line.scales for _, value in line.points if value is not None
    ]
    if not values:
        return ""
    drawn = [line for line in lines if any(value is not None for _, value in line.points)]
    top = _nice(max(1.0, *values))
    legend = "".join(
        f'<span class="key {line.style}">{escape(line.label)}</span>' for line in drawn
    )
    heading = f"{title}, {unit}" if unit else title
    parts = [_grid(top, seconds), _shades(bands, seconds)]
    parts += [_path(line, top, seconds) for line in drawn]
    parts.append(_slots(drawn, unit, seconds))
    return (
        f'<figure><figcaption>{escape(heading)}<span class="keys">{legend}</span></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(heading)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def strip(label: str, bands: Sequence[Band], seconds: float) -> str:
    """A strip that is green but for the bands."""
    segments = "".join(
        f'<rect class="{band.level}" x="{_x(band.begin, seconds):.1f}" y="2" rx="2" '
        f'width="{max(3.0, _x(band.end, seconds) - _x(band.begin, seconds)):.1f}" '
        f'height="{STRIP_HEIGHT - 4}"><title>{escape(band.label)}</title></rect>'
        for band in bands
    )
    return (
        f'<div class="strip"><span>{escape(label)}</span>'
        f'<svg viewBox="0 0 {WIDTH} {STRIP_HEIGHT}" role="img" aria-label="{escape(label)}: '
        f'{escape("; ".join(band.label for band in bands) or "good")}">'
        f'<rect class="good" x="{LEFT}" y="2" rx="2" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{STRIP_HEIGHT - 4}"><title>good</title></rect>{segments}</svg></div>'
    )


def number(value: float | None) -> str:
    """A figure with as many digits as it deserves."""
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _x(at: float, seconds: float) -> float:
    share = min(1.0, max(0.0, at / seconds)) if seconds > 0 else 0.0
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - min(1.0, max(0.0, value / top)) * (HEIGHT - TOP - BOTTOM)


def _nice(value: float) -> float:
    """The next number that reads well."""
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 10) if step * power >= value * 0.999)


def _grid(top: float, seconds: float) -> str:
    parts = []
    for share in (0, 0.5, 1):
        y = _y(share * top, top)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{number(share * top)}</text>'
        )
    step = max(1.0, _nice(seconds / 6))
    if step >= 10:  # times read well in sixths of a minute, minutes and fives of them
        step = next((size for size in (10, 15, 30, 60, 120, 300, 600) if size >= seconds / 7), step)
    for index in range(int(seconds / step) + 1):
        x = _x(index * step, seconds)
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{clock(index * step)}</text>'
        )
    return "".join(parts)


def _shades(bands: Sequence[Band], seconds: float) -> str:
    return "".join(
        f'<rect class="shade {band.level}" x="{_x(band.begin, seconds):.1f}" y="{TOP}" '
        f'width="{max(1.0, _x(band.end, seconds) - _x(band.begin, seconds)):.1f}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/>'
        for band in bands
    )


def _path(line: Line, top: float, seconds: float) -> str:
    commands, pen = [], "M"
    for at, value in line.points:
        if value is None:
            pen = "M"
            continue
        commands.append(f"{pen}{_x(at, seconds):.1f} {_y(value, top):.1f}")
        pen = "L"
    return f'<path class="{line.style}" d="{"".join(commands)}"/>'


def _slots(lines: Sequence[Line], unit: str, seconds: float) -> str:
    """Invisible columns that show their figures when they are pointed at."""
    count = len(lines[0].points)
    step = max(1, math.ceil(count / MAX_SLOTS))
    width = (WIDTH - LEFT - RIGHT) * step / max(1, count)
    parts = []
    for index in range(0, count, step):
        at = lines[0].points[index][0]
        figures = ", ".join(
            f"{line.label} {number(line.points[index][1])} {unit}" for line in lines
        )
        parts.append(
            f'<rect class="slot" x="{_x(at, seconds) - width / 2:.1f}" y="{TOP}" '
            f'width="{width:.1f}" height="{HEIGHT - TOP - BOTTOM}">'
            f"<title>{clock(at)}: {escape(figures)}</title></rect>"
        )
    return "".join(parts)
