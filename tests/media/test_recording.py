"""Recordings under hard conditions: kept in step, playable while written, and never lost."""

from __future__ import annotations

import asyncio
import itertools
import signal
import statistics
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from ringmesh.errors import ConfigurationError
from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.mixed_recorder import MixedRecorder
from ringmesh.media.recorder import Recorder, Recording
from ringmesh.media.sources import TICK, TICK_SAMPLES, PacedSource
from ringmesh.media.streams import LocalStream

from .decoding import Contents, decoded
from .peers import Peer, first_frame, joined, until

IN_STEP = 0.045
"""Seconds that picture and sound may be apart."""

FLASH = 0.2
"""Seconds that a flash and its beep last; there is one every second."""

WHITE = VideoFrame.from_ndarray(np.full((180, 320, 3), 255, np.uint8))
BLACK = VideoFrame.black(320, 180)

PROGRAM = """
import asyncio, sys
from ringmesh.media.mixed_recorder import MixedRecorder
from ringmesh.media.recorder import Recorder
from ringmesh.media.streams import LocalStream

async def main():
    stream = LocalStream.synthetic(width=320, height=180)
    if sys.argv[2] == "mixed":
        MixedRecorder(sys.argv[1], size=(320, 180)).put(1, stream)
    else:
        recorder = Recorder(stream, sys.argv[1])
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Flashes(PacedSource):
    """White for the first part of every second since the first picture."""

    def __init__(self) -> None:
        super().__init__(1 / 30, "ringmesh-flashes")
        self.begin = 0.0

    def make(self, due: float) -> VideoFrame:
        """Black or white."""
        self.begin = self.begin or due
        frame = round((due - self.begin) * 30)
        return (WHITE if frame % 30 < FLASH * 30 else BLACK).at(due)


class Beeps(PacedSource):
    """A tone at the same times."""

    def __init__(self, flashes: Flashes) -> None:
        super().__init__(TICK, "ringmesh-beeps")
        self._flashes = flashes

    def make(self, due: float) -> AudioFrame:
        """Silence or 1 kHz."""
        times = due - self._flashes.begin + np.arange(TICK_SAMPLES) / 48_000
        tone = 16_000 * np.sin(2 * np.pi * 1000 * times) * (times % 1 < FLASH)
        return AudioFrame(tone.astype(np.int16), 48_000, due)


def flashes(contents: Contents) -> list[float]:
    """When it becomes white."""
    levels = [(when, frame.luma().mean()) for when, frame in contents.frames]
    pairs = itertools.pairwise(levels)
    return [when for (_, before), (when, now) in pairs if before < 128 <= now]


def beeps(contents: Contents) -> list[float]:
    """When it becomes loud."""
    peaks = np.abs(contents.samples[: len(contents.samples) // 48 * 48]).reshape(-1, 48).max(1)
    loud = peaks > 4000
    return [
        contents.audio_start + index / 1000
        for index in np.flatnonzero(loud)
        if index >= 50 and not loud[index - 50 : index].any()
    ]


def keep_sound_waiting(peer: Peer, milliseconds: int) -> None:
    """Make the jitter buffer for sound as long as that of a bad network."""
    for transceiver in peer.connection._connection.get_transceivers():
        if transceiver.receiver.track.kind.value == "audio":
            transceiver.receiver.jitter_buffer_target = milliseconds


async def test_flash_and_beep_are_in_step(tmp_path: Path) -> None:
    """What flashed and beeped together before a call does so in both kinds of files, on a good
    network and on one where sound waits long before it is played."""
    video = Flashes()
    stream = LocalStream(audio=Beeps(video), video=video)
    written: list[Recording] = []
    async with joined(stream, None) as (_, right):
        remote = await right.remote_stream()
        for network in ("good", "bad"):
            alone = Recorder(remote, tmp_path / f"alone-{network}.mkv")
            mixed = MixedRecorder(tmp_path / f"mixed-{network}.mkv", size=(320, 180))
            mixed.put("them", remote)
            await asyncio.sleep(8)  # flashes
            written += [await recorder.stop() for recorder in (alone, mixed)]
            keep_sound_waiting(right, 200)
            remote.on_audio(lambda _: None)
            remote.on_video_frame(lambda _: None)
            await asyncio.sleep(3)  # the buffer grows
    for recording in written:
        contents = decoded(recording.path)
        heard = beeps(contents)
        # Of single flashes a busy machine may show some late: there they are late for people too.
        apart = [min((flash - beep for beep in heard), key=abs) for flash in flashes(contents)]
        assert len(apart) >= 6
        assert abs(statistics.median(apart)) < IN_STEP, (recording.path.name, apart)
        assert abs(recording.duration - 8) < 1


async def recording_process(path: Path, kind: str) -> asyncio.subprocess.Process:
    """A program that records, until it has written three seconds or so."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, str(path), kind)
    begun = time.monotonic()
    await until(lambda: path.exists() and path.stat().st_size > 10_000)
    await asyncio.sleep(max(0.0, 3 - (time.monotonic() - begun)))
    return process


