"""Playing and recording files; what was recorded is checked by decoding it."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from ringmesh.errors import InvalidStateError, MediaError
from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.composer import fit
from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.recorder import Recorder
from ringmesh.media.sources import PushVideoSource
from ringmesh.media.streams import LocalStream, RemoteStream
from ringmesh.media.synthetic import (
    SyntheticVideoSource,
    ToneSource,
    dominant_tone,
    is_black,
    read_code,
)

from .clips import write_clip
from .decoding import decoded
from .peers import LIMIT, first_frame, hear_until, joined, media_threads, until


@pytest.mark.parametrize("extension", [".mkv", ".webm", ".mp4"])
async def test_a_call_is_recorded(tmp_path: Path, extension: str) -> None:
    """A recording holds the pictures in order, the tone, and both at the right times."""
    stream = LocalStream.synthetic(width=320, height=180, stream_id=6, tone_hz=600)
    async with joined(stream, None) as (_, right):
        remote = await right.remote_stream()
        recorder = Recorder(remote, tmp_path / f"call{extension}")
        await first_frame(remote, lambda frame: (code := read_code(frame)) and code.counter > 50)
        recording = await recorder.stop()
        assert await recorder.stop() == recording
    contents = decoded(recording.path)
    counters = [counter for counter in contents.counters if counter is not None]
    assert len(contents.frames) == recording.video_frames
    assert len(counters) >= 0.9 * recording.video_frames > 35
    assert counters == sorted(counters)
    times = [when for when, _ in contents.frames]
    span = (counters[-1] - counters[0]) / 25
    assert abs((times[-1] - times[0]) - span) < 0.3
    sound_seconds = len(contents.samples) / SAMPLE_RATE
    assert abs(sound_seconds - recording.duration) < 0.3
    assert abs(sound_seconds - times[-1]) < 0.3
    assert abs(dominant_tone(contents.samples[-24_000:]).frequency - 600) < 5
    assert recording.bytes == recording.path.stat().st_size > 5000
    assert recording.video_frames_dropped == 0


async def test_size_changes_and_late_tracks_are_recorded(tmp_path: Path) -> None:
    """Larger and turned pictures are kept as they are, smaller ones fitted in; sound that starts
    late begins with silence."""
    stream = RemoteStream(lambda: None)
    stream.add_track("video")
    stream.add_track("audio")
    recorder = Recorder(stream, tmp_path / "sizes.mkv")
    tone = ToneSource(500)
    sizes = [(320, 180), (640, 360), (360, 640), (320, 180)]
    for number in range(24):
        width, height = sizes[number // 6]
        white = np.full((height, width, 3), 255, np.uint8)
        stream.deliver_video(VideoFrame.from_ndarray(white, timestamp=50 + number / 25))
    for number in range(24):
        stream.deliver_audio(tone.make(50.5 + number / 50))
    await recorder.stop()
    stream.close()
    contents = decoded(recorder.path)
    shown = [(frame.width, frame.height) for _, frame in contents.frames]
    assert shown == [size for size in sizes[:3] for _ in range(6)] + [(360, 640)] * 6
    first, last = contents.frames[0][1].luma(), contents.frames[-1][1].luma()
    assert first.mean() > 220
    assert last[:200].mean() < 30
    assert last[300:340].mean() > 220
    assert [round(when, 2) for when, _ in contents.frames] == [n / 25 for n in range(24)]
    onset = int(np.argmax(np.abs(contents.samples) > 3000)) / SAMPLE_RATE
    assert onset == pytest.approx(0.5, abs=0.03)


async def test_pictures_that_come_late_are_recorded(tmp_path: Path) -> None:
    """A stream whose pictures are announced long after its sound leaves a file with both."""
    stream = RemoteStream(lambda: None)
    stream.add_track("audio")
    recorder = Recorder(stream, tmp_path / "late.mkv", video=True)
    tone, picture = ToneSource(500), SyntheticVideoSource(320, 180, 25, 2)
    for number in range(200):
        stream.deliver_audio(tone.make(100 + number / 50))
    stream.add_track("video")
    for number in range(10):
        stream.deliver_video(picture.make(104 + number / 25))
    recording = await recorder.stop()
    contents = decoded(recording.path)
    assert [round(when, 2) for when, _ in contents.frames][:2] == [4.0, 4.04]
    assert contents.counters == list(range(10))
    assert abs(len(contents.samples) / SAMPLE_RATE - 4) < 0.05
    stream.close()


async def test_an_audio_call_is_recorded_without_pictures(tmp_path: Path) -> None:
    """A recording of an audio call has one track."""
    stream = LocalStream.synthetic(video=False, tone_hz=500)
    async with joined(stream, None, receive_video=False) as (_, right):
        remote = await right.remote_stream()
        recorder = Recorder(remote, tmp_path / "voice.webm")
        await hear_until(remote, lambda tone: tone.level > 0.1)
        recording = await recorder.stop()
    with av.open(str(recording.path)) as container:
        assert [stream.type for stream in container.streams] == ["audio"]
    assert abs(dominant_tone(decoded(recording.path).samples[-9600:]).frequency - 500) < 10


async def test_a_recording_ends_with_its_stream(tmp_path: Path) -> None:
    """When the stream closes the file is finished, and `stop` still reports it."""
    stream = LocalStream.synthetic()
    recorder = Recorder(stream, tmp_path / "ended.mkv")
    await first_frame(stream)
    stream.close()
    await until(lambda: not media_threads())
    recording = await recorder.stop()
    assert recording.video_frames >= 1
    assert decoded(recording.path).frames
    with pytest.raises(InvalidStateError):
        Recorder(stream, tmp_path / "more.mkv")


async def test_a_recording_of_nothing_is_not_an_error(tmp_path: Path) -> None:
    """Stopping before anything came leaves an empty file and no error."""
    stream = LocalStream(video=PushVideoSource())
    recording = await Recorder(stream, tmp_path / "nothing.mkv").stop()
    assert (recording.video_frames, recording.bytes, recording.duration) == (0, 0, 0.0)
    stream.close()


async def test_paths_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    """Unknown extensions, missing folders and folders raise `MediaError` at once."""
    stream = LocalStream.synthetic()
    (tmp_path / "folder.mkv").mkdir()
    for name in ("call.avi", "call", "missing/call.mkv", "folder.mkv"):
        with pytest.raises(MediaError):
            Recorder(stream, tmp_path / name)
    assert media_threads() == []
    stream.close()


async def test_a_full_disk_ends_the_recording_only(tmp_path: Path) -> None:
    """When writing fails the owner is told once, and the stream goes on."""
    path = tmp_path / "full.mkv"
    path.symlink_to("/dev/full")
    errors: list[MediaError] = []
    stream = LocalStream.synthetic()
    recorder = Recorder(stream, path, on_error=errors.append)
    await until(lambda: errors)
    with pytest.raises(MediaError, match="No space left"):
        await recorder.stop()
    await first_frame(stream)
    assert len(errors) == 1
    stream.close()


@pytest.mark.parametrize("extension", [".mkv", ".mp4"])
async def test_a_file_is_played_in_real_time(tmp_path: Path, extension: str) -> None:
    """A file of one second plays once, in order, in step, in about a second, then goes black."""
    stream = LocalStream.from_file(write_clip(tmp_path / f"clip{extension}"))
    assert stream.has_audio
    assert stream.has_video
    counters: list[int] = []
    lags: list[float] = []
    sound: list[AudioFrame] = []
    origin = [0.0]

    def picture(frame: VideoFrame) -> None:
        code = read_code(frame)
        if code is not None:
            if not counters:
                origin[0] = frame.timestamp
            counters.append(code.counter)
            lags.append(frame.timestamp - origin[0] - code.counter / 25)

    stream.on_video_frame(picture)
    stream.on_audio(sound.append)
    begun = time.monotonic()
    async with asyncio.timeout(LIMIT):
        await stream.wait_ended()
    assert time.monotonic() - begun > 0.8
    assert counters == sorted(counters)
    assert len(counters) >= 23
    assert max(map(abs, lags)) < 0.02
    seconds = sum(block.duration for block in sound)
    assert 0.85 < seconds < 1.15
    assert abs(sound[0].timestamp - origin[0]) < 0.06
    await first_frame(stream, is_black)
    stream.close()


async def test_a_looped_file_begins_again(tmp_path: Path) -> None:
    """With `loop` the counter comes back to the beginning and time goes on."""
    stream = LocalStream.from_file(write_clip(tmp_path / "clip.mkv", seconds=0.6), loop=True)
    counters: list[int] = []
    times: list[float] = []
    async with asyncio.timeout(LIMIT):
        async for frame in stream.video_frames(max_queued=8):
            code = read_code(frame)
            assert code is not None
            counters.append(code.counter)
            times.append(frame.timestamp)
            if len(counters) >= 40:
                break
    assert counters.count(3) >= 2
    assert max(np.diff(times)) < 0.2
    assert min(np.diff(times)) > 0
    stream.close()
    async with asyncio.timeout(LIMIT):
        await stream.wait_ended()


async def test_a_file_pauses_while_nobody_listens(tmp_path: Path) -> None:
    """Playing goes on where it stopped."""
    stream = LocalStream.from_file(write_clip(tmp_path / "clip.mkv", seconds=2))
    seen = read_code(await first_frame(stream, lambda frame: read_code(frame)))
    await asyncio.sleep(0.5)
    more = read_code(await first_frame(stream, lambda frame: read_code(frame)))
    assert seen is not None
    assert more is not None
    assert seen.counter < more.counter <= seen.counter + 5
    stream.close()
    await until(lambda: not media_threads())


async def test_files_with_one_kind_of_media_play(tmp_path: Path) -> None:
    """Sound without pictures and pictures without sound are fine."""
    sound = LocalStream.from_file(write_clip(tmp_path / "sound.webm", video=False))
    assert (sound.has_audio, sound.has_video) == (True, False)
    assert (await hear_until(sound, lambda tone: tone.purity > 0.9)).level > 0.1
    sound.close()
    pictures = LocalStream.from_file(write_clip(tmp_path / "pictures.mkv", audio=False))
    assert (pictures.has_audio, pictures.has_video) == (False, True)
    await first_frame(pictures, lambda frame: read_code(frame))
    pictures.close()


async def test_a_file_sent_through_a_call_arrives(tmp_path: Path) -> None:
    """The other side sees a file's pictures and hears its sound."""
    stream = LocalStream.from_file(write_clip(tmp_path / "clip.mkv"), loop=True)
    async with joined(stream, None) as (_, right):
        remote = await right.remote_stream()
        await first_frame(remote, lambda frame: read_code(frame))
        tone = await hear_until(remote, lambda tone: tone.purity > 0.8)
        assert abs(tone.frequency - 440) < 5


