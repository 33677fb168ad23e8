"""Call notifications of macOS, by desktop-notifier.

Written against the documented interface of desktop-notifier 6 and not yet proven on a Mac: macOS
shows buttons only for signed applications that the user has allowed to notify.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ringmesh.callkit.call_event import CallEvent
from ringmesh.callkit.notifier import INSTALL, Action, Look, text_of, title_of
from ringmesh.errors import NotSupportedError


class MacNotifier:
    """Shows calls in the Notification Centre."""

    def __init__(self, application: str) -> None:
        self._application = application
        self._notifier: Any = None
        self._on_action: Callable[[str, Action], None] | None = None
        self._shown: dict[str, str] = {}

    async def open(self, on_action: Callable[[str, Action], None]) -> None:
        """See `Notifier.open`."""
        try:
            from desktop_notifier import DesktopNotifier
        except ImportError as error:
            raise NotSupportedError(
                f"native notifications need desktop-notifier: {INSTALL}"
            ) from error
        self._notifier = DesktopNotifier(app_name=self._application)
        self._on_action = on_action
        if not await self._notifier.request_authorisation():
            raise NotSupportedError("the user does not allow notifications")

    async def show(
        self, event: CallEvent, look: Look, *, note: str = "", audible: bool = False
    ) -> None:
        """See `Notifier.show`."""
        from desktop_notifier import DEFAULT_SOUND, Button, Icon, Urgency

        await self.withdraw(event.session_id)
        icon = Path(look.notification_icon or look.icon)
        self._shown[event.session_id] = await self._notifier.send(
            title=title_of(event),
            message=" ".join(filter(None, (text_of(event), note))),
            urgency=Urgency.Critical,
            icon=Icon(path=icon) if icon.is_absolute() else None,
            buttons=[
                Button(title="Accept", on_pressed=self._teller(event.session_id, Action.ACCEPT)),
                Button(title="Decline", on_pressed=self._teller(event.session_id, Action.DECLINE)),
            ],
            on_dismissed=self._teller(event.session_id, Action.DISMISS),
            sound=DEFAULT_SOUND if audible else None,
        )

    async def withdraw(self, session_id: str) -> None:
        """See `Notifier.withdraw`."""
        identifier = self._shown.pop(session_id, None)
        if identifier is not None:
            await self._notifier.clear(identifier)

    async def close(self) -> None:
        """See `Notifier.close`."""
        for session_id in list(self._shown):
            await self.withdraw(session_id)

    def _teller(self, session_id: str, action: Action) -> Callable[[], object]:
        loop, on_action = asyncio.get_running_loop(), self._on_action
        return lambda: on_action and loop.call_soon_threadsafe(on_action, session_id, action)