@pytest.mark.parametrize(
    ("extension", "kind"), [(".mkv", "mixed"), (".webm", "single"), (".mp4", "mixed")]
)
async def test_a_killed_process_loses_a_second_at_most(
    tmp_path: Path, extension: str, kind: str
) -> None:
    """A file is readable while it is written, and after SIGKILL up to its last moments."""
    path = tmp_path / f"call{extension}"
    process = await recording_process(path, kind)
    try:
        meanwhile = decoded(path)
        assert len(meanwhile.frames) > 10
        await asyncio.sleep(1.5)
        running_for = path.stat().st_mtime - _birth(path)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    left = decoded(path)
    assert len(left.frames) > len(meanwhile.frames)
    assert left.frames[-1][0] > running_for - 1.8  # the encoder's start, and at most a second
    assert abs(len(left.samples) / 48_000 - left.frames[-1][0]) < 0.7
    assert [counter for counter in left.counters if counter is None] == []


def _birth(path: Path) -> float:
    """When the file was made, as far as the last bytes of its folder tell."""
    return path.parent.stat().st_mtime


async def test_size_and_people_change_in_one_file(tmp_path: Path) -> None:
    """A stream that is put in place of another, and one that leaves, need no new file."""
    wide = LocalStream.synthetic(width=320, height=180, stream_id=4)
    tall = LocalStream.synthetic(width=180, height=320, stream_id=5)
    recorder = MixedRecorder(tmp_path / "mixed.mkv", size=(320, 180))
    recorder.put("ann", wide)
    await first_frame(wide, lambda frame: frame.width == 320)
    await asyncio.sleep(0.6)
    recorder.put("ann", tall)
    await asyncio.sleep(0.8)
    recorder.remove("ann")
    recorder.remove("nobody")
    await asyncio.sleep(0.6)
    recording = await recorder.stop()
    for stream in (wide, tall):
        stream.close()
    recorder.put("late", LocalStream.blank())
    frames = [frame for _, frame in decoded(recording.path).frames]
    widths = [int((frame.luma()[60:170] > 20).any(axis=0).sum()) for frame in frames]
    assert max(widths) == 320
    assert any(90 < width < 120 for width in widths)
    assert widths[-1] == 0
    assert recording.duration > 1.5


async def test_a_mixed_recording_keeps_up(tmp_path: Path) -> None:
    """Four people in one picture need no more than the pictures of its frame rate."""
    streams = [
        LocalStream.synthetic(stream_id=number, tone_hz=300 * number) for number in range(1, 5)
    ]
    recorder = MixedRecorder(tmp_path / "four.mkv", size=(640, 360))
    for number, stream in enumerate(streams):
        recorder.put(number, stream)
    await asyncio.sleep(2)
    recording = await recorder.stop()
    for stream in streams:
        stream.close()
    assert (
        0 < recording.video_frames + recording.video_frames_dropped <= recording.duration * 26 + 3
    )
    with av.open(str(recording.path)) as container:
        assert container.duration == pytest.approx(recording.duration * 1e6, abs=1e5)


@pytest.mark.parametrize("size", [(0, 0), (641, 360), (10_000, 360), (-2, 16)])
def test_impossible_sizes_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    """Before a file is made."""
    with pytest.raises(ConfigurationError):
        MixedRecorder(tmp_path / "no.mkv", size=size)
    assert list(tmp_path.iterdir()) == []
