"""``ringmesh call`` and ``ringmesh answer``, run as programs, checked by what they recorded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from ringmesh.cli.exit_code import ExitCode
from ringmesh.media.frames import VideoFrame
from ringmesh.media.recorder import Recorder
from ringmesh.media.streams import LocalStream
from ringmesh.media.synthetic import dominant_tone, read_code
from tests.cli.conftest import Shell

CLIP_SECONDS = 3.0


async def make_clip(path: Path, stream_id: int, tone_hz: float) -> None:
    """A media file whose picture and tone can be recognised."""
    stream = LocalStream.synthetic(stream_id=stream_id, tone_hz=tone_hz)
    recorder = Recorder(stream, path)
    await asyncio.sleep(CLIP_SECONDS)  # the length of the clip
    await recorder.stop()
    stream.close()


def pictures(path: Path) -> list[tuple[int, int]]:
    """(stream id, frame number) of every readable picture in a file."""
    with av.open(path) as container:
        frames = [VideoFrame.from_av(frame) for frame in container.decode(video=0)]
    codes = [code for code in map(read_code, frames) if code is not None]
    return [(code.stream_id, code.counter) for code in codes]


def tone(path: Path) -> float:
    """The frequency in the middle of a file, in Hz."""
    resampler = av.AudioResampler("s16", "mono", 48_000)
    with av.open(path) as container:
        blocks = [
            out.to_ndarray().reshape(-1)
            for frame in container.decode(audio=0)
            for out in resampler.resample(frame)
        ]
    samples = np.concatenate(blocks)
    middle = len(samples) // 2
    return dominant_tone(samples[middle - 12_000 : middle + 12_000]).frequency


async def test_a_file_there_and_a_recording_back(shell: Shell) -> None:
    """An echo returns the file that was sent: the recording has its pictures and its tone."""
    clip, back = shell.folder / "clip.mkv", shell.folder / "back.mkv"
    await make_clip(clip, stream_id=6, tone_hz=660.0)
    answering = await shell.start("answer", "--echo", "--once", "--json", login="bob")
    await answering.says("waiting for calls")
    code, output = await shell.run(
        *("call", "bob", "--send", str(clip), "--record", str(back), "--json"), login="alice"
    )
    assert code == ExitCode.OK
    report = json.loads(output)
    [person] = report["people"]
    assert report["took_place"]
    assert (report["direction"], report["media"]) == ("outgoing", "video")
    assert (person["login"], person["path"], person["recording"]) == ("bob", "direct", str(back))
    assert (person["video_codec"], person["audio_codec"]) == ("VP8", "opus")
    assert person["frames_received"] > 0
    assert person["frames_sent"] > 0
    assert 0 < person["set_up_seconds"] < 10
    assert person["seconds"] > CLIP_SECONDS / 2

    seen = pictures(back)
    assert {stream_id for stream_id, _ in seen} == {6}
    numbers = [number for _, number in seen]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 25 * CLIP_SECONDS / 3
    assert abs(tone(back) - 660.0) < 10

    code, output = await answering.ends()
    assert code == ExitCode.OK
    assert json.loads(output)["direction"] == "incoming"


async def test_audio_call_in_words(shell: Shell) -> None:
    """Without --json the summary says who, how long, codec and path in words."""
    answering = await shell.start("answer", login="bob")
    await answering.says("waiting for calls")
    calling = await shell.start("call", "bob", "--audio", "--duration", "1", login="alice")
    await calling.says("bob: connected")
    code, output = await calling.ends()
    assert code == ExitCode.OK
    assert "bob: talked for" in output
    assert "opus" in output
    assert "direct" in output
    assert "frames" not in output

    answering.interrupt()
    code, output = await answering.ends()
    assert code == ExitCode.OK
    assert "alice: talked for" in output


async def test_who_is_recorded_is_told(shell: Shell) -> None:
    """The one who records says so, and the other one's display shows it."""
    answering = await shell.start("answer", "--record", "message.mkv", "--once", login="bob")
    await answering.says("waiting for calls")
    calling = await shell.start("call", "bob", "--audio", login="alice")
    await calling.says("bob: connected, records the call")
    calling.interrupt()
    await asyncio.gather(calling.ends(), answering.ends())
    assert (shell.folder / "message.mkv").stat().st_size > 0


async def test_ctrl_c_hangs_up(shell: Shell) -> None:
    """Ctrl-C ends a running call in order on both sides, and the summary is printed."""
    answering = await shell.start("answer", "--once", login="bob")
    await answering.says("waiting for calls")
    calling = await shell.start("call", "bob", "--audio", login="alice")
    await calling.says("bob: connected")
    calling.interrupt()
    code, output = await calling.ends()
    assert (code, "bob: talked for" in output) == (ExitCode.OK, True)
    code, output = await answering.ends()
    assert code == ExitCode.OK
    assert "hung up" in output


