"""From what a grabber gives to pictures that are sent, and to thumbnails. Pure."""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import Interpolation

from ringmesh.media.frames import MIN_SIDE, Pixels, VideoFrame

MAX_WIDTH, MAX_HEIGHT = 2560, 1600
"""Larger pictures are scaled down to fit, smaller ones never: screens with more pixels than these
draw their text larger, so that it stays legible."""

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 320, 180


def to_frame(pixels: Pixels, timestamp: float) -> VideoFrame:
    """A picture to be sent, of BGRX pixels; odd sides lose their last row or column."""
    width, height = fitted(pixels.shape[1], pixels.shape[0], MAX_WIDTH, MAX_HEIGHT)
    picture = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(pixels), format="bgra")
    scaled = picture.reformat(
        width=width & ~1, height=height & ~1, format="yuv420p", interpolation=Interpolation.AREA
    )
    return VideoFrame.from_av(scaled, timestamp=timestamp)


def thumbnail(pixels: Pixels) -> Pixels:
    """A small RGB picture of BGRX pixels."""
    width, height = fitted(pixels.shape[1], pixels.shape[0], THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT)
    picture = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(pixels), format="bgra")
    small = picture.reformat(
        width=width, height=height, format="rgb24", interpolation=Interpolation.AREA
    )
    return np.asarray(small.to_ndarray(), np.uint8)


def fitted(width: int, height: int, max_width: int, max_height: int) -> tuple[int, int]:
    """The largest size of the same shape that fits and is no larger than it was."""
    scale = min(1.0, max_width / width, max_height / height)
    return max(MIN_SIDE, round(width * scale)), max(MIN_SIDE, round(height * scale))
