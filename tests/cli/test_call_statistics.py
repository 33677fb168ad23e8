"""``ringmesh call --stats`` and ``--report``."""

from __future__ import annotations

import io
import json

from rich.console import Console

from ringmesh import CallType
from ringmesh.cli.call_statistics import stats_table
from ringmesh.cli.call_summary import CallSummary, Person, PersonState
from ringmesh.cli.exit_code import ExitCode
from ringmesh.media.quality import MediaDirection, Quality, QualityCause, QualityLevel
from tests.cli.conftest import Shell
from tests.client.series import series


async def test_a_call_leaves_its_report(shell: Shell) -> None:
    """Figures are shown while it runs, and a page tells afterwards how it was."""
    answering = await shell.start("answer", login="bob")
    await answering.says("waiting for calls")
    call = ("call", "bob", "--duration", "3", "--stats", "--report", "call.html")
    program = await shell.start(*call, login="alice")
    await program.says("from bob: quality good, kbit/s ")
    await program.says("to bob: quality good, kbit/s ")
    code, _ = await program.ends()
    assert code == ExitCode.OK
    assert "The report is in call.html" in program.progress
    page = (shell.folder / "call.html").read_text()
    for part in ("Video call with bob", "direct, VP8, opus", "Bitrate, kbit/s"):
        assert part in page


async def test_a_call_that_nobody_answers(shell: Shell) -> None:
    """Its report says that there is nothing to report."""
    answering = await shell.start("answer", "--reject", login="bob")
    await answering.says("waiting for calls")
    code, _ = await shell.run("call", "bob", "--report", "call.json", login="alice")
    assert code == ExitCode.REJECTED
    report = json.loads((shell.folder / "call.json").read_text())
    assert report["verdict"]["summary"] == "Nothing was measured."


async def test_a_report_that_cannot_be_written(shell: Shell) -> None:
    """It is refused before anybody's telephone rings."""
    for name, why in (("call.txt", ".json or .html"), ("nowhere/call.html", "no folder")):
        program = await shell.start("call", "bob", "--report", name, login="alice")
        code, _ = await program.ends()
        assert code == ExitCode.USAGE
        assert why in program.progress
        assert "Calling" not in program.progress


def test_the_live_table() -> None:
    """Each person has a row per direction, with the figures of the last second and the cause."""
    bob = Person(1, "bob", state=PersonState.CONNECTED)
    for stats in series("lossy")[20:22]:
        bob.take_stats(stats)
    bob.quality = {
        MediaDirection.RECEIVING: Quality(QualityLevel.BAD, (QualityCause.LOSS,)),
        MediaDirection.SENDING: Quality(),
    }
    summary = CallSummary("id", CallType.VIDEO_CALL, False, 0.0, {1: bob, 2: Person(2, "carol")})
    console = Console(file=io.StringIO(), width=160, color_system=None)
    console.print(stats_table(summary, 1.0))
    assert isinstance(console.file, io.StringIO)
    rows = console.file.getvalue().splitlines()
    assert rows[0].split() == [
        "Quality",
        "kbit/s",
        "Lost",
        "Jitter",
        "Delay",
        "Picture",
        "Codecs",
        "Path",
    ]
    assert rows[1].startswith("from bob")
    assert "bad (loss)" in rows[1]
    for part in ("%", "640x480", "VP8+opus", "direct"):
        assert part in rows[1]
    for part in ("to bob", "good", "there and back", "available"):
        assert part in rows[2]
    assert rows[3].split() == ["carol", "calling"]
