"""Pictures that are hard to encode, and whether a limit is obeyed, in bytes."""

from __future__ import annotations

import asyncio
from collections import deque

import numpy as np

from ringmesh import LocalStream, P2PSession
from ringmesh.media.frames import VideoFrame
from ringmesh.media.sources import PacedSource

LIMIT = 90.0
"""Seconds for a rate to settle."""

WINDOW = 4.0
"""Seconds over which bytes are counted."""

TOLERANCE = 0.1
LASTING = 4
"""Windows, a second apart, in which the rate must be right."""


class HardPicture(PacedSource):
    """Noise in blocks, new in each picture: worth several Mbit/s at 640x360."""

    def __init__(self) -> None:
        super().__init__(1 / 25, "hard picture")
        noise = np.random.default_rng(1)
        self._frames = [_noise(noise) for _ in range(12)]
        self._count = 0

    def make(self, due: float) -> VideoFrame:
        """The next picture."""
        self._count += 1
        return self._frames[self._count % len(self._frames)].at(due)


def _noise(noise: np.random.Generator) -> VideoFrame:
    blocks = noise.integers(0, 255, (23, 40, 3), np.uint8)
    return VideoFrame.from_ndarray(np.ascontiguousarray(np.kron(blocks, _BLOCK)[:360, :640]))


_BLOCK = np.ones((16, 16, 1), np.uint8)


def hard_stream() -> LocalStream:
    """The pictures, without sound."""
    return LocalStream(video=HardPicture())


async def carries(
    session: P2PSession, user_id: int, kind: str, low: float, high: float = float("inf")
) -> None:
    """Wait until the payload of ``video_sent`` or ``video_received`` stays between these kbit/s."""
    history: deque[tuple[float, int]] = deque()
    rates: list[int] = []
    try:
        async with asyncio.timeout(LIMIT):
            while True:
                stats = await session.get_stats(user_id)
                part = getattr(stats, kind)
                history.append((stats.timestamp, part.bytes if part is not None else 0))
                while len(history) > 2 and history[1][0] <= history[-1][0] - WINDOW:
                    history.popleft()
                seconds = history[-1][0] - history[0][0]
                if seconds >= WINDOW:
                    rates.append(round((history[-1][1] - history[0][1]) * 8 / seconds / 1000))
                    if len(rates) >= LASTING and all(low <= r <= high for r in rates[-LASTING:]):
                        return
                await asyncio.sleep(1)
    except TimeoutError:
        raise AssertionError(f"{kind} is to be {low} to {high} kbit/s, was {rates}") from None


async def obeys(session: P2PSession, user_id: int, kind: str, kbps: int) -> None:
    """Wait until ``video_sent`` or ``video_received`` stays within 10 % of a limit."""
    await carries(session, user_id, kind, kbps * (1 - TOLERANCE), kbps * (1 + TOLERANCE))


async def all_obey(session: P2PSession, user_id: int, *, sent: int, received: int) -> None:
    """Both directions, at the same time."""
    async with asyncio.TaskGroup() as group:
        group.create_task(obeys(session, user_id, "video_sent", sent))
        group.create_task(obeys(session, user_id, "video_received", received))
