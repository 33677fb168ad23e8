"""Mixing the sound of several people into one, for speakers."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from ringmesh.media.audio import SAMPLE_RATE, AudioConverter
from ringmesh.media.frames import AudioFrame, Pcm

BLOCK = SAMPLE_RATE // 100
"""Samples of a block: 10 ms."""

START_BLOCKS = 2
"""Blocks that a voice waits for before it plays, and again after it ran dry."""

MAX_BLOCKS = 12
"""Blocks of one voice that may wait; when one more comes the oldest is dropped."""

SHRINK_AFTER = 100
"""Blocks during which more than `START_BLOCKS` always waited; then two become one."""


class Voice:
    """What one person says, waiting to be played.

    The sender's clock and ours differ, and blocks come in bursts. A queue that stays long is made
    shorter by 10 ms once a second, by blending two blocks into one, until it is short again.
    """

    def __init__(self, start_blocks: int = START_BLOCKS) -> None:
        self._start_blocks = start_blocks
        self._converter = AudioConverter()
        self._blocks: deque[Pcm] = deque(maxlen=MAX_BLOCKS)
        self.playing = False
        self._fewest = MAX_BLOCKS
        self._taken = 0

    @property
    def waiting(self) -> int:
        """Blocks that wait."""
        return len(self._blocks)

    def put(self, frame: AudioFrame) -> None:
        """Sound came in, of any rate and length."""
        self._blocks.extend(block.samples for block in self._converter.convert(frame))

    def take(self) -> Pcm | None:
        """The next block to play; None for silence."""
        waiting = self.waiting
        self.playing = waiting > 0 and (self.playing or waiting >= self._start_blocks)
        if not self.playing:
            return None
        self._fewest = min(self._fewest, waiting)
        self._taken += 1
        block = self._blocks.popleft()
        if self._taken == SHRINK_AFTER:
            if self._fewest > self._start_blocks:
                block = blend(block, self._blocks.popleft())
            self._taken, self._fewest = 0, MAX_BLOCKS
        return block


class Mixer:
    """The voices of a call, mixed. Sound comes in and is taken on different threads."""

    def __init__(self, start_blocks: int = START_BLOCKS) -> None:
        """`start_blocks`: how many a voice waits for before it plays."""
        self._start_blocks = start_blocks
        self._voices: dict[object, Voice] = {}
        self._rest: Pcm = np.zeros(0, np.int16)
        self._lock = threading.Lock()

    def put(self, speaker: object, frame: AudioFrame) -> None:
        """Somebody's sound came in."""
        with self._lock:
            voice = self._voices.get(speaker)
            if voice is None:
                voice = self._voices[speaker] = Voice(self._start_blocks)
            voice.put(frame)

    def remove(self, speaker: object) -> None:
        """Somebody is gone."""
        with self._lock:
            self._voices.pop(speaker, None)

    def restart(self) -> None:
        """Forget what waits: for a while nobody took it."""
        with self._lock:
            self._voices.clear()

    def take(self, count: int) -> Pcm:
        """The next `count` samples of everybody together."""
        with self._lock:
            if count == BLOCK and not len(self._rest):
                return self._mixed()
            parts = [self._rest]
            missing = count - len(self._rest)
            while missing > 0:
                parts.append(self._mixed())
                missing -= BLOCK
            samples = np.concatenate(parts)
            self._rest = samples[count:]
            return samples[:count]

    def take_complete(self) -> Pcm | None:
        """10 ms of everybody, once all who were heard last have given them; None before.

        Nobody is waited for when another one's next block is there, too.
        """
        with self._lock:
            waiting = [voice.waiting for voice in self._voices.values()]
            missing = any(voice.playing and not voice.waiting for voice in self._voices.values())
            if max(waiting, default=0) < (2 if missing else 1):
                return None
            return self._mixed()

    def _mixed(self) -> Pcm:
        blocks = [block for voice in self._voices.values() if (block := voice.take()) is not None]
        if len(blocks) < 2:
            return blocks[0] if blocks else np.zeros(BLOCK, np.int16)
        total = np.zeros(BLOCK, np.int32)
        for block in blocks:
            total += block
        return np.clip(total, -32768, 32767).astype(np.int16)


def blend(first: Pcm, second: Pcm) -> Pcm:
    """One block that begins as the first and ends as the second."""
    weight = np.linspace(0.0, 1.0, len(first), dtype=np.float32)
    return (first * (1 - weight) + second * weight).astype(np.int16)
