"""How a call was, as values."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ringmesh.errors import ConfigurationError
from ringmesh.media.figures import ReceivingFigures, SendingFigures
from ringmesh.media.quality import MediaDirection, QualityCause, QualityLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSample:
    """What happened with one person since the sample before.

    Attributes:
        at: seconds since the call's first connection.
        receiving_level: how good it was at that time.
        sending_level: likewise.
    """

    at: float
    receiving: ReceivingFigures
    sending: SendingFigures
    receiving_level: QualityLevel
    sending_level: QualityLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPeriod:
    """A time in which a direction was worse than good. Times are seconds, as in `ReportSample`."""

    direction: MediaDirection
    level: QualityLevel
    causes: tuple[QualityCause, ...]
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class ReportEvent:
    """Something that happened: ``connected``, ``connection lost``, ``no connection``, ``ended``."""

    at: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonReport:
    """The connection to one person.

    Attributes:
        name: as it was given to the report, else the id.
        path: ``direct`` or ``relayed`` through a TURN server, of the last sample.
        video_codec: received; None without.
        audio_codec: received; None without.
    """

    user_id: int
    name: str
    path: str | None
    video_codec: str | None
    audio_codec: str | None
    samples: tuple[ReportSample, ...]
    periods: tuple[QualityPeriod, ...]
    events: tuple[ReportEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why the call was as it was, for people.

    Attributes:
        level: of the worst period.
        summary: one sentence: how it was in all.
        worst: one or two sentences: when it was worst, and why; empty when it was good.
        advice: what helps against that; empty likewise.
    """

    level: QualityLevel
    summary: str
    worst: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """A call, measured. `P2PSession.report` makes it.

    Attributes:
        media: ``video`` or ``audio``.
        begun_at: when somebody was first connected, in seconds since the Unix epoch; None if
            nobody was.
        seconds: from then to the end, or to now.
    """

    session_id: str
    media: str
    begun_at: float | None
    seconds: float
    verdict: Verdict
    people: tuple[PersonReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON knows them, numbers rounded."""
        plain: dict[str, Any] = _rounded(asdict(self))
        return plain

    def to_json(self) -> str:
        """The report as a JSON object."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"

    def to_html(self) -> str:
        """The report as a page with charts that needs nothing from elsewhere."""
        from ringmesh.client.report_page import page

        return page(self)

    def write(self, path: Path | str) -> None:
        """Write a ``.json`` or ``.html`` file. Raises `ConfigurationError` if that cannot be."""
        path = Path(path)
        check_report_path(path)
        text = self.to_json() if path.suffix.lower() == ".json" else self.to_html()
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ConfigurationError(f"cannot write {path}: {reason}") from error


def check_report_path(path: Path) -> None:
    """Raise `ConfigurationError` unless a report can have this name and its folder is there."""
    if path.suffix.lower() not in (".json", ".html"):
        raise ConfigurationError(f"a report is a .json or .html file, not {path.name!r}")
    if not path.parent.is_dir():
        raise ConfigurationError(f"there is no folder {path.parent}")


def clock(seconds: float) -> str:
    """A time in the call, as ``m:ss``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value