async def test_ctrl_c_while_it_rings(shell: Shell) -> None:
    """A call that did not take place and was cancelled says so by its exit code."""
    calling = await shell.start("call", "bob", login="alice")
    await calling.says("Calling bob")
    calling.interrupt()
    code, _ = await calling.ends()
    assert code == ExitCode.INTERRUPTED


async def test_declined(shell: Shell) -> None:
    """Both sides learn that the call was declined."""
    answering = await shell.start("answer", "--reject", "--once", login="bob")
    await answering.says("waiting for calls")
    assert await shell.run("call", "bob", login="alice") == (
        ExitCode.REJECTED,
        "bob: declined\n",
    )
    code, _ = await answering.ends()
    assert code == ExitCode.REJECTED


async def test_busy(shell: Shell) -> None:
    """One call at a time: the next caller is told that the person is busy."""
    answering = await shell.start("answer", login="bob")
    await answering.says("waiting for calls")
    first = await shell.start("call", "bob", "--audio", login="alice")
    await first.says("bob: connected")
    assert await shell.run("call", "bob", login="carol") == (ExitCode.REJECTED, "bob: busy\n")


async def test_group(shell: Shell) -> None:
    """Two people are called at once; each is recorded to a file of his own, and all to one."""
    for login in ("bob", "carol"):
        answering = await shell.start("answer", "--once", login=login)
        await answering.says("waiting for calls")
    record, grid = shell.folder / "all.mkv", shell.folder / "grid.mkv"
    code, output = await shell.run(
        *("call", "bob", "carol", "--duration", "2", "--json"),
        *("--record", str(record), "--record-all", str(grid)),
        login="alice",
    )
    assert code == ExitCode.OK
    assert [person["login"] for person in json.loads(output)["people"]] == ["bob", "carol"]
    for name in ("all-bob.mkv", "all-carol.mkv"):
        assert pictures(shell.folder / name)
    with av.open(grid) as container:
        shown = [VideoFrame.from_av(frame) for frame in container.decode(video=0)]
    assert {(frame.width, frame.height) for frame in shown} == {(1280, 720)}
    assert any(frame.luma().max() > 200 for frame in shown)


@pytest.mark.parametrize(
    ("arguments", "password", "code", "message"),
    [
        (["call", "nobody"], None, ExitCode.USAGE, "no user 'nobody'"),
        (["call", "bob"], "wrong", ExitCode.NOT_AUTHORIZED, "refused"),
        (
            ["call", "bob", "--server", "http://127.0.0.1:1"],
            None,
            ExitCode.CANNOT_CONNECT,
            "cannot reach",
        ),
        (["call", "bob", "--send", "missing.webm"], None, ExitCode.FAILED, "missing.webm"),
        (["answer", "--send", "missing.webm"], None, ExitCode.FAILED, "missing.webm"),
        (["answer", "--echo", "--reject"], None, ExitCode.USAGE, "exclude each other"),
        (["call", "alice"], None, ExitCode.USAGE, "own id"),
    ],
)
async def test_what_cannot_work(
    shell: Shell, arguments: list[str], password: str | None, code: int, message: str
) -> None:
    """Each mistake has its message and exit code, without a traceback."""
    program = await shell.start(*arguments, login="alice", password=password)
    assert (await program.ends())[0] == code
    assert message in program.progress


async def test_recording_that_cannot_be_written(shell: Shell) -> None:
    """The call takes place; the summary says why there is no recording."""
    answering = await shell.start("answer", login="bob")
    await answering.says("waiting for calls")
    code, output = await shell.run(
        *("call", "bob", "--audio", "--duration", "1", "--record", "no/such/folder/a.mkv"),
        login="alice",
    )
    assert code == ExitCode.OK
    assert "not recorded" in output


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
async def test_live_display_on_a_terminal(shell: Shell) -> None:
    """On a terminal a table shows who, state, time, bitrates and level while the call runs."""
    answering = await shell.start("answer", "--echo", login="bob")
    await answering.says("waiting for calls")
    screen, terminal = os.openpty()
    try:
        calling = await shell.start(
            *("call", "bob", "--audio", "--duration", "3"), login="alice", stderr=terminal
        )
        os.close(terminal)
        shown, (code, output) = await asyncio.gather(
            asyncio.to_thread(read_all, screen), calling.ends()
        )
    finally:
        os.close(screen)
    assert code == ExitCode.OK
    assert "bob: talked for" in output
    for text in ("Who", "Level", "connected", "0:02", "kbit/s", "▮"):
        assert text in shown, shown


def read_all(descriptor: int) -> str:
    """What was written to a pseudo-terminal whose other end is closed."""
    shown = b""
    with contextlib.suppress(OSError):  # how Linux tells the end
        while part := os.read(descriptor, 65536):
            shown += part
    return shown.decode()
