"""A test picture that machines can read, and a test tone; for tests, demos and checks of a path.

The code in the picture is drawn for coarse codecs. A strip over the full width, a quarter of the
height, at the top, is cut into 28 cells of equal width, each white (1) or black (0)::

    cell   0   1   2-5         6-21       22-27
           1   0   stream id   counter    check

Numbers are big-endian (the most significant bit is left). The counter counts frames and wraps at
65536; the check is ``(stream_id * 65536 + counter) % 61``. The rest of the picture is free. A
browser draws the same with 28 calls of ``fillRect``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ringmesh.errors import ConfigurationError
from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.frames import AudioFrame, Pcm, Pixels, VideoFrame
from ringmesh.media.sources import TICK, TICK_SAMPLES, PacedSource

CELLS = 28
COUNTER_MODULUS = 1 << 16
MAX_STREAM_ID = 15

_CHECK_MODULUS = 61
_MIN_CONTRAST = 60


@dataclass(frozen=True, slots=True)
class FrameCode:
    """What the code in a picture says.

    Attributes:
        stream_id: 0 to 15: whose picture it is.
        counter: number of the frame, modulo 65536.
    """

    stream_id: int
    counter: int

    def cells(self) -> tuple[int, ...]:
        """The 28 cells from left to right, 1 for white."""
        value = self.stream_id * COUNTER_MODULUS + self.counter
        bits = f"10{value:020b}{value % _CHECK_MODULUS:06b}"
        return tuple(int(bit) for bit in bits)


def read_code(frame: VideoFrame) -> FrameCode | None:
    """Read the code from a picture of any size; None where there is none, or it is damaged."""
    luma = frame.luma()
    edges = np.linspace(0, frame.width, CELLS + 1)
    rows = luma[frame.height // 16 : frame.height * 3 // 16]
    levels = [
        float(rows[:, _inner(edges[index], edges[index + 1])].mean()) for index in range(CELLS)
    ]
    if levels[0] - levels[1] < _MIN_CONTRAST:
        return None
    threshold = (levels[0] + levels[1]) / 2
    bits = "".join("1" if level > threshold else "0" for level in levels)
    value, check = int(bits[2:22], 2), int(bits[22:], 2)
    if value % _CHECK_MODULUS != check:
        return None
    return FrameCode(value // COUNTER_MODULUS, value % COUNTER_MODULUS)


def is_black(frame: VideoFrame) -> bool:
    """Whether a picture is black, as far as a codec leaves it so."""
    return float(frame.luma().mean()) < 24 and int(frame.luma().max()) < 60


@dataclass(frozen=True, slots=True)
class Tone:
    """The strongest frequency in a piece of sound.

    Attributes:
        frequency: Hz.
        level: root mean square of the whole piece, 0 to 1.
        purity: share of the energy at this frequency, 0 to 1.
    """

    frequency: float
    level: float
    purity: float


def dominant_tone(samples: Pcm, sample_rate: int = SAMPLE_RATE) -> Tone:
    """Find the strongest frequency; 0.2 s and more of mono sound give it to about 1 Hz."""
    signal = samples.astype(np.float64) / 32768
    level = float(np.sqrt(np.mean(signal**2))) if len(signal) else 0.0
    if level < 1e-4:
        return Tone(0.0, level, 0.0)
    energy = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2
    peak = int(np.argmax(energy[1:])) + 1
    near = slice(max(1, peak - 3), peak + 4)
    weights = energy[near]
    bins = np.arange(len(energy))[near]
    frequency = float((bins * weights).sum() / weights.sum()) * sample_rate / len(signal)
    return Tone(frequency, level, float(weights.sum() / energy[1:].sum()))


class SyntheticVideoSource(PacedSource):
    """The coded picture with coloured bars below it and a block that moves over them."""

    def __init__(
        self,
        width: int = 640,
        height: int = 360,
        frame_rate: float = 25.0,
        stream_id: int = 0,
    ) -> None:
        """`width` and `height` in pixels, even, at least 160x90; `frame_rate` per second."""
        if width % 2 or height % 2 or not (160 <= width <= 4096 and 90 <= height <= 4096):
            raise ConfigurationError(f"no synthetic picture of {width}x{height}")
        if not 1 <= frame_rate <= 120:
            raise ConfigurationError(f"a frame rate is 1 to 120 per second, not {frame_rate}")
        if not 0 <= stream_id <= MAX_STREAM_ID:
            raise ConfigurationError(f"a stream id is 0 to {MAX_STREAM_ID}, not {stream_id}")
        super().__init__(1 / frame_rate, "ringmesh-synthetic")
        self._width = width
        self._height = height
        self._stream_id = stream_id
        self._counter = 0
        self._background = _bars(width, height)

    def make(self, due: float) -> VideoFrame:
        """The next picture."""
        frame = self.draw(self._counter, timestamp=due)
        self._counter += 1
        return frame

    def draw(self, counter: int, *, timestamp: float = 0.0) -> VideoFrame:
        """The picture with this number."""
        width, height = self._width, self._height
        data = self._background.copy()
        luma = data[: width * height].reshape(height, width)
        code = FrameCode(self._stream_id, counter % COUNTER_MODULUS)
        levels = np.array([235 if cell else 16 for cell in code.cells()], np.uint8)
        columns = np.arange(width) * CELLS // width
        luma[: height // 4] = levels[columns]
        side = height // 4 & ~1
        left = counter * 4 % (width - side)
        top = height // 2 + round(height / 8 * np.sin(counter / 12))
        luma[top : top + side, left : left + side] = 235
        return VideoFrame(data, width, height, timestamp=timestamp)


class ToneSource(PacedSource):
    """A sine tone at a quarter of full scale."""

    def __init__(self, frequency: float = 440.0) -> None:
        """`frequency` in Hz, 20 to 20000."""
        if not 20 <= frequency <= 20_000:
            raise ConfigurationError(f"a tone is 20 to 20000 Hz, not {frequency}")
        super().__init__(TICK, "ringmesh-tone")
        self._step = 2 * np.pi * frequency / SAMPLE_RATE
        self._phase = 0.0

    def make(self, due: float) -> AudioFrame:
        """The next 20 ms."""
        phases = self._phase + self._step * np.arange(TICK_SAMPLES)
        self._phase = float((self._phase + self._step * TICK_SAMPLES) % (2 * np.pi))
        samples: Pcm = (np.sin(phases) * 8192).astype(np.int16)
        return AudioFrame(samples, SAMPLE_RATE, due)


def _inner(left: float, right: float) -> slice:
    """The middle half of a cell, away from its blurred edges."""
    quarter = (right - left) / 4
    start = round(left + quarter)
    return slice(start, max(start + 1, round(right - quarter)))


def _bars(width: int, height: int) -> Pixels:
    """Eight coloured bars as packed I420."""
    data = VideoFrame.black(width, height).i420()
    size = width * height
    bar = np.arange(width) * 8 // width
    data[:size].reshape(height, width)[:] = (60 + bar * 20).astype(np.uint8)
    half = np.arange(width // 2) * 8 // (width // 2)
    chroma = data[size:].reshape(2, height // 2, width // 2)
    chroma[0] = (60 + half * 18).astype(np.uint8)
    chroma[1] = (200 - half * 18).astype(np.uint8)
    return data
