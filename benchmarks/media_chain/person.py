"""One side of a call: ``python -m benchmarks.media_chain.person URL LOGIN KIND FORMAT FIFO [ID]``.

KIND is ``engine`` (pictures and beeps from memory, callbacks on what comes) or ``devices`` (the
camera behind FIFO, microphone ``mic_LOGIN``, output ``ear_LOGIN``); ID is who is called. It writes
its id when it can be called, then a line of JSON for each line that it reads, which is a number of
seconds; and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from typing import Any

import numpy as np

import ringmesh
from benchmarks.media_chain.camera import Format, drawn, source_of
from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.sources import PacedSource

BLOCK = SAMPLE_RATE // 100
BEEP_SECONDS = 0.1
NOISE = 30
"""Of int16, on average: no microphone is without, and digital silence costs Opus less."""

LOUD = 2000
"""Of int16: where a beep begins."""


def beep_second() -> np.ndarray[Any, np.dtype[np.int16]]:
    """A second of quiet noise that begins with a beep."""
    samples = np.random.default_rng(1).normal(0, NOISE, SAMPLE_RATE)
    count = round(BEEP_SECONDS * SAMPLE_RATE)
    samples[:count] += 12_000 * np.sin(2 * np.pi * 1000 / SAMPLE_RATE * np.arange(count))
    return samples.astype(np.int16)


class Beeps(PacedSource):
    """A beep each second, in blocks of 10 ms.

    Attributes:
        sent: when each began, of the monotonic clock.
    """

    def __init__(self) -> None:
        super().__init__(0.01, "beeps")
        self.sent: list[float] = []
        self._samples = beep_second()
        self._block = 0

    def make(self, due: float) -> AudioFrame:
        """The next block."""
        begin = self._block % 100 * BLOCK
        self._block += 1
        if begin == 0:
            self.sent.append(time.monotonic())
        return AudioFrame(self._samples[begin : begin + BLOCK], SAMPLE_RATE, due)


class Pictures(PacedSource):
    """What the camera shows, made beforehand."""

    def __init__(self, wanted: Format) -> None:
        super().__init__(1 / wanted.rate, "pictures")
        self._frames = drawn(wanted)
        self._count = 0

    def make(self, due: float) -> VideoFrame:
        """The next one."""
        self._count += 1
        return self._frames[self._count % len(self._frames)].at(due)


class Ear:
    """Notes when beeps are heard."""

    def __init__(self) -> None:
        self.heard: list[float] = []
        self.blocks = self.pictures = 0

    def hear(self, block: AudioFrame) -> None:
        """A block came."""
        self.blocks += 1
        now = time.monotonic()
        if int(np.abs(block.samples).max()) > LOUD and (
            not self.heard or now - self.heard[-1] > 0.5
        ):
            self.heard.append(now)

    def see(self, _: VideoFrame) -> None:
        """A picture came."""
        self.pictures += 1


def cpu_seconds() -> float:
    """Of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def prepare(
    session: ringmesh.P2PSession, login: str, stream: ringmesh.LocalStream | None, fifo: str
) -> None:
    """Decide what is sent, and in the case of devices where it is played."""
    if stream is not None:
        await session.init_local_media_stream(stream)
        return
    await session.select_audio_input(f"mic_{login}")
    await session.switch_camera(f"lavfi:{source_of(fifo)}")
    await session.select_audio_output(f"ear_{login}")


async def main(
    url: str, login: str, kind: str, wanted: Format, fifo: str, callee: int | None
) -> None:
    """Call, or answer, and measure."""
    beeps, ear = (Beeps() if kind == "engine" else None), Ear()
    stream = beeps and ringmesh.LocalStream(audio=beeps, video=Pictures(wanted))
    media = ringmesh.RTCMediaConfig(
        min_width=wanted.width, min_height=wanted.height, min_frame_rate=wanted.rate
    )
    async with ringmesh.connect(url, login=login, password="chain-chain", media=media) as me:
        print(json.dumps({"id": me.id}), flush=True)
        if callee is None:
            session = (await me.calls.wait_for(ringmesh.ReceiveNewSession)).session
            await prepare(session, login, stream, fifo)
            await session.accept_call()
        else:
            session = me.calls.create_call_session(ringmesh.CallType.VIDEO_CALL, [callee])
            await prepare(session, login, stream, fifo)
            await session.start_call()
        remote = (await session.wait_for(ringmesh.RemoteStreamReceived, timeout=30)).stream
        remote.on_video_frame(ear.see)
        if beeps is not None:
            remote.on_audio(ear.hear)
        while line := await asyncio.to_thread(sys.stdin.readline):
            begun, used, pictures = time.monotonic(), cpu_seconds(), ear.pictures
            await asyncio.sleep(float(line))
            seconds = time.monotonic() - begun
            found = {
                "cores": (cpu_seconds() - used) / seconds,
                "pictures": (ear.pictures - pictures) / seconds,
                "sent": beeps.sent if beeps is not None else [],
                "heard": ear.heard,
            }
            print(json.dumps(found), flush=True)
        await session.hang_up()


if __name__ == "__main__":
    url, login, kind, pictures, fifo, *others = sys.argv[1:]
    callee = int(others[0]) if others else None
    asyncio.run(main(url, login, kind, Format.parse(pictures), fifo, callee))
