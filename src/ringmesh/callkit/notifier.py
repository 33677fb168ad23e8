"""What a desktop must be able to do for a call to ring, and how it is asked to look."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from ringmesh.callkit.call_event import CallEvent
from ringmesh.errors import NotSupportedError
from ringmesh.signals import CallType

INSTALL = "pip install 'ringmesh[callkit]'"


class Action(StrEnum):
    """What the user did with a notification; ``DISMISS`` closes it and leaves the call alone."""

    ACCEPT = "accept"
    DECLINE = "decline"
    DISMISS = "dismiss"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How incoming calls look and sound.

    Attributes:
        ringtone: a sound file that is played again and again; None for a tone of our own.
        icon: name of an icon of the desktop's theme, or path of a picture.
        notification_icon: a smaller one for the notification; None takes `icon`.
        color: accent colour as ``#rrggbb``, where the desktop has one.
    """

    ringtone: Path | None = None
    icon: str = "call-start"
    notification_icon: str | None = None
    color: str | None = None


class Notifier(Protocol):
    """Shows incoming calls. One notification per call; showing it again changes it."""

    async def open(self, on_action: Callable[[str, Action], None]) -> None:
        """Get ready; `on_action` is told (session id, what the user did) on the event loop.

        Raises `NotSupportedError` where there is no desktop, or nothing that speaks to it.
        """

    async def show(
        self, event: CallEvent, look: Look, *, note: str = "", audible: bool = False
    ) -> None:
        """Ring for a call; `note` is shown with it, and the desktop makes its own sound if
        `audible`. Raises `NotSupportedError` if nothing can."""

    async def withdraw(self, session_id: str) -> None:
        """Take the notification of a call away, if there is one."""

    async def close(self) -> None:
        """Take all notifications away and let go of the desktop."""


def title_of(event: CallEvent) -> str:
    """The first line of a notification."""
    return event.caller_name


def text_of(event: CallEvent) -> str:
    """The second line of a notification."""
    kind = "video" if event.call_type is CallType.VIDEO_CALL else "audio"
    others = len(event.opponents_ids) - 1
    group = f" with {others} other{'s' if others > 1 else ''}" if others else ""
    return f"Incoming {kind} call{group}"


def system_notifier(application: str) -> Notifier:
    """What shows notifications on this system. Raises `NotSupportedError` where nothing does."""
    if sys.platform.startswith("linux"):
        from ringmesh.callkit.freedesktop import FreedesktopNotifier

        return FreedesktopNotifier(application)
    if sys.platform == "darwin":
        from ringmesh.callkit.macos import MacNotifier

        return MacNotifier(application)
    if sys.platform == "win32":
        from ringmesh.callkit.windows import WindowsNotifier

        return WindowsNotifier(application)
    raise NotSupportedError(f"there is no way to show a call on {sys.platform}")
