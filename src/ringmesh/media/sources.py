"""Sources of pictures and sound.

A source has its own thread or clock and delivers frames from there between `start` and `stop`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import av

from ringmesh.media.frames import AudioFrame, Pcm, Pixels, VideoFrame


class VideoSource(Protocol):
    """Something that produces pictures."""

    def start(self, deliver: Callable[[VideoFrame], None]) -> None:
        """Begin, or go on, to call `deliver`, on any thread."""

    def stop(self) -> None:
        """Pause. No call of `deliver` begins after this returns."""

    def close(self) -> None:
        """Release everything. Idempotent."""


class AudioSource(Protocol):
    """Something that produces sound, in blocks of 10 or 20 ms at 48 kHz."""

    def start(self, deliver: Callable[[AudioFrame], None]) -> None:
        """Begin, or go on, to call `deliver`, on any thread."""

    def stop(self) -> None:
        """Pause. No call of `deliver` begins after this returns."""

    def close(self) -> None:
        """Release everything. Idempotent."""


class PushVideoSource:
    """Pictures that the application pushes, from any thread. The last one is repeated each second."""

    def push_frame(self, frame: Pixels | av.VideoFrame | VideoFrame, format: str = "rgb24") -> None:
        """Send a picture now: an array (height, width, 3) of uint8 in rgb24 or bgr24, or a frame.

        Raises `MediaError` for a wrong shape, dtype or size.
        """
        raise NotImplementedError


class PushAudioSource:
    """Sound that the application pushes, from any thread; played at real time, silence when empty."""

    def push_pcm(self, samples: Pcm, sample_rate: int = 48_000) -> float:
        """Queue int16 samples of shape (n,) or (n, 2); returns how many seconds are queued.

        The queue is bounded: sound beyond `max_seconds` raises `MediaError`. Also for a wrong shape or dtype.
        """
        raise NotImplementedError
