"""Conversion of sound between rates, channel counts and block lengths."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np

from ringmesh.errors import ConfigurationError
from ringmesh.media.frames import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, AudioFrame, Pcm

SAMPLE_RATE = 48_000
"""Hz: what sources deliver and peers exchange."""

_LAYOUTS = {1: "mono", 2: "stereo"}


class AudioConverter:
    """Turns blocks of any rate, channel count and length into blocks of one kind.

    Keeps a remainder shorter than a block, and the resampler's state, between calls.
    """

    def __init__(self, sample_rate: int = SAMPLE_RATE, channels: int = 1, block_ms: int = 10):
        """`sample_rate` in Hz, `channels` 1 or 2, `block_ms` the length of the blocks."""
        if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE or sample_rate % 100:
            raise ConfigurationError(f"cannot convert sound to {sample_rate} Hz")
        if channels not in _LAYOUTS:
            raise ConfigurationError(f"sound has 1 or 2 channels, not {channels}")
        self._rate = sample_rate
        self._channels = channels
        self._block = sample_rate * block_ms // 1000
        self._shape = () if channels == 1 else (channels,)
        self._rest: Pcm = np.empty((0, *self._shape), np.int16)
        self._resampler: av.AudioResampler | None = None
        self._input: tuple[int, int] | None = None

    def convert(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Whole blocks that are ready after this one."""
        if len(frame.samples) == self._block and not len(self._rest) and self._fits(frame):
            yield frame  # what engines and devices deliver
            return
        end = frame.timestamp + frame.duration
        samples = self._resampled(frame)
        if len(self._rest):
            samples = np.concatenate((self._rest, samples))
        whole = len(samples) - len(samples) % self._block
        self._rest = samples[whole:]
        for start in range(0, whole, self._block):
            timestamp = end - (len(samples) - start) / self._rate
            yield AudioFrame(samples[start : start + self._block], self._rate, timestamp)

    def _fits(self, frame: AudioFrame) -> bool:
        return frame.sample_rate == self._rate and frame.channels == self._channels

    def _resampled(self, frame: AudioFrame) -> Pcm:
        if self._fits(frame):
            return frame.samples
        kind = (frame.sample_rate, frame.channels)
        if self._resampler is None or kind != self._input:
            self._input = kind
            self._resampler = av.AudioResampler("s16", _LAYOUTS[self._channels], self._rate)
        source = frame.to_av()
        source.pts = None  # the samples follow each other, whatever their blocks' timestamps say
        parts = [
            np.asarray(part.to_ndarray(), np.int16).reshape(-1, *self._shape)
            for part in self._resampler.resample(source)
        ]
        return np.concatenate(parts) if parts else np.empty((0, *self._shape), np.int16)
