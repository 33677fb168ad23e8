"""Statistics of real calls in trouble, recorded by `tests.netlab.record_series`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ringmesh.client.report import CallReport
from ringmesh.client.report_builder import ENDED, CallReportBuilder
from ringmesh.media.quality import MediaDirection, Quality, QualityJudge
from ringmesh.media.stats import PathStats, PeerStats, ReceivedStats, SentStats
from ringmesh.signals import CallType

FOLDER = Path(__file__).with_name("series")
PARTS = {
    "audio_sent": SentStats,
    "video_sent": SentStats,
    "audio_received": ReceivedStats,
    "video_received": ReceivedStats,
    "path": PathStats,
}


def series(name: str) -> list[PeerStats]:
    """The snapshots of one recording, one each second."""
    with (FOLDER / f"{name}.csv").open(newline="") as lines:
        return [_snapshot(row) for row in csv.DictReader(lines)]


def write_series(path: Path, snapshots: list[dict[str, Any]]) -> None:
    """Write snapshots, as `dataclasses.asdict` gives them, so that `series` reads them."""
    rows = [dict(_flat(snapshot)) for snapshot in snapshots]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def judged(snapshots: list[PeerStats]) -> list[tuple[float, MediaDirection, Quality]]:
    """What changed in a series, with the seconds since its beginning."""
    judge = QualityJudge()
    return [
        (stats.timestamp - snapshots[0].timestamp, direction, quality)
        for stats in snapshots
        for direction, quality in judge.judge(stats)
    ]


def report(**people: list[PeerStats]) -> CallReport:
    """The report of a call with these people, ids from 1 on."""
    builder = CallReportBuilder(CallType.VIDEO_CALL)
    end = 0.0
    for user_id, snapshots in enumerate(people.values(), 1):
        judge = QualityJudge()
        builder.add_event(user_id, "connected", snapshots[0].timestamp)
        for stats in snapshots:
            builder.add_stats(user_id, stats)
            for direction, quality in judge.judge(stats):
                builder.add_quality(user_id, direction, quality)
        end = max(end, snapshots[-1].timestamp)
        builder.add_event(user_id, ENDED, snapshots[-1].timestamp)
    return builder.build("a-call", end, dict(enumerate(people, 1)))


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{prefix}{name}.")
        elif inner is not None:
            yield prefix + name, round(inner, 4) if isinstance(inner, float) else inner


def _snapshot(row: dict[str, str]) -> PeerStats:
    parts: dict[str, dict[str, Any]] = {}
    for name, text in row.items():
        part, _, field = name.partition(".")
        if field and text:
            parts.setdefault(part, {})[field] = _value(text)
    made = {part: PARTS[part](**fields) for part, fields in parts.items()}
    return PeerStats(timestamp=float(row["timestamp"]), **made)  # type: ignore[arg-type]


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
