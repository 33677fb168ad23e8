"""Why a call was as it was, in words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from ringmesh.client.report import PersonReport, QualityPeriod, ReportSample, Verdict, clock
from ringmesh.media.quality import WINDOW, MediaDirection, QualityCause, QualityLevel

_ADVICE = {
    QualityCause.LOSS: "Weak Wi-Fi and overloaded lines lose packets: a cable, a place nearer to "
    "the router, or fewer downloads at the same time help.",
    QualityCause.DELAY: "Long ways, full buffers in routers and relays far away delay: pause "
    "uploads, or use a relay nearby.",
    QualityCause.JITTER: "Shared Wi-Fi and mobile networks deliver unevenly: a cable or another "
    "network helps.",
    QualityCause.GAPS: "Sound is invented where packets are lost or late: a cable, or a place "
    "nearer to the router, helps.",
    QualityCause.FREEZES: "The picture waits for missing packets: a lower bandwidth limit or a "
    "better network helps.",
    QualityCause.BANDWIDTH: "The line carries too little: fewer uploads at the same time, a "
    "smaller picture, or an audio call help.",
    QualityCause.CPU: "The computer could not encode fast enough: a smaller picture, fewer "
    "people or fewer other programs help.",
    QualityCause.INTERRUPTION: "The network was away, or changed: sound and picture come back by "
    "themselves when there is a path again.",
}


def verdict(people: Sequence[PersonReport], seconds: float) -> Verdict:
    """The verdict on a call of `seconds`."""
    found = [(person, period) for person in people for period in person.periods]
    if not any(person.samples for person in people):
        return Verdict(level=QualityLevel.GOOD, summary="Nothing was measured.")
    if not found:
        return Verdict(level=QualityLevel.GOOD, summary="The call was good all the time.")
    person, period = max(found, key=lambda item: _weight(item[1]))
    bad = _covered(item for _, item in found if item.level is QualityLevel.BAD)
    troubled = _covered(item for _, item in found)
    parts = [f"bad for {_span(bad)}"] if bad else []
    if troubled - bad >= 1:
        parts.append(f"poor for {_span(troubled - bad)}")
    summary = f"Of {_span(seconds)}, the call was {' and '.join(parts)}."
    narrow = _narrow(person, period)
    cause = QualityCause.BANDWIDTH if narrow else period.causes[0]
    return Verdict(
        level=period.level,
        summary=summary,
        worst=_worst(person, period) + narrow + _whose(person, period, people),
        advice=_ADVICE[cause],
    )


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{clock(seconds)} min"


def _weight(period: QualityPeriod) -> tuple[bool, float]:
    return period.level is QualityLevel.BAD, period.seconds


def _covered(periods: Iterable[QualityPeriod]) -> float:
    """Seconds that lie in at least one of the periods."""
    total, reached = 0.0, 0.0
    for period in sorted(periods, key=lambda item: item.begin):
        total += max(0.0, period.end - max(period.begin, reached))
        reached = max(reached, period.end)
    return total


def _worst(person: PersonReport, period: QualityPeriod) -> str:
    incoming = period.direction is MediaDirection.RECEIVING
    which = f"what came from {person.name}" if incoming else f"what {person.name} got from us"
    reasons = [_reason(cause, person, period) for cause in period.causes[:2]]
    why = f": {', and '.join(reasons)}"
    when = f"from {clock(period.begin)} to {clock(period.end)}"
    return f"It was worst {when}, when {which} was {period.level.value}{why}."


def _reason(cause: QualityCause, person: PersonReport, period: QualityPeriod) -> str:
    incoming = period.direction is MediaDirection.RECEIVING
    samples = [
        sample for sample in person.samples if period.begin - WINDOW <= sample.at <= period.end
    ]

    def values(received: str, sent: str, since: float = 0.0) -> list[float]:
        parts = [
            sample.receiving if incoming else sample.sending
            for sample in samples
            if sample.at >= since
        ]
        found = (getattr(part, received if incoming else sent) for part in parts)
        return [value for value in found if value is not None] or [0.0]

    def peak(received: str, sent: str) -> float:
        return max(values(received, sent))

    match cause:
        case QualityCause.LOSS:
            return f"{fmean(values('loss', 'loss', period.begin)):.0%} of the packets were lost"
        case QualityCause.DELAY if incoming:
            return f"sound and picture were up to {peak('delay', ''):.1f} s late"
        case QualityCause.DELAY:
            return f"packets took up to {peak('', 'round_trip'):.1f} s there and back"
        case QualityCause.JITTER:
            return f"packets came up to {peak('jitter', 'jitter') * 1000:.0f} ms unevenly"
        case QualityCause.GAPS:
            return f"up to {peak('concealed', ''):.0%} of the sound was missing"
        case QualityCause.FREEZES:
            return f"the picture stood still for up to {peak('frozen', ''):.0%} of a moment"
        case QualityCause.BANDWIDTH:
            return f"the network carried as little as {_least(samples):.0f} kbit/s"
        case QualityCause.CPU:
            return "this computer was too slow to encode"
        case QualityCause.INTERRUPTION:
            return "nothing arrived at all"


def _least(samples: Sequence[ReportSample]) -> float:
    found = [sample.sending.available_kbps for sample in samples]
    return min((value for value in found if value is not None), default=0.0)


def _narrow(person: PersonReport, period: QualityPeriod) -> str:
    """A line that is too narrow first loses and delays; that it is narrow is known later."""
    if QualityCause.BANDWIDTH in period.causes:
        return ""
    for other in person.periods:
        near = other.begin <= period.end + WINDOW and other.end >= period.begin
        if near and QualityCause.BANDWIDTH in other.causes:
            return f" The line was overloaded: {_reason(QualityCause.BANDWIDTH, person, other)}."
    return ""


def _whose(person: PersonReport, period: QualityPeriod, people: Sequence[PersonReport]) -> str:
    """In a group, whether everybody was concerned tells whose line it was."""
    others = [other for other in people if other is not person and _was_there(other, period)]
    if not others:
        return ""
    concerned = [other for other in others if any(map(_overlaps(period), other.periods))]
    if len(concerned) == len(others):
        return " Everybody was concerned at that time, so it was probably our own connection."
    if not concerned:
        return f" Nobody else was concerned, so it was probably {person.name}'s connection."
    return ""


def _was_there(person: PersonReport, period: QualityPeriod) -> bool:
    return any(period.begin <= sample.at <= period.end for sample in person.samples)


def _overlaps(period: QualityPeriod) -> Callable[[QualityPeriod], bool]:
    return lambda other: other.begin < period.end and other.end > period.begin
