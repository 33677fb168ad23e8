"""The libraries alone: ``python -m benchmarks.media_chain.libraries LOGIN FIFO``.

Opens the devices that a side of the call opens, and drops what they give: a camera through PyAV, a
microphone through miniaudio, speakers through libpulse, and between them WebRTC's audio processing.
It writes a line when all of it runs, then a line of JSON for each line that it reads, a number of
seconds; and ends with its input.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from collections.abc import Generator
from typing import Any

import av
import miniaudio
import numpy as np
from pywebrtc_audio import AudioProcessor

from benchmarks.media_chain.camera import source_of
from benchmarks.media_chain.person import BLOCK, LOUD, beep_second, cpu_seconds
from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.devices.model import MediaDevice, MediaDeviceKind
from ringmesh.media.devices.pulse_playback import PulsePlayback
from ringmesh.media.devices.sound import PERIOD_MS


def show(fifo: str) -> None:
    """Decode the camera's pictures when they are due."""
    with av.open(source_of(fifo), format="lavfi") as container:
        begun = time.monotonic()
        for frame in container.decode(video=0):
            time.sleep(max(0.0, begun + (frame.time or 0.0) - time.monotonic()))


def cleaner() -> AudioProcessor:
    """WebRTC's audio processing with all that a call uses."""
    return AudioProcessor(
        sample_rate=SAMPLE_RATE,
        echo_cancellation=True,
        noise_suppression=True,
        auto_gain_control=True,
    )


def cleaning_delay() -> float:
    """Seconds by which it delays sound: from the second beep to where it comes out."""
    processor, silence = cleaner(), np.zeros(BLOCK, np.int16)
    blocks = np.tile(beep_second(), 2).reshape(-1, BLOCK)
    cleaned = np.concatenate([processor.process(block, silence) for block in blocks])
    loud = np.flatnonzero(np.abs(cleaned[SAMPLE_RATE:]) > LOUD)
    return float(loud[0]) / SAMPLE_RATE


class Sound:
    """A microphone whose sound is cleaned, and speakers that play a block of beeps for each."""

    def __init__(self, speakers: PulsePlayback) -> None:
        self._speakers = speakers
        self._processor = cleaner()

    def take(self) -> Generator[None, bytearray, None]:
        """What the microphone gives, cleaned."""
        for far in itertools.cycle(beep_second().reshape(-1, BLOCK)):
            data = yield
            self._processor.process(np.frombuffer(data, np.int16), far)
            self._speakers.write(far)


def opened(name: str, callback: Generator[None, bytearray, None]) -> Any:
    """A microphone that records."""
    pointer = miniaudio.ffi.new("ma_device_id *")
    miniaudio.ffi.buffer(pointer)[: len(name)] = name.encode()
    device = miniaudio.CaptureDevice(
        miniaudio.SampleFormat.SIGNED16,
        nchannels=1,
        sample_rate=SAMPLE_RATE,
        buffersize_msec=PERIOD_MS,
        device_id=pointer,
        backends=[miniaudio.Backend.PULSEAUDIO],
    )
    next(callback)
    device.start(callback)
    return device


def main(login: str, fifo: str) -> None:
    """Run all of it, and measure."""
    threading.Thread(target=show, args=(fifo,), daemon=True).start()
    ear = MediaDevice(f"ear_{login}", "speakers", MediaDeviceKind.AUDIO_OUTPUT)
    speakers = PulsePlayback(ear)
    microphone = opened(f"mic_{login}", Sound(speakers).take())
    print(json.dumps({"id": 0}), flush=True)
    for line in sys.stdin:
        begun, used = time.monotonic(), cpu_seconds()
        time.sleep(float(line))
        seconds = time.monotonic() - begun
        print(json.dumps({"cores": (cpu_seconds() - used) / seconds}), flush=True)
    microphone.close()
    speakers.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
