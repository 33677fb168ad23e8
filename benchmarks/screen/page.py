"""A page of text on an X server, scrolled by a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tests.screen.desktop import HEIGHT, WIDTH, Desktop, xvfb

__all__ = ["HEIGHT", "WIDTH", "scrolling", "xvfb"]

STEP = 16
RATE = 15


def page(height: int) -> np.ndarray:
    """Dark marks of the size of letters, in lines, on white."""
    random = np.random.default_rng(3)
    grey = np.full((height, WIDTH), 255, np.uint8)
    for line in range(0, height - STEP, STEP):
        letters = random.random((5, WIDTH // 10, 3)) > 0.5
        for column in np.flatnonzero(random.random(WIDTH // 10) > 0.2):
            glyph = np.repeat(np.repeat(letters[:, column], 2, 0), 2, 1)
            grey[line + 3 : line + 13, column * 10 : column * 10 + 6][glyph] = 30
    return np.repeat(grey[:, :, None], 3, 2)


def _scroll(display: str, moves: bool) -> None:
    desktop = Desktop(display)
    window = desktop.window(page(HEIGHT * 4))
    offset = 0
    while True:
        time.sleep(1 / RATE)
        if moves:
            offset = (offset + STEP) % (HEIGHT * 3)
            window.configure(Y=-offset)


@contextmanager
def scrolling(display: str, *, moves: bool) -> Iterator[None]:
    """Show the page, and scroll it by a line with each picture if it `moves`."""
    process = multiprocessing.get_context("spawn").Process(
        target=_scroll, args=(display, moves), daemon=True
    )
    process.start()
    time.sleep(2)
    try:
        yield
    finally:
        process.terminate()
        process.join()
