"""Sound of several people in step, without any clock: what a recording of a whole call plays."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from ringmesh.media.audio import SAMPLE_RATE, AudioConverter
from ringmesh.media.frames import AudioFrame

MAX_GAP = 0.25
"""Seconds that a block may be off before its sound is moved at once: something is missing."""

MAX_DRIFT = 0.02
"""Seconds that blocks may be off on average, over about a second, before their sound is moved."""

BLOCK = SAMPLE_RATE // 50
"""Samples that are taken out at once: 20 ms, one Opus packet."""

WINDOW = 6 * SAMPLE_RATE
"""Samples that can be mixed ahead of what was taken out."""


class Placer:
    """Finds each block of one person's sound its place, in samples from `origin`.

    Timestamps jitter by what threads and networks are late, samples do not: blocks follow each
    other without a gap unless they are off by `MAX_GAP`, or by `MAX_DRIFT` on average.
    """

    def __init__(self, origin: float) -> None:
        self._origin = origin
        self._drift = 0.0
        self.position: int | None = None

    def place(self, block: AudioFrame) -> int:
        """Where the first sample of this block, at 48 kHz, goes."""
        wanted = round((block.timestamp - self._origin) * SAMPLE_RATE)
        length = len(block.samples)
        if self.position is None:
            self.position = wanted
        off = wanted - self.position
        self._drift += (off - self._drift) * length / SAMPLE_RATE
        if abs(off) > MAX_GAP * SAMPLE_RATE:
            self.position, self._drift = wanted, 0.0
        elif abs(self._drift) > MAX_DRIFT * SAMPLE_RATE:
            self.position += round(self._drift)
            self._drift = 0.0
        start = self.position
        self.position += length
        return start


class AudioMix:
    """Adds up the sound of everybody. What comes later than it was taken out is lost."""

    def __init__(self, origin: float) -> None:
        """`origin`: the timestamp of the first sample that is taken out."""
        self._origin = origin
        self._sources: dict[Hashable, tuple[AudioConverter, Placer]] = {}
        self._sum: NDArray[np.int32] = np.zeros(WINDOW, np.int32)
        self._start = 0

    def add(self, source: Hashable, frame: AudioFrame) -> None:
        """Mix a block of any rate and length in."""
        if source not in self._sources:
            self._sources[source] = AudioConverter(), Placer(self._origin)
        converter, placer = self._sources[source]
        for block in converter.convert(frame):
            samples = block.samples
            at = placer.place(block) - self._start
            if at < 0:
                samples, at = samples[-at:], 0
            room = self._sum[at : at + len(samples)]
            room += samples[: len(room)]

    def remove(self, source: Hashable) -> None:
        """Somebody has left; what was mixed in stays."""
        self._sources.pop(source, None)

    def heard_until(self) -> float | None:
        """Until when the sound of everybody is there; None while there is nobody."""
        positions = [placer.position or 0 for _, placer in self._sources.values()]
        return self._origin + min(positions) / SAMPLE_RATE if positions else None

    def take(self, until: float) -> AudioFrame | None:
        """What was mixed up to here, in whole blocks of 20 ms; None if that is less than one."""
        length = round((until - self._origin) * SAMPLE_RATE) - self._start
        length = min(length - length % BLOCK, WINDOW)
        if length <= 0:
            return None
        mixed = np.clip(self._sum[:length], -32768, 32767).astype(np.int16)
        self._sum = np.concatenate((self._sum[length:], np.zeros(length, np.int32)))
        timestamp = self._origin + self._start / SAMPLE_RATE
        self._start += length
        return AudioFrame(mixed, SAMPLE_RATE, timestamp)
