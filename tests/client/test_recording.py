"""Whole calls are recorded, everybody is told, and trouble with the disk is not the call's."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ringmesh
from ringmesh import (
    CallType,
    ConfigurationError,
    InvalidStateError,
    MediaError,
    P2PSession,
    RecordingChanged,
)
from ringmesh.media.frames import VideoFrame
from ringmesh.media.synthetic import dominant_tone, read_code
from tests.client.calling import Phone, all_meet, eventually, told
from tests.client.conftest import SignIn
from tests.interop.people import LIMIT
from tests.media.decoding import Contents, decoded


def tile(frame: VideoFrame, column: int, columns: int) -> VideoFrame:
    """One of several pictures of 16:9 that stand in a row."""
    width = frame.width // columns & ~1
    height = width * 9 // 16 & ~1
    top = (frame.height - height) // 2 & ~1
    whole = frame.to_ndarray("rgb24")
    part = whole[top : top + height, column * width : (column + 1) * width]
    return VideoFrame.from_ndarray(np.ascontiguousarray(part))


def stream_ids(frame: VideoFrame, columns: int) -> list[int | None]:
    """Whose pictures stand in a row."""
    codes = [read_code(tile(frame, column, columns)) for column in range(columns)]
    return [code.stream_id if code else None for code in codes]


def hears_tone(contents: Contents, frequency: float, *, last: float = 1.0) -> bool:
    """Whether a frequency stands out in the last seconds, whatever else sounds."""
    samples = contents.samples[-round(last * 48_000) :].astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    hertz = np.fft.rfftfreq(len(samples), 1 / 48_000)
    near = np.abs(hertz - frequency) < 8
    return bool(spectrum[near].max() > 20 * np.median(spectrum[hertz < 4000]))


async def in_a_call(
    sign_in: SignIn, call_type: CallType = CallType.VIDEO_CALL
) -> tuple[Phone, P2PSession, Phone, P2PSession]:
    """Two people who hear and see each other."""
    alice, bob = Phone(await sign_in(), 1), Phone(await sign_in(), 2)
    outgoing = await alice.calls(bob, call_type=call_type)
    incoming = await bob.answers()
    await all_meet({alice: outgoing, bob: incoming})
    return alice, outgoing, bob, incoming


async def grows(path: Path, least: int) -> None:
    """Wait until a file that is written has this size."""
    await eventually(lambda: path.exists() and path.stat().st_size >= least)


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file of this process can get larger than this: writing more fails with EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_one_file_for_all(sign_in: SignIn, tmp_path: Path) -> None:
    """Both pictures stand side by side and both voices sound; the other side is told."""
    alice, outgoing, bob, incoming = await in_a_call(sign_in)
    changes: list[tuple[int, bool]] = []
    incoming.on_recording_changed = lambda session, user_id, recording: changes.append(
        (user_id, recording)
    )
    path = tmp_path / "call.mkv"
    async with outgoing.record(path, size=(640, 360)) as recording:
        await told(incoming, RecordingChanged, alice)
        assert incoming.recording_users_ids == {alice.id}
        assert outgoing.recording_users_ids == frozenset()
        await grows(path, 60_000)
        await alice.meets(outgoing, [bob])  # the call does not mind
    await eventually(lambda: changes == [(alice.id, True), (alice.id, False)])
    [written] = await recording.stop()
    contents = decoded(written.path)
    assert (contents.frames[0][1].width, contents.frames[0][1].height) == (640, 360)
    assert {1, 2} in [set(stream_ids(frame, 2)) for _, frame in contents.frames]
    assert hears_tone(contents, alice.tone)
    assert hears_tone(contents, bob.tone)
    assert abs(len(contents.samples) / 48_000 - contents.frames[-1][0]) < 0.3
    assert abs(written.duration - contents.frames[-1][0]) < 0.3


async def test_a_file_for_each(sign_in: SignIn, tmp_path: Path) -> None:
    """A folder gets everybody's own picture and sound, ours too."""
    alice, outgoing, bob, _ = await in_a_call(sign_in)
    folder = tmp_path / "calls" / "monday"
    recording = outgoing.record(folder)
    for person in (alice, bob):
        await grows(folder / f"{person.id}.mkv", 60_000)
    written = {item.user_id: item for item in await recording.stop()}
    assert set(written) == {alice.id, bob.id}
    for person in (alice, bob):
        contents = decoded(folder / f"{person.id}.mkv")
        assert person.number in {
            code.stream_id for _, frame in contents.frames if (code := read_code(frame))
        }
        assert abs(dominant_tone(contents.samples[-24_000:]).frequency - person.tone) < 10
    began = [item.began for item in written.values() if item.began is not None]
    assert len(began) == 2
    assert abs(began[0] - began[1]) < 2


async def test_people_come_and_go(sign_in: SignIn, tmp_path: Path) -> None:
    """The grid has as many tiles as people, and who comes late learns of the recording."""
    alice, bob, carol = [Phone(await sign_in(), number) for number in (1, 2, 3)]
    outgoing = await alice.calls(bob, carol)
    with_bob = await bob.answers()
    await told(outgoing, ringmesh.ConnectedToUser, bob)
    recording = outgoing.record(tmp_path / "three.mkv", size=(960, 540))
    await alice.meets(outgoing, [bob])
    await asyncio.sleep(1)  # seconds of film
    with_carol = await carol.answers()
    await told(with_carol, RecordingChanged, alice)
    await told(with_bob, RecordingChanged, alice)
    await alice.meets(outgoing, [bob, carol])
    await asyncio.sleep(1)
    await with_bob.hang_up()
    await told(outgoing, ringmesh.RemoteStreamRemoved, bob)
    await asyncio.sleep(1)
    [written] = await recording.stop()
    shown = [frame for _, frame in decoded(written.path).frames]
    assert {1, 2} in [set(stream_ids(frame, 2)) for frame in shown]
    assert {1, 3} == set(stream_ids(shown[-1], 2))
    squares = {
        frozenset(code.stream_id for rect in quarters(frame) if (code := read_code(rect)))
        for frame in shown
    }
    assert frozenset({1, 2, 3}) in squares