def test_files_that_cannot_be_played_are_refused(tmp_path: Path) -> None:
    """Missing, empty, random, truncated and text files raise `MediaError` naming the file."""
    good = write_clip(tmp_path / "good.mp4").read_bytes()
    bad = {
        "empty.mkv": b"",
        "random.mp4": np.random.default_rng(3).bytes(20_000),
        "text.webm": b"this is not a film\n" * 100,
        "truncated.mp4": good[: len(good) // 3],
        "header.mkv": write_clip(tmp_path / "h.mkv").read_bytes()[:300],
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(MediaError, match=name):
            LocalStream.from_file(tmp_path / name)
    for path in (tmp_path / "missing.mkv", tmp_path):
        with pytest.raises(MediaError, match="cannot play"):
            LocalStream.from_file(path)


async def test_a_file_damaged_in_the_middle_plays_on(tmp_path: Path) -> None:
    """Damage is skipped: pictures after it come, and the end is reached."""
    data = bytearray(write_clip(tmp_path / "clip.mkv", seconds=2).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = b"\xff" * 400
    (tmp_path / "damaged.mkv").write_bytes(data)
    stream = LocalStream.from_file(tmp_path / "damaged.mkv")
    shown: list[VideoFrame] = []
    stream.on_video_frame(shown.append)
    async with asyncio.timeout(LIMIT):
        await stream.wait_ended()
    assert len(shown) > 15
    stream.close()


@pytest.mark.parametrize("size", [(320, 180), (180, 320), (1000, 100), (16, 16), (640, 358)])
def test_fitting_keeps_the_shape(size: tuple[int, int]) -> None:
    """A white picture fitted into another size is white in the middle and not larger."""
    white = VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 255, np.uint8))
    fitted = fit(white, 320, 240)
    luma = fitted.luma()
    assert (fitted.width, fitted.height) == (320, 240)
    assert luma[118:122, 158:162].min() > 200
    share = (luma > 128).mean()
    scale = min(320 / size[0], 240 / size[1])
    assert abs(share - size[0] * size[1] * scale**2 / (320 * 240)) < 0.06


def test_no_thread_outlives_these_tests() -> None:
    """Every player and recorder of this file has ended."""
    deadline = time.monotonic() + LIMIT
    while media_threads() and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    assert media_threads() == []
