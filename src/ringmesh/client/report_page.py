"""A call's report as one page that needs nothing from elsewhere and runs no script. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape

from ringmesh.client.report import CallReport, PersonReport, QualityPeriod, ReportSample, clock
from ringmesh.client.report_charts import Band, Line, chart, number, strip
from ringmesh.media.quality import MediaDirection, QualityLevel

MAX_ROWS = 120
"""Of the table of figures."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark;
  --page: light-dark(#f5f5f2, #151514); --card: light-dark(#fff, #1f1f1d);
  --ink: light-dark(#161614, #f4f4f0); --soft: light-dark(#5b5a55, #b3b2ab);
  --line: light-dark(#dddcd6, #393835); --in: light-dark(#1f6fd1, #5a9df0);
  --out: light-dark(#c2571a, #ee8a4f); --third: light-dark(#6d6b64, #a3a199);
  --good: light-dark(#2c9a54, #37a862); --poor: light-dark(#e0a500, #d9a520);
  --bad: light-dark(#cc3232, #e0524d); }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 58rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.15rem; margin: 0 0 .2rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); font-size: .9rem; }
header, section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1rem 1.2rem; margin-top: 1rem; }
.verdict { border-left: 6px solid var(--good); } .verdict.poor { border-left-color: var(--poor); }
.verdict.bad { border-left-color: var(--bad); } .verdict strong { font-size: 1.1rem; }
figure { margin: 1rem 0 0; } figcaption { display: flex; flex-wrap: wrap; gap: .2rem 1rem;
  justify-content: space-between; font-weight: 600; font-size: .9rem; }
.keys { display: flex; flex-wrap: wrap; gap: .9rem; font-weight: 400; color: var(--soft); }
.key::before { content: ""; display: inline-block; width: 1.1rem; margin-right: .35rem;
  vertical-align: .25em; border-top: 2.5px solid var(--in); }
.key.out::before { border-color: var(--out); }
.key.third::before { border-color: var(--third); border-top-style: dashed; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 11px; }
.grid { stroke: var(--line); } path { fill: none; stroke: var(--in); stroke-width: 1.8;
  stroke-linejoin: round; } path.out { stroke: var(--out); }
path.third { stroke: var(--third); stroke-dasharray: 5 3; }
.slot { fill: transparent; } .slot:hover { fill: var(--ink); fill-opacity: .08; }
rect.good { fill: var(--good); } rect.poor { fill: var(--poor); } rect.bad { fill: var(--bad); }
rect.shade { fill-opacity: .14; }
.strip { font-size: .9rem; margin-top: .35rem; }
ul { margin: .5rem 0 0; padding-left: 1.2rem; }
li::marker { content: "\\25CF  ";
  color: var(--soft); }
li.poor::marker { color: var(--poor); } li.bad::marker { color: var(--bad); }
details { margin-top: 1rem; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
@media print { body { background: none; } }
"""


def page(report: CallReport) -> str:
    """The report as a page."""
    kind = "Video call" if report.media == "video" else "Audio call"
    begun = report.begun_at
    when = "" if begun is None else f"{datetime.fromtimestamp(begun, UTC):%Y-%m-%d %H:%M} UTC, "
    names = ", ".join(person.name for person in report.people)
    title = f"{kind} with {names}" if names else kind
    people = "".join(_person(person, report.seconds) for person in report.people)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>"
        f"<h1>{escape(title)}</h1>"
        f'<p class="soft">{when}{clock(report.seconds)} min, call '
        f"{escape(report.session_id)}</p>{_verdict(report)}{people}</body></html>\n"
    )


def _verdict(report: CallReport) -> str:
    verdict = report.verdict
    more = "".join(f"<p>{escape(text)}</p>" for text in (verdict.worst, verdict.advice) if text)
    return (
        f'<header class="verdict {verdict.level.value}"><strong>{escape(verdict.summary)}'
        f"</strong>{more}</header>\n"
    )


def _person(person: PersonReport, seconds: float) -> str:
    facts = [person.path, person.video_codec, person.audio_codec]
    known = ", ".join(escape(fact) for fact in facts if fact)
    parts = [f'<h2>{escape(person.name)}</h2><p class="soft">{known}</p>']
    for direction, label in _DIRECTIONS.items():
        bands = [_band(item) for item in person.periods if item.direction is direction]
        parts.append(strip(f"{label} {person.name}", bands, seconds))
    parts.append(_happenings(person))
    if person.samples:
        parts.append(_charts(person, seconds))
        parts.append(_table(person.samples))
    return f"<section>{''.join(parts)}</section>\n"


_DIRECTIONS = {MediaDirection.RECEIVING: "from", MediaDirection.SENDING: "to"}


def _happenings(person: PersonReport) -> str:
    """What happened, in the order of time."""
    items = [(event.at, "", event.what) for event in person.events]
    for period in person.periods:
        text = f"{_DIRECTIONS[period.direction]} {person.name} {_describe(period)}"
        items.append((period.begin, period.level.value, text))
    rows = "".join(
        f'<li class="{level}">{clock(at)} {escape(text)}</li>' for at, level, text in sorted(items)
    )
    return f"<ul>{rows}</ul>" if rows else ""


def _describe(period: QualityPeriod) -> str:
    causes = ", ".join(cause.value for cause in period.causes)
    return f"{period.level.value} until {clock(period.end)}{': ' + causes if causes else ''}"


def _band(period: QualityPeriod) -> Band:
    label = f"{clock(period.begin)} {_describe(period)}"
    return Band(period.begin, period.end, period.level.value, label)


def _charts(person: PersonReport, seconds: float) -> str:
    bands = [
        Band(item.begin, item.end, item.level.value, "")
        for item in person.periods
        if item.level is not QualityLevel.GOOD
    ]

    def line(
        label: str,
        style: str,
        value: Callable[[ReportSample], float | None],
        *,
        scales: bool = True,
    ) -> Line:
        points = [(sample.at, _finite(value(sample))) for sample in person.samples]
        return Line(label, style, points, scales)

    def draw(title: str, unit: str, *lines: Line) -> str:
        return chart(title, unit, lines, bands, seconds)

    return "".join(
        (
            draw(
                "Bitrate",
                "kbit/s",
                line("received", "in", lambda s: s.receiving.video_kbps + s.receiving.audio_kbps),
                line("sent", "out", lambda s: s.sending.video_kbps + s.sending.audio_kbps),
                line("available", "third", lambda s: s.sending.available_kbps, scales=False),
            ),
            draw(
                "Lost packets",
                "%",
                line("received", "in", lambda s: _times(s.receiving.loss, 100)),
                line("sent", "out", lambda s: _times(s.sending.loss, 100)),
                line("invented sound", "third", lambda s: _times(s.receiving.concealed, 100)),
            ),
            draw(
                "Delay",
                "ms",
                line("received, to our ear", "in", lambda s: _times(s.receiving.delay, 1000)),
                line("there and back", "out", lambda s: _times(s.sending.round_trip, 1000)),
                line("jitter", "third", lambda s: _times(s.receiving.jitter, 1000)),
            ),
            draw(
                "Pictures per second",
                "",
                line("received", "in", lambda s: s.receiving.frames_per_second),
                line("sent", "out", lambda s: s.sending.frames_per_second),
            ),
            draw(
                "Height of the picture",
                "px",
                line("received", "in", lambda s: s.receiving.height),
                line("sent", "out", lambda s: s.sending.height),
            ),
        )
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


_COLUMNS: dict[str, Callable[[ReportSample], float | None]] = {
    "received kbit/s": lambda s: s.receiving.video_kbps + s.receiving.audio_kbps,
    "lost %": lambda s: _times(s.receiving.loss, 100),
    "delay ms": lambda s: _times(s.receiving.delay, 1000),
    "pictures/s": lambda s: s.receiving.frames_per_second,
    "sent kbit/s": lambda s: s.sending.video_kbps + s.sending.audio_kbps,
    "lost there %": lambda s: _times(s.sending.loss, 100),
    "round trip ms": lambda s: _times(s.sending.round_trip, 1000),
}


def _table(samples: Sequence[ReportSample]) -> str:
    step = max(1, math.ceil(len(samples) / MAX_ROWS))
    head = "".join(f"<th>{name}</th>" for name in ("time", *_COLUMNS))
    rows = "".join(
        f"<tr><td>{clock(sample.at)}</td>"
        + "".join(f"<td>{number(_finite(value(sample)))}</td>" for value in _COLUMNS.values())
        + "</tr>"
        for sample in samples[::step]
    )
    return (
        f'<details><summary>Figures</summary><div class="scroll"><table><tr>{head}</tr>{rows}'
        "</table></div></details>"
    )
