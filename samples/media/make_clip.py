"""Write the demo clip: 20 seconds of a moving pattern with a readable frame counter, and a tune.

    python samples/media/make_clip.py [demo.webm]

VP8 and Opus, 640x360, 25 pictures a second. The same program writes the same film every time;
nothing in it was made by anybody else. The strip at the top is the code of
`ringmesh.media.synthetic`, so that a recording of a call can be checked against the clip.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.synthetic import FrameCode

WIDTH, HEIGHT, FRAME_RATE, SECONDS = 640, 360, 25, 20
TUNE = (262, 294, 330, 392, 440, 392, 330, 294, 262, 330, 392, 523, 494, 440, 392, 330)
"""Hz; one note lasts half a second."""


def picture(number: int) -> av.VideoFrame:
    """Frame `number`: the code above slow waves of colour and an orbiting disc."""
    rows, columns = np.mgrid[0 : HEIGHT // 4, 0 : WIDTH // 4].astype(np.float32)
    time = number / FRAME_RATE
    wave = np.sin(columns / 15 + time) + np.sin(rows / 11 - time * 0.7)
    wave += np.sin((columns + rows) / 22 + time * 0.5)
    shifts = np.array([0.0, 2.1, 4.2], np.float32)
    small = (110 + 60 * np.sin(wave[:, :, None] + shifts + time * 0.4)).astype(np.uint8)
    waves = av.VideoFrame.from_ndarray(small, format="rgb24").reformat(WIDTH, HEIGHT, "yuv420p")
    planes = waves.to_ndarray()
    x, y = 320 + 220 * np.cos(time * 1.3), 225 + 80 * np.sin(time * 1.3)
    squares = (np.arange(WIDTH) - x) ** 2 + (np.arange(HEIGHT)[:, None] - y) ** 2
    planes[:HEIGHT][squares < 40**2] = 230
    planes[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)[:, : HEIGHT // 8] = 128
    cells = np.array(FrameCode(0, number).cells())
    planes[: HEIGHT // 4] = 16 + 219 * cells[np.arange(WIDTH) * len(cells) // WIDTH]
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def note(number: int) -> NDArray[np.int16]:
    """Half a second of the tune: a fundamental and its octave, fading."""
    times = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    frequency = TUNE[number % len(TUNE)]
    sound = np.sin(2 * np.pi * frequency * times) + 0.3 * np.sin(4 * np.pi * frequency * times)
    envelope = np.minimum(times / 0.01, 1) * np.exp(-times * 3)
    return (sound * envelope * 9000).astype(np.int16)


def write_clip(path: Path) -> None:
    """Encode the clip."""
    with av.open(str(path), "w", format="webm", options={"fflags": "+bitexact"}) as container:
        # A negative cpu-used does not depend on the speed of the machine.
        options = {"deadline": "realtime", "cpu-used": "-5", "flags": "+bitexact"}
        video = container.add_stream("libvpx", rate=FRAME_RATE, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.bit_rate = 800_000
        audio = container.add_stream("libopus", rate=SAMPLE_RATE, options={"flags": "+bitexact"})
        audio.codec_context.layout = "mono"
        for number in range(SECONDS * FRAME_RATE):
            if number * 2 % FRAME_RATE < 2:
                block = av.AudioFrame.from_ndarray(
                    note(number * 2 // FRAME_RATE)[None, :], format="s16", layout="mono"
                )
                block.sample_rate, block.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
                block.pts = number * 2 // FRAME_RATE * (SAMPLE_RATE // 2)
                container.mux(audio.encode(block))
            frame = picture(number)
            frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
            container.mux(video.encode(frame))
        for stream in (video, audio):
            container.mux(stream.encode(None))


def main() -> None:
    """Write the clip to the path on the command line."""
    parser = argparse.ArgumentParser(description="Write the demo clip.")
    parser.add_argument("path", nargs="?", type=Path, default=Path("demo.webm"))
    path = parser.parse_args().path
    write_clip(path)
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
