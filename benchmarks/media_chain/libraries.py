"""The libraries alone: ``python -m benchmarks.media_chain.libraries LOGIN``.

Opens the devices that a side of the call opens, and drops what they give: a camera through PyAV, a
microphone and speakers through miniaudio, and between them WebRTC's audio processing. It writes a
line when all of it runs, then a line of JSON for each line that it reads, a number of seconds; and
ends with its input.
"""

from __future__ import annotations

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

from benchmarks.media_chain.person import BLOCK, CAMERA, beep_second, cpu_seconds
from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.devices.sound import PERIOD_MS


def show() -> None:
    """Decode the camera's pictures when they are due."""
    with av.open(CAMERA, format="lavfi") as container:
        begun = time.monotonic()
        for frame in container.decode(video=0):
            time.sleep(max(0.0, begun + (frame.time or 0.0) - time.monotonic()))


class Sound:
    """A microphone whose sound is cleaned, and speakers that play beeps."""

    def __init__(self) -> None:
        self._blocks = beep_second().reshape(-1, BLOCK)
        self._far = self._blocks[0]
        self._processor = AudioProcessor(
            sample_rate=SAMPLE_RATE,
            echo_cancellation=True,
            noise_suppression=True,
            auto_gain_control=True,
        )

    def take(self) -> Generator[None, bytearray, None]:
        """What the microphone gives, cleaned."""
        while True:
            data = yield
            self._processor.process(np.frombuffer(data, np.int16), self._far)

    def give(self) -> Generator[bytes, int, None]:
        """What the speakers play."""
        yield b""
        while True:
            for block in self._blocks:
                self._far = block
                yield block.tobytes()


def opened(kind: Any, name: str, callback: Generator[Any, Any, None]) -> Any:
    """A device that runs."""
    pointer = miniaudio.ffi.new("ma_device_id *")
    miniaudio.ffi.buffer(pointer)[: len(name)] = name.encode()
    device = kind(
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


def main(login: str) -> None:
    """Run all of it, and measure."""
    sound = Sound()
    threading.Thread(target=show, daemon=True).start()
    speakers = opened(miniaudio.PlaybackDevice, f"ear_{login}", sound.give())
    microphone = opened(miniaudio.CaptureDevice, f"mic_{login}", sound.take())
    print(json.dumps({"id": 0}), flush=True)
    for line in sys.stdin:
        begun, used = time.monotonic(), cpu_seconds()
        time.sleep(float(line))
        seconds = time.monotonic() - begun
        print(json.dumps({"cores": (cpu_seconds() - used) / seconds}), flush=True)
    microphone.close()
    speakers.close()


if __name__ == "__main__":
    main(sys.argv[1])
