"""Drawing the mouse cursor into a picture. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ringmesh.media.frames import Pixels


@dataclass(frozen=True, slots=True)
class Cursor:
    """A cursor's picture, premultiplied BGRA of shape (height, width, 4), and where it is."""

    pixels: Pixels
    left: int
    top: int


def draw_cursor(picture: Pixels, cursor: Cursor) -> None:
    """Blend a cursor into a BGRX picture, in place; what lies outside is cut off."""
    height, width = cursor.pixels.shape[:2]
    left, top = max(cursor.left, 0), max(cursor.top, 0)
    right = min(cursor.left + width, picture.shape[1])
    bottom = min(cursor.top + height, picture.shape[0])
    if left >= right or top >= bottom:
        return
    source = cursor.pixels[
        top - cursor.top : bottom - cursor.top, left - cursor.left : right - cursor.left
    ].astype(np.uint16)
    target = picture[top:bottom, left:right]
    shine_through = 255 - source[:, :, 3:]
    target[:, :, :3] = np.minimum(source[:, :, :3] + target[:, :, :3] * shine_through // 255, 255)
