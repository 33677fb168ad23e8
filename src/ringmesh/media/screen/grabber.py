"""What can be shared, and what takes pictures of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol

from ringmesh.errors import ConfigurationError
from ringmesh.media.frames import Pixels


class CaptureKind(enum.Enum):
    """What a `CaptureSource` is."""

    SCREEN = "screen"
    WINDOW = "window"
    PORTAL = "portal"
    """What the person chooses in the desktop's own dialogue, which opens when sharing begins."""


@dataclass(frozen=True, slots=True)
class CaptureSource:
    """A screen or a window that can be shared.

    Attributes:
        id: names it in `P2PSession.enable_screen_sharing`, as long as it is there.
        kind: screen or window, or one that the person chooses.
        title: for people; what a window calls itself, without control characters.
        width: pixels; 0 while nothing is chosen.
        height: pixels; 0 while nothing is chosen.
        thumbnail: a small picture of it in RGB, shape (height, width, 3), dtype uint8, at most
            320x180; None when none was asked for or none could be taken.
    """

    id: str
    kind: CaptureKind
    title: str
    width: int
    height: int
    thumbnail: Pixels | None = field(default=None, compare=False, repr=False)


class Grabber(Protocol):
    """Takes pictures of one source. One thread at a time."""

    def grab(self) -> Pixels | None:
        """The picture now, with the cursor: BGRX, shape (height, width, 4), dtype uint8.

        It may be overwritten by the next call. None when there is nothing to be seen just now.
        Raises `MediaError` when the source is gone for good.
        """

    def close(self) -> None:
        """Release everything. Idempotent."""


PORTAL_SOURCE = CaptureKind.PORTAL.value
"""The id of what the person chooses."""


def source_id(kind: CaptureKind, number: int) -> str:
    """The id of a screen (counted from 1) or a window (its X11 id)."""
    return f"screen:{number}" if kind is CaptureKind.SCREEN else f"window:{number:#x}"


def parse_source_id(text: str) -> tuple[CaptureKind, int]:
    """Kind and number of a source; that of the portal is 0.

    Raises `ConfigurationError` for what is no such id.
    """
    if text == PORTAL_SOURCE:
        return CaptureKind.PORTAL, 0
    name, _, digits = text.partition(":")
    try:
        kind, number = CaptureKind(name), int(digits, 0)
        if 0 < number < 1 << 32 and kind is not CaptureKind.PORTAL:
            return kind, number
    except ValueError:
        pass
    raise ConfigurationError(
        f"a screen or window is named as list_capture_sources does, not {text[:80]!r}"
    )
