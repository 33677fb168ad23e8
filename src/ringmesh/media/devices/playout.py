"""How much sound is kept in hand before an output. Pure."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.frames import Pcm

LEAD = 0.005
"""Seconds of silence before the first block, and again after the output ran dry: how late the next
blocks may be."""

SHORTEST_WATCH, LONGEST_WATCH = 100, 1600
"""Blocks for which more than needed has to wait before it is made less."""

LEAST_CUT, MOST_CUT = 0.002, 0.005
"""Seconds by which a block is made shorter."""


class Playout:
    """Decides what is played of the blocks that come.

    An output that ran dry goes on when the next block comes, and then has in hand as much as that
    block was late, and `LEAD`: what waits grows with how much the blocks' times vary. When more
    than `LEAD` always waited for a while, a block is made shorter. Each time that it ran dry
    doubles that while, and each while that went well halves it.

    Attributes:
        times_dry: how often the output ran dry.
    """

    def __init__(self) -> None:
        self._lead: Pcm = np.zeros(round(LEAD * SAMPLE_RATE), np.int16)
        self._begun = False
        self._watch = SHORTEST_WATCH
        self._seen = 0
        self._least = math.inf
        self.times_dry = 0

    def put(self, block: Pcm, queued: float, ran_dry: bool) -> list[Pcm]:
        """What is to be played now that a block of 10 ms comes.

        `queued` is how many seconds wait, `ran_dry` whether there was nothing since the last call.
        """
        if not self._begun or ran_dry:
            self.times_dry += ran_dry
            if self._begun:
                self._restart(min(2 * self._watch, LONGEST_WATCH))
            self._begun = True
            return [self._lead, block]
        self._least = min(self._least, queued)
        self._seen += 1
        if self._seen < self._watch:
            return [block]
        spare = self._least - LEAD
        self._restart(max(self._watch // 2, SHORTEST_WATCH))
        return [block if spare < LEAST_CUT else shortened(block, min(spare, MOST_CUT))]

    def _restart(self, watch: int) -> None:
        self._watch, self._seen, self._least = watch, 0, math.inf


def shortened(block: Pcm, most: float) -> Pcm:
    """The block without a part of `LEAST_CUT` to `most` seconds, fading from what is before it to
    what is behind: of the lengths the one where both are most alike, as one period of a voice."""
    samples = block.astype(np.float32)
    lags = range(round(LEAST_CUT * SAMPLE_RATE), round(most * SAMPLE_RATE) + 1)
    lag = max(lags, key=lambda lag: _likeness(samples[:-lag], samples[lag:]))
    weight = np.linspace(0.0, 1.0, len(samples) - lag, dtype=np.float32)
    faded: Pcm = (samples[:-lag] * (1 - weight) + samples[lag:] * weight).astype(np.int16)
    return faded


def _likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Their correlation, -1 to 1."""
    size = float(np.sqrt(np.dot(one, one) * np.dot(other, other)))
    return float(np.dot(one, other)) / size if size else 1.0
