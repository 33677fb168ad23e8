"""The report of a call: pure, made of recorded series."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ringmesh import CallType, ConfigurationError, MediaDirection, QualityCause, QualityLevel
from ringmesh.client.report import CallReport
from ringmesh.client.report_builder import MAX_EVENTS, CallReportBuilder
from ringmesh.client.report_series import MAX_SAMPLES
from ringmesh.media.quality import Quality
from ringmesh.media.stats import PeerStats
from tests.client.series import report, series


def test_a_good_call() -> None:
    """Nothing is found fault with."""
    verdict = report(bob=series("good")).verdict
    assert verdict.level is QualityLevel.GOOD
    assert (verdict.summary, verdict.worst) == ("The call was good all the time.", "")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lossy", "packets were lost"),
        ("narrow", "The line was overloaded: the network carried as little as"),
        ("late", "sound and picture were up to 1.0 s late"),
        ("cut", "nothing arrived at all"),
    ],
)
def test_why_it_was_bad(name: str, words: str) -> None:
    """The verdict names the worst time and its cause, and says what helps."""
    made = report(bob=series(name))
    verdict = made.verdict
    assert verdict.level is QualityLevel.BAD
    assert re.match(r"Of \d+ s, the call was bad for \d+ s", verdict.summary)
    assert words in verdict.worst
    assert "bob" in verdict.worst
    assert verdict.advice
    times = re.search(r"from (\d):(\d\d) to (\d):(\d\d)", verdict.worst)
    assert times
    begin, end = (int(times[i]) * 60 + int(times[i + 1]) for i in (1, 3))
    assert 7 <= begin < end <= 40  # the trouble began at about 10 s


def test_whose_line_it_was() -> None:
    """In a group, trouble of one is theirs; trouble of all at once is ours."""
    lossy, good = series("lossy"), moved(series("good"), series("lossy"))
    assert "Nobody else was concerned" in report(bob=lossy, carol=good).verdict.worst
    assert "our own connection" in report(bob=lossy, carol=lossy).verdict.worst


def moved(snapshots: list[PeerStats], to: list[PeerStats]) -> list[PeerStats]:
    """The same at another time."""
    by = to[0].timestamp - snapshots[0].timestamp
    return [replace(stats, timestamp=stats.timestamp + by) for stats in snapshots]


def test_an_empty_call() -> None:
    """A call that nobody answered has a report too."""
    made = CallReportBuilder(CallType.AUDIO_CALL).build("id", 1000.0, {})
    assert made.verdict.summary == "Nothing was measured."
    assert (made.seconds, made.begun_at, made.people) == (0.0, None, ())
    assert "Nothing was measured." in made.to_html()


def test_a_single_look() -> None:
    """One snapshot alone gives no sample, and no error."""
    made = report(bob=series("good")[:1])
    assert made.people[0].samples == ()
    assert "<svg" in made.to_html()


def test_json_is_complete() -> None:
    """The JSON has the verdict, the periods and a sample for each second, in plain values."""
    snapshots = series("lossy")
    found = json.loads(report(bob=snapshots).to_json())
    [person] = found["people"]
    assert (found["media"], person["name"], person["path"]) == ("video", "bob", "direct")
    assert (person["video_codec"], person["audio_codec"]) == ("VP8", "opus")
    assert len(person["samples"]) == len(snapshots) - 1
    assert person["periods"][0]["causes"][0] == "loss"
    assert {"at", "receiving", "sending", "receiving_level", "sending_level"} == set(
        person["samples"][0]
    )
    assert 0 < max(sample["receiving"]["loss"] or 0 for sample in person["samples"]) < 0.5


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else() -> None:
    """No script, no address, nothing to be fetched; charts, verdict and figures are in it."""
    made = report(bob=series("narrow"))
    text = made.to_html()
    page = Page(text)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "image", "use"}
    names = {name for name, _ in page.attributes}
    assert not names & {"src", "href"}
    assert not [name for name in names if name.startswith("on")]
    assert "://" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert made.verdict.worst in page.text
    for heading in ("Bitrate, kbit/s", "Lost packets, %", "Delay, ms", "Pictures per second"):
        assert heading in page.text


def test_names_are_text() -> None:
    """Names and ids cannot bring markup into the page."""
    evil = '<script>alert(1)</script>"><b onmouseover=x>'
    made = replace(report(**{evil: series("lossy")}), session_id=evil)
    page = Page(made.to_html())
    assert not page.tags & {"script", "b"}
    assert evil in page.text


def long_call(hours: float) -> CallReport:
    """A call whose quality changes without end."""
    builder = CallReportBuilder(CallType.VIDEO_CALL)
    first = series("good")[5]
    for second in range(int(hours * 3600)):
        now = first.timestamp + second
        builder.add_stats(1, replace(first, timestamp=now))
        builder.add_event(1, "connected", now)
        level = QualityLevel.BAD if second % 2 else QualityLevel.GOOD
        causes = (QualityCause.LOSS,) if second % 2 else ()
        builder.add_quality(1, MediaDirection.SENDING, Quality(level, causes, now))
    return builder.build("id", first.timestamp + hours * 3600, {})


def test_long_calls_stay_small() -> None:
    """However long a call is, its report is bounded, and covers all of it."""
    made = long_call(5)
    [person] = made.people
    assert len(person.samples) <= MAX_SAMPLES
    assert len(person.events) <= MAX_EVENTS
    assert len(person.periods) <= MAX_EVENTS
    assert person.samples[-1].at == pytest.approx(5 * 3600, abs=2)
    assert len(made.to_html()) < 1_000_000


def test_figures_that_are_no_numbers() -> None:
    """Infinite figures and none at all are left out, in words, charts and JSON."""
    odd = [
        replace(stats, path=replace(stats.path, round_trip_time=wrong))
        for stats, wrong in zip(series("late"), [math.inf, math.nan, 1e300] * 30, strict=False)
        if stats.path is not None
    ]
    made = report(bob=odd)
    assert "<svg" in made.to_html()
    assert "Infinity" not in made.to_json()
    assert "NaN" not in made.to_json()


def test_writing(tmp_path: Path) -> None:
    """The suffix says what is written; what cannot be written is an error that says why."""
    made = report(bob=series("good"))
    made.write(tmp_path / "call.json")
    made.write(str(tmp_path / "call.HTML"))
    assert json.loads((tmp_path / "call.json").read_text())["session_id"] == "a-call"
    assert (tmp_path / "call.HTML").read_text().startswith("<!doctype html>")
    (tmp_path / "folder.html").mkdir()
    for wrong, why in (("call.txt", "json or .html"), ("no/call.html", "no folder"),
                       ("folder.html", "cannot write")):  # fmt: skip
        with pytest.raises(ConfigurationError, match=why):
            made.write(tmp_path / wrong)
