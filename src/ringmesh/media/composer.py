"""Many pictures as one, without any clock: what a recording of a whole call shows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np

from ringmesh.media.frames import Pixels, VideoFrame
from ringmesh.media.layout import Rect, grid, within

K = TypeVar("K", bound=Hashable)

NOBODY = (16, 9)
"""Shape of the grey tile of somebody who has no picture."""

_GREY = 48


class Composer:
    """Draws everybody's newest picture into a grid, upright and in its own shape.

    Only what changed is drawn again.
    """

    def __init__(self, width: int, height: int) -> None:
        """Both in pixels, even."""
        self._canvas = _Canvas(width, height)
        self._drawn: dict[Hashable, VideoFrame | None] = {}
        self._places: dict[Hashable, Rect] | None = None

    def compose(
        self, pictures: Mapping[K, VideoFrame | None], timestamp: float
    ) -> VideoFrame | None:
        """The picture of all these, in their order; None when it is the same as before."""
        width, height = self._canvas.size
        rects = grid([_shape(picture) for picture in pictures.values()], width, height)
        places: dict[Hashable, Rect] = dict(zip(pictures, rects, strict=True))
        moved = self._places is None or list(places.items()) != list(self._places.items())
        if moved:
            self._canvas.clear()
            self._drawn.clear()
            self._places = places
        changed = [
            key
            for key, picture in pictures.items()
            if key not in self._drawn or self._drawn[key] is not picture
        ]
        for key in changed:
            self._canvas.draw(pictures[key], places[key])
            self._drawn[key] = pictures[key]
        return self._canvas.frame(timestamp) if moved or changed else None

    def still(self, timestamp: float) -> VideoFrame:
        """The picture that was composed last, once more."""
        return self._canvas.frame(timestamp)


class _Canvas:
    """An I420 picture that is drawn into."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self._data = VideoFrame.black(width, height).i420().copy()
        self._planes = planes(self._data, width, height)

    def clear(self) -> None:
        """All black."""
        for plane, level in zip(self._planes, (16, 128, 128), strict=True):
            plane[:] = level

    def draw(self, picture: VideoFrame | None, place: Rect) -> None:
        """A picture, or a grey tile, into its place."""
        for plane, shift, level in zip(self._planes, (1, 2, 2), (_GREY, 128, 128), strict=True):
            self._part(plane, place, shift)[:] = level
        if picture is None:
            return
        scaled = resized(upright(picture), place.width, place.height)
        source = planes(scaled.i420(), place.width, place.height)
        for plane, part, shift in zip(self._planes, source, (1, 2, 2), strict=True):
            self._part(plane, place, shift)[:] = part

    def frame(self, timestamp: float) -> VideoFrame:
        """A copy of it."""
        return VideoFrame(self._data.copy(), *self.size, timestamp=timestamp)

    @staticmethod
    def _part(plane: Pixels, place: Rect, shift: int) -> Pixels:
        top, left = place.top // shift, place.left // shift
        return plane[top : top + place.height // shift, left : left + place.width // shift]


def fit(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """Scale a picture into a size, keeping its shape, with black bars around it."""
    if (frame.width, frame.height) == (width, height) and frame.rotation == 0:
        return frame
    canvas = _Canvas(width, height)
    canvas.draw(frame, within(_shape(frame), Rect(0, 0, width, height)))
    return canvas.frame(frame.timestamp)


def upright(frame: VideoFrame) -> VideoFrame:
    """The picture turned as it is to be shown."""
    if frame.rotation == 0:
        return frame
    turned = [
        np.rot90(plane, -frame.rotation // 90).reshape(-1)
        for plane in planes(frame.i420(), frame.width, frame.height)
    ]
    width, height = _shape(frame)
    return VideoFrame(np.concatenate(turned), width, height, timestamp=frame.timestamp)


def resized(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """The picture in another size, whatever that does to its shape."""
    if (frame.width, frame.height) == (width, height):
        return frame
    scaled = frame.to_av().reformat(width, height, "yuv420p")
    data = np.asarray(scaled.to_ndarray(), np.uint8).reshape(-1)
    return VideoFrame(data, width, height, timestamp=frame.timestamp)


def planes(data: Pixels, width: int, height: int) -> tuple[Pixels, Pixels, Pixels]:
    """Views of the planes of a packed I420 picture."""
    size, quarter = width * height, width * height // 4
    half = (height // 2, width // 2)
    return (
        data[:size].reshape(height, width),
        data[size : size + quarter].reshape(half),
        data[size + quarter :].reshape(half),
    )


def _shape(picture: VideoFrame | None) -> tuple[int, int]:
    if picture is None:
        return NOBODY
    sideways = picture.rotation in (90, 270)
    return (picture.height, picture.width) if sideways else (picture.width, picture.height)