def quarters(frame: VideoFrame) -> list[VideoFrame]:
    """The tiles of three people: two above, one centred below."""
    pixels = frame.to_ndarray("rgb24")
    height, width = frame.height // 2 & ~1, frame.width // 2 & ~1
    left = (frame.width - width) // 2 & ~1
    parts = [
        pixels[:height, :width],
        pixels[:height, width : 2 * width],
        pixels[height : 2 * height, left : left + width],
    ]
    return [VideoFrame.from_ndarray(np.ascontiguousarray(part)) for part in parts]


async def test_an_audio_call(sign_in: SignIn, tmp_path: Path) -> None:
    """Without pictures there is one track, with both voices."""
    alice, outgoing, bob, _ = await in_a_call(sign_in, CallType.AUDIO_CALL)
    path = tmp_path / "voices.webm"
    recording = outgoing.record(path)
    await grows(path, 15_000)
    await recording.stop()
    contents = decoded(path)
    assert contents.frames == []
    assert hears_tone(contents, alice.tone)
    assert hears_tone(contents, bob.tone)


async def test_a_recording_ends_with_the_call(sign_in: SignIn, tmp_path: Path) -> None:
    """Hanging up completes the file, without anybody asking for it."""
    _, outgoing, _, incoming = await in_a_call(sign_in)
    path = tmp_path / "call.mp4"
    recording = outgoing.record(path, size=(640, 360))
    await grows(path, 30_000)
    await incoming.hang_up()
    await told(outgoing, ringmesh.SessionClosed)
    await outgoing.wait_peers_closed()
    contents = decoded(path)
    assert contents.frames
    [written] = await recording.stop()
    assert abs(written.duration - contents.frames[-1][0]) < 0.3
    with pytest.raises(InvalidStateError):
        outgoing.record(tmp_path / "more.mkv")


@pytest.mark.parametrize("name", ["full.mkv", "folder"])
async def test_a_full_disk(sign_in: SignIn, tmp_path: Path, name: str) -> None:
    """The owner is told once, the other side too, the call goes on, and what was written plays."""
    alice, outgoing, bob, incoming = await in_a_call(sign_in)
    errors: list[MediaError] = []
    with disk_of(100_000):
        recording = outgoing.record(tmp_path / name, size=(640, 360), on_error=errors.append)
        await eventually(lambda: bool(errors))
        await eventually(lambda: not incoming.recording_users_ids)
        with pytest.raises(MediaError, match="File too large"):
            await recording.stop()
    await all_meet({alice: outgoing, bob: incoming})
    assert len(errors) == 1
    path = tmp_path / name
    for file in path.iterdir() if path.is_dir() else [path]:
        assert len(decoded(file).frames) > 10


async def test_where_nothing_can_be_recorded(sign_in: SignIn, tmp_path: Path) -> None:
    """Unknown formats, folders that cannot be and impossible sizes are refused; nobody is told."""
    alice, bob = Phone(await sign_in(), 1), Phone(await sign_in(), 2)
    outgoing = await alice.calls(bob)
    (tmp_path / "file").touch()
    for path in (tmp_path / "call.avi", tmp_path / "file" / "call.mkv", tmp_path / "file"):
        with pytest.raises(MediaError):
            outgoing.record(path)
    with pytest.raises(ConfigurationError):
        outgoing.record(tmp_path / "odd.mkv", size=(641, 360))
    incoming = await bob.answers()
    await asyncio.wait_for(alice.meets(outgoing, [bob]), LIMIT)
    assert incoming.recording_users_ids == frozenset()


async def test_a_file_that_cannot_be_made(sign_in: SignIn, tmp_path: Path) -> None:
    """One file of a folder that fails ends the recording, and nobody is told of any."""
    alice, outgoing, bob, incoming = await in_a_call(sign_in)
    (tmp_path / f"{bob.id}.mkv").mkdir()
    errors: list[MediaError] = []
    recording = outgoing.record(tmp_path, on_error=errors.append)
    with pytest.raises(MediaError, match="cannot write"):
        await recording.stop()
    assert len(errors) == 1
    await all_meet({alice: outgoing, bob: incoming})
    assert incoming.recording_users_ids == frozenset()


async def test_other_recordings_are_announced(sign_in: SignIn, tmp_path: Path) -> None:
    """A program that records by itself says so; that and a recording of ours count as one."""
    alice, bob = Phone(await sign_in(), 1), Phone(await sign_in(), 2)
    outgoing = await alice.calls(bob, call_type=CallType.AUDIO_CALL)
    outgoing.announce_recording(True)
    incoming = await bob.answers()
    await told(incoming, RecordingChanged, alice)
    async with outgoing.record(tmp_path / "call.mkv"):
        outgoing.announce_recording(False)
        await bob.meets(incoming, [alice])
        assert incoming.recording_users_ids == {alice.id}
    await eventually(lambda: not incoming.recording_users_ids)
