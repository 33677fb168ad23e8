"""CPU and delay from microphone to speakers.

``python -m benchmarks.media_chain [SECONDS] [ROUNDS] [WIDTHxHEIGHT@RATE]`` measures for 15 seconds,
three times, with pictures of 640x360@25. Two processes call each other, with pictures and sound
both ways, in two ways that take turns:

* engine: pictures and sound come from memory, and callbacks take what arrives;
* devices: a camera that shows the same pictures, a microphone with echo cancellation, noise
  suppression and gain control, and speakers, on a PulseAudio server of the benchmark's own. The
  camera is a process that writes into a pipe: who draws the pictures is not counted, who reads
  them is.

A third turn, libraries, runs two processes that do not call: PyAV, miniaudio, libpulse and
pywebrtc-audio on the same devices, with what they give dropped. Whatever the engine, that much
comes on top.

Beeps are played to the microphone. Their delay until they leave the speakers is measured in the
sound server; what the server itself needs to bring them to the microphone is subtracted. Beside it:
the delay from the engine's input to its output, and that of a plain recorder whose output is piped
to a plain player (parec, pacat), which is what the sound server itself needs, and that of the
cleaning by itself. Linux only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.media_chain.camera import Format
from benchmarks.media_chain.libraries import cleaning_delay
from benchmarks.media_chain.person import BLOCK, beep_second
from benchmarks.server import serving
from benchmarks.sides import answer, end, start, tell
from ringmesh.media.audio import SAMPLE_RATE
from tests.devices.sound_server import SoundServer

SETTLE = 6.0
"""Seconds before measuring."""

MOST_CPU, MOST_DELAY = 1.10, 0.020
"""Aims: times the engine alone, and seconds more than it."""

LOGINS = ("caller", "callee")

EARLY = 0.1
"""Seconds by which two recordings may be out of step."""

LATENCY = "--latency-msec=10"
FORMAT = ("--raw", "--format=s16le", "--rate=48000", "--channels=1", LATENCY)


class Recording:
    """What a source of the sound server gives, with the times at which beeps begin."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._data = bytearray()
        self._begun = float("inf")
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, source: str) -> Recording:
        """Record this source."""
        command = ("parec", f"--device={source}", *FORMAT)
        return cls(await asyncio.create_subprocess_exec(*command, stdout=PIPE))

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(BLOCK * 2):
            self._data += data
            # Delivery is late by more or less; the earliest tells when the recording began.
            self._begun = min(self._begun, time.monotonic() - len(self._data) / 2 / SAMPLE_RATE)

    async def stop(self) -> list[float]:
        """End; when the beeps began."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._task
        samples = np.abs(np.frombuffer(bytes(self._data[: len(self._data) // 2 * 2]), np.int16))
        loud = np.flatnonzero(samples > 0.25 * max(1000, int(samples.max(initial=0))))
        first = loud[np.flatnonzero(np.diff(loud, prepend=-SAMPLE_RATE) > SAMPLE_RATE // 2)]
        return [self._begun + index / SAMPLE_RATE for index in first]


def delays(before: list[float], after: list[float]) -> list[float]:
    """From each beep to the same one at the other end; it may seem a little earlier there."""
    found = [min((b - a for b in after if b >= a - EARLY), default=9.0) for a in before]
    return [delay for delay in found if delay < 1 - EARLY]


async def start_side(module: str, *arguments: str) -> tuple[Process, int]:
    """A side, and its id."""
    process = await start(f"media_chain.{module}", *arguments)
    return process, (await answer(process))["id"]


class Cameras:
    """One for each side.

    Attributes:
        format: of their pictures.
    """

    def __init__(self, wanted: Format, folder: Path) -> None:
        self.format = wanted
        self._folder = folder
        self._processes: list[Process] = []

    def fifo(self, login: str) -> str:
        """Where the pictures of this side's camera come from."""
        return str(self._folder / f"camera_{login}")

    async def start(self) -> None:
        """Switch them on."""
        for login in LOGINS:
            os.mkfifo(self.fifo(login))
            command = [sys.executable, "-m", "benchmarks.media_chain.camera"]
            self._processes.append(
                await asyncio.create_subprocess_exec(*command, self.fifo(login), str(self.format))
            )

    async def stop(self) -> None:
        """Switch them off."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class Recordings:
    """Of the beeps on their way."""

    def __init__(self, recordings: list[Recording]) -> None:
        self._recordings = recordings

    @classmethod
    async def start(cls) -> Recordings:
        """Record before the microphone, at it, and behind the speakers."""
        names = ("room_caller.monitor", "mic_caller", "ear_callee.monitor")
        return cls([await Recording.start(name) for name in names])

    async def delay(self) -> float:
        """Seconds from the microphone to behind the speakers."""
        room, mic, ear = [await recording.stop() for recording in self._recordings]
        return statistics.median(delays(room, ear)) - statistics.median(delays(room, mic) or [0.0])


async def measure_server(seconds: float) -> float:
    """The delay of a recorder whose output is played."""
    options = " ".join(FORMAT)
    pipe = f"parec --device=mic_caller {options} | pacat --device=ear_callee {options}"
    process = await asyncio.create_subprocess_exec("setsid", "sh", "-c", pipe)
    await asyncio.sleep(1)
    recordings = await Recordings.start()
    await asyncio.sleep(seconds)
    delay = await recordings.delay()
    os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    return delay


async def measure(
    url: str, kind: str, cameras: Cameras, seconds: float
) -> tuple[float, float, float]:
    """A call of this kind: cores of a side, seconds of delay, pictures per second."""

    async def side(login: str, *callee: str) -> tuple[Process, int]:
        pictures = (str(cameras.format), cameras.fifo(login))
        return await start_side("person", url, login, kind, *pictures, *callee)

    callee, callee_id = await side("callee")
    caller, _ = await side("caller", str(callee_id))
    sides = (caller, callee)
    await asyncio.sleep(SETTLE)
    recordings = await Recordings.start() if kind == "devices" else None
    found = await ask(sides, seconds)
    if recordings is not None:
        delay = await recordings.delay()
    else:
        delay = statistics.median(delays(found[0]["sent"], found[1]["heard"]))
    await end(sides)
    cores = statistics.mean(side["cores"] for side in found)
    return cores, delay, statistics.mean(side["pictures"] for side in found)


async def measure_libraries(cameras: Cameras, seconds: float) -> float:
    """Cores of a process that has the devices and no call."""
    sides = [(await start_side("libraries", login, cameras.fifo(login)))[0] for login in LOGINS]
    await asyncio.sleep(1)
    found = await ask(sides, seconds)
    await end(sides)
    return statistics.mean(side["cores"] for side in found)


async def ask(sides: Sequence[Process], seconds: float) -> list[dict[str, Any]]:
    """What they find in this time."""
    for side in sides:
        tell(side, seconds)
    return [await answer(side) for side in sides]


async def play(sink: str) -> None:
    """Beeps without end."""
    process = await asyncio.create_subprocess_exec(
        "pacat", "--playback", f"--device={sink}", *FORMAT, stdin=PIPE
    )
    assert process.stdin is not None
    try:
        while True:
            process.stdin.write(beep_second().tobytes())
            await process.stdin.drain()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def main(seconds: float, rounds: int, wanted: Format) -> None:
    """Measure and print the table."""
    figures: dict[str, list[tuple[float, float, float]]] = {"engine": [], "devices": []}
    server, libraries = [], []
    with tempfile.TemporaryDirectory() as folder:
        sound = SoundServer(Path(folder))
        await sound.start()
        os.environ["PULSE_SERVER"] = sound.address
        cameras = Cameras(wanted, Path(folder))
        await cameras.start()
        for login in LOGINS:
            await sound.plug_output(f"room_{login}")
            await sound.plug_output(f"ear_{login}")
            await sound.pactl(
                *("load-module", "module-remap-source", f"source_name=mic_{login}"),
                f"master=room_{login}.monitor",
            )
        players = [asyncio.create_task(play(f"room_{who}")) for who in LOGINS]
        try:
            async with serving(Path(folder) / "server", 18092) as url:
                for _ in range(rounds):
                    server.append(await measure_server(seconds))
                    libraries.append(await measure_libraries(cameras, seconds))
                    for kind, found in figures.items():
                        found.append(await measure(url, kind, cameras, seconds))
        finally:
            for player in players:
                player.cancel()
            await asyncio.gather(*players, return_exceptions=True)
            await cameras.stop()
            await sound.kill()
    print_table(figures, libraries, server)


def print_table(
    figures: dict[str, list[tuple[float, float, float]]],
    libraries: list[float],
    server: list[float],
) -> None:
    """Both kinds, and what the devices add."""
    print("| | cores of a side | delay of sound, ms | pictures/s |")
    print("|---|---|---|---|")
    for kind, found in figures.items():
        cores, delay, pictures = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"| {kind} | {cores:.3f} | {delay * 1000:.0f} | {pictures:.1f} |")
    cleaning = cleaning_delay()
    print(f"| libraries | {statistics.median(libraries):.3f} | | |")
    print(f"| cleaning by itself | | {cleaning * 1000:.0f} | |")
    print(f"| sound server | | {statistics.median(server) * 1000:.0f} | |")
    pairs = list(zip(figures["engine"], figures["devices"], strict=True))
    ratio = statistics.median(devices[0] / engine[0] for engine, devices in pairs)
    added = statistics.median(devices[1] - engine[1] for engine, devices in pairs)
    print(f"CPU: {ratio:.2f} times the engine alone; aim: at most {MOST_CPU}")
    floor = (engine[0] + bare for (engine, _), bare in zip(pairs, libraries, strict=True))
    above = statistics.median(
        devices[0] / least for (_, devices), least in zip(pairs, floor, strict=True)
    )
    print(f"CPU: {above:.2f} times the engine and the libraries")
    floor_ms = (statistics.median(server) + cleaning) * 1000
    print(f"delay: {added * 1000:.0f} ms more than the engine; aim: at most {MOST_DELAY * 1000:g}")
    print(f"delay: sound server and cleaning alone need {floor_ms:.0f} ms more than the engine")


if __name__ == "__main__":
    asyncio.run(
        main(
            float(sys.argv[1]) if sys.argv[1:] else 15.0,
            int(sys.argv[2]) if sys.argv[2:] else 3,
            Format.parse(sys.argv[3] if sys.argv[3:] else "640x360@25"),
        )
    )
