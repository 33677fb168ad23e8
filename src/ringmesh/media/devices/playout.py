"""How much sound is kept in hand before an output. Pure."""

from __future__ import annotations

import math

import numpy as np

from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.devices.mixer import BLOCK, blend
from ringmesh.media.frames import Pcm

LEAD = 0.005
"""Seconds of silence before the first block, and again after the output ran dry: how late the next
blocks may be."""

SHORTEST_WATCH, LONGEST_WATCH = 100, 1600
"""Blocks for which more than needed has to wait before it is made less."""

ENOUGH = BLOCK / SAMPLE_RATE + LEAD
"""Seconds: when at least that much always waited a block can go."""


class Playout:
    """Decides what is played of the blocks that come.

    An output that ran dry goes on when the next block comes, and then has in hand as much as that
    block was late, and `LEAD`: what waits grows with how much the blocks' times vary. When more
    than `ENOUGH` always waited for a while, two blocks become one. Each time that it ran dry
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
        self._held: Pcm | None = None
        self.times_dry = 0

    def put(self, block: Pcm, queued: float, ran_dry: bool) -> list[Pcm]:
        """What is to be played now that a block of 10 ms comes.

        `queued` is how many seconds wait, `ran_dry` whether there was nothing since the last call.
        """
        if self._held is not None:
            block, self._held = blend(self._held, block), None
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
        if self._least > ENOUGH:
            self._held = block
        self._restart(max(self._watch // 2, SHORTEST_WATCH))
        return [] if self._held is not None else [block]

    def _restart(self, watch: int) -> None:
        self._watch, self._seen, self._least = watch, 0, math.inf
