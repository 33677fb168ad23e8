"""Where everybody is seen in a composed picture: a grid, as a function of shapes and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rect:
    """A part of a picture, in pixels; all even, as 4:2:0 needs."""

    left: int
    top: int
    width: int
    height: int


def grid(shapes: Sequence[tuple[int, int]], width: int, height: int) -> list[Rect]:
    """Where pictures of these shapes (width, height) go in a picture of `width` x `height`.

    As large as possible in cells of one size, in order, row by row, each in its own shape; the
    last row is centred.
    """
    if not shapes:
        return []
    columns = max(
        reversed(range(1, len(shapes) + 1)),  # rather side by side than one below the other
        key=lambda columns: _shown(shapes, _cell(len(shapes), columns, width, height)),
    )
    cell_width, cell_height = _cell(len(shapes), columns, width, height)
    rects = []
    for index, shape in enumerate(shapes):
        row, column = divmod(index, columns)
        in_row = min(columns, len(shapes) - row * columns)
        margin = (width - in_row * cell_width) // 2
        cell = Rect(margin + column * cell_width, row * cell_height, cell_width, cell_height)
        rects.append(within(shape, cell))
    return rects


def within(shape: tuple[int, int], cell: Rect) -> Rect:
    """The largest rectangle of this shape in the middle of a cell."""
    scale = min(cell.width / shape[0], cell.height / shape[1])
    width = min(cell.width & ~1, max(2, round(shape[0] * scale / 2) * 2))
    height = min(cell.height & ~1, max(2, round(shape[1] * scale / 2) * 2))
    left = cell.left + (cell.width - width) // 2
    top = cell.top + (cell.height - height) // 2
    return Rect(left & ~1, top & ~1, width, height)


def _cell(count: int, columns: int, width: int, height: int) -> tuple[int, int]:
    rows = -(-count // columns)
    return width // columns & ~1, height // rows & ~1


def _shown(shapes: Sequence[tuple[int, int]], cell: tuple[int, int]) -> int:
    """The area that is filled with pictures."""
    return sum(
        round(shape[0] * shape[1] * min(cell[0] / shape[0], cell[1] / shape[1]) ** 2)
        for shape in shapes
    )
