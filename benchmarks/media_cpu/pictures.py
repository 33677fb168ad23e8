"""Camera-like pictures, made beforehand so that drawing costs nothing while measuring."""

from __future__ import annotations

import av
import numpy as np

from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.sources import PacedSource

WIDTH, HEIGHT, FRAME_RATE = 1280, 720, 30
COUNT = 60


def pictures() -> list[VideoFrame]:
    """Two seconds that pan over a textured scene while a block crosses it; play them to and fro."""
    generator = np.random.default_rng(7)
    rows, columns = HEIGHT + 128, WIDTH + 256
    scene = np.zeros((rows, columns, 3), np.float32)
    for scale, weight in ((8, 0.15), (32, 0.35), (128, 0.5)):
        noise = generator.integers(0, 255, (rows // scale + 1, columns // scale + 1, 3))
        small = av.VideoFrame.from_ndarray(noise.astype(np.uint8), format="rgb24")
        scene += weight * small.reformat(columns, rows, "rgb24", interpolation=4).to_ndarray()
    grain = generator.normal(0, 2, (rows, columns, 1))
    canvas = np.clip(scene + grain, 0, 255).astype(np.uint8)
    made = []
    for number in range(COUNT):
        top, left = round(32 + 30 * np.sin(number / 19)), number * 2
        view = canvas[top : top + HEIGHT, left : left + WIDTH].copy()
        view[300:420, 100 + number * 12 : 220 + number * 12] = (220, 180, 150)
        made.append(VideoFrame.from_ndarray(view))
    return made


class CameraLike(PacedSource):
    """Delivers the pictures at 30 per second, to and fro."""

    def __init__(self) -> None:
        super().__init__(1 / FRAME_RATE, "benchmark-camera")
        self._pictures = pictures()
        self._number = 0

    def make(self, due: float) -> VideoFrame | AudioFrame:
        """The next picture."""
        frame = self._pictures[bounce(self._number)]
        self._number += 1
        return frame.at(due)


def bounce(number: int) -> int:
    """Index of a picture when they are played to and fro."""
    position = number % (2 * COUNT - 2)
    return position if position < COUNT else 2 * COUNT - 2 - position
