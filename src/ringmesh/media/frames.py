"""Pictures and sound as values: what sources produce and sinks receive."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Self, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from ringmesh.errors import MediaError

Pixels: TypeAlias = NDArray[np.uint8]
Pcm: TypeAlias = NDArray[np.int16]

MIN_SIDE = 16
MAX_SIDE = 8192
MIN_SAMPLE_RATE = 8_000
MAX_SAMPLE_RATE = 192_000

_MICROSECOND = Fraction(1, 1_000_000)


class VideoFrame:
    """One picture: planar YUV 4:2:0 (I420), 8 bits, BT.601 limited range, sides even.

    Frames are not changed after they were made: everybody who receives one may keep it.

    Attributes:
        width: pixels, even.
        height: pixels, even.
        timestamp: seconds on the monotonic clock (`time.monotonic`): when it is to be seen.
        rotation: clockwise degrees to turn it for showing: 0, 90, 180 or 270. Pixels are unturned.
    """

    __slots__ = ("_i420", "height", "rotation", "timestamp", "width")

    def __init__(
        self,
        i420: Pixels | None,
        width: int,
        height: int,
        *,
        timestamp: float = 0.0,
        rotation: int = 0,
    ) -> None:
        """`i420` holds the planes Y, U and V, packed, `width * height * 3 / 2` bytes."""
        self._i420 = i420
        self.width = width
        self.height = height
        self.timestamp = timestamp
        self.rotation = rotation

    @classmethod
    def from_ndarray(cls, pixels: Pixels, format: str = "rgb24", *, timestamp: float = 0.0) -> Self:
        """From a picture of shape (height, width, 3), dtype uint8; `format` is rgb24 or bgr24.

        Odd sides lose their last row or column. Raises `MediaError` for anything else.
        """
        if format not in ("rgb24", "bgr24"):
            raise MediaError(f"a picture is rgb24 or bgr24, not {format!r}")
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
            kind = getattr(pixels, "dtype", type(pixels).__name__)
            raise MediaError(f"a picture is a numpy array of uint8, not {kind}")
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise MediaError(f"a picture has the shape (height, width, 3), not {pixels.shape}")
        _check_size(pixels.shape[1], pixels.shape[0])
        even = pixels[: pixels.shape[0] & ~1, : pixels.shape[1] & ~1]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format=format)
        return cls.from_av(frame, timestamp=timestamp)

    @classmethod
    def from_av(cls, frame: av.VideoFrame, *, timestamp: float = 0.0) -> Self:
        """From a PyAV frame of any pixel format. Raises `MediaError` for impossible sizes."""
        _check_size(frame.width, frame.height)
        width, height = frame.width & ~1, frame.height & ~1
        if frame.format.name != "yuv420p" or (width, height) != (frame.width, frame.height):
            frame = frame.reformat(width=width, height=height, format="yuv420p")
        return cls(_packed(frame), width, height, timestamp=timestamp)

    @classmethod
    def black(cls, width: int, height: int, *, timestamp: float = 0.0) -> Self:
        """A black picture."""
        data = np.full(width * height * 3 // 2, 128, np.uint8)
        data[: width * height] = 16
        return cls(data, width, height, timestamp=timestamp)

    def i420(self) -> Pixels:
        """The packed planes, one-dimensional. Do not change them."""
        assert self._i420 is not None
        return self._i420

    def luma(self) -> Pixels:
        """The Y plane, shape (height, width): a grey picture, 16 black to 235 white."""
        return self.i420()[: self.width * self.height].reshape(self.height, self.width)

    def to_av(self) -> av.VideoFrame:
        """A PyAV frame in yuv420p; its time is the timestamp, in microseconds."""
        planes = self.i420().reshape(self.height * 3 // 2, self.width)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = round(self.timestamp * 1e6), _MICROSECOND
        return frame

    def to_ndarray(self, format: str = "rgb24") -> Pixels:
        """Pixels in any packed format that PyAV knows: rgb24 and bgr24 give (height, width, 3)."""
        return np.asarray(self.to_av().to_ndarray(format=format), np.uint8)

    def at(self, timestamp: float) -> VideoFrame:
        """The same picture at another time."""
        return VideoFrame(
            self.i420(), self.width, self.height, timestamp=timestamp, rotation=self.rotation
        )

    def __repr__(self) -> str:
        return f"<VideoFrame {self.width}x{self.height} at {self.timestamp:.3f} s>"


@dataclass(frozen=True, slots=True, eq=False)
class AudioFrame:
    """A block of sound, 10 ms unless a source says otherwise.

    Attributes:
        samples: int16; shape (n,) when mono, (n, channels) otherwise.
        sample_rate: Hz.
        timestamp: seconds on the monotonic clock: when its first sample is to be heard.
    """

    samples: Pcm
    sample_rate: int
    timestamp: float = 0.0

    @property
    def channels(self) -> int:
        """How many samples there are per instant."""
        return 1 if self.samples.ndim == 1 else int(self.samples.shape[1])

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate

    def to_av(self) -> av.AudioFrame:
        """A PyAV frame in s16, interleaved; its time is the timestamp, in samples."""
        packed = np.ascontiguousarray(self.samples).reshape(1, -1)
        layout = "mono" if self.channels == 1 else "stereo"
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
        frame.sample_rate = self.sample_rate
        frame.pts = round(self.timestamp * self.sample_rate)
        frame.time_base = Fraction(1, self.sample_rate)
        return frame

    def at(self, timestamp: float) -> AudioFrame:
        """The same sound at another time."""
        return replace(self, timestamp=timestamp)

    def silenced(self) -> AudioFrame:
        """Silence of the same length."""
        return replace(self, samples=np.zeros_like(self.samples))


def check_pcm(samples: Any, sample_rate: int) -> Pcm:
    """Check PCM that an application hands over.

    Raises `MediaError` unless it is int16 of shape (n,) or (n, 1 or 2) at a usable rate.
    """
    if not isinstance(samples, np.ndarray) or samples.dtype != np.int16:
        kind = getattr(samples, "dtype", type(samples).__name__)
        raise MediaError(f"PCM is a numpy array of int16, not {kind}")
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] not in (1, 2)):
        raise MediaError(f"PCM has the shape (n,) or (n, 2), not {samples.shape}")
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise MediaError(
            f"a sample rate is {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz, not {sample_rate}"
        )
    return samples[:, 0] if samples.ndim == 2 and samples.shape[1] == 1 else samples


def _check_size(width: int, height: int) -> None:
    if not (MIN_SIDE <= width <= MAX_SIDE and MIN_SIDE <= height <= MAX_SIDE):
        raise MediaError(
            f"a picture's sides are {MIN_SIDE} to {MAX_SIDE} pixels, not {width}x{height}"
        )


def _packed(frame: av.VideoFrame) -> Pixels:
    """Copy the planes of a yuv420p frame, whose rows may be padded, into one array."""
    packed: Pixels = np.empty(frame.width * frame.height * 3 // 2, np.uint8)
    offset = 0
    for plane in frame.planes:
        size = plane.width * plane.height
        rows: Pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(
            plane.height, plane.line_size
        )
        packed[offset : offset + size].reshape(plane.height, plane.width)[:] = rows[
            :, : plane.width
        ]
        offset += size
    return packed
