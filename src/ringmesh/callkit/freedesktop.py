"""Call notifications of Linux desktops (Desktop Notifications Specification 1.2 and 1.3).

The daemon may lack things: what it can do is asked for, and what is missing is said. It may also
die while a call rings: then the notification is shown again as soon as another daemon is there.
"""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringmesh.callkit.call_event import CallEvent
from ringmesh.callkit.notifier import Action, Look, text_of, title_of
from ringmesh.callkit.session_bus import BUS, SessionBus
from ringmesh.errors import NotSupportedError

if TYPE_CHECKING:
    from dbus_fast import Message

_logger = logging.getLogger(__name__)

NAME, PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"

SETTLING, RETRY = 0.05, 1.0
"""Seconds from the end of a daemon, which may be that of the whole session, to the first attempt to
show its calls again, and between two attempts."""

_NEVER_EXPIRES = 0
_CRITICAL = 2
_DISMISSED, _WITHDRAWN = 2, 3  # reasons of NotificationClosed

_BUTTONS = ["accept", "Accept", "decline", "Decline"]
NO_BUTTONS = "This desktop shows no buttons: open the application to answer."


@dataclass(slots=True)
class _Shown:
    """A call that is shown; `notification_id` is 0 while no daemon has it."""

    event: CallEvent
    look: Look
    note: str
    audible: bool
    notification_id: int = 0


class FreedesktopNotifier:
    """Shows calls by ``org.freedesktop.Notifications``."""

    def __init__(self, application: str) -> None:
        self._application = application
        self._bus = SessionBus()
        self._on_action: Callable[[str, Action], None] | None = None
        self._shown: dict[str, _Shown] = {}
        self._capabilities: set[str] | None = None
        self._again: asyncio.Task[None] | None = None

    async def open(self, on_action: Callable[[str, Action], None]) -> None:
        """See `Notifier.open`."""
        await self._bus.connect()
        self._on_action = on_action
        await self._bus.subscribe(f"type='signal',interface='{NAME}'", self._receive)
        rule = f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{NAME}'"
        await self._bus.subscribe(rule, self._owner_changed)

    async def show(
        self, event: CallEvent, look: Look, *, note: str = "", audible: bool = False
    ) -> None:
        """See `Notifier.show`."""
        before = self._shown.get(event.session_id)
        shown = _Shown(event, look, note, audible, before.notification_id if before else 0)
        self._shown[event.session_id] = shown
        await self._notify(shown)

    async def withdraw(self, session_id: str) -> None:
        """See `Notifier.withdraw`."""
        shown = self._shown.pop(session_id, None)
        if shown is not None and shown.notification_id:
            try:
                await self._call("CloseNotification", "u", [shown.notification_id])
            except NotSupportedError as error:  # it went by itself
                _logger.info("notification not closed: %s", error)

    async def close(self) -> None:
        """See `Notifier.close`."""
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)
        for session_id in list(self._shown):
            await self.withdraw(session_id)
        await self._bus.close()

    async def _notify(self, shown: _Shown) -> None:
        capabilities = await self._server_capabilities()
        has_buttons = "actions" in capabilities
        if not has_buttons:
            _logger.warning("the notification daemon has no buttons")
        lines = [text_of(shown.event), shown.note, "" if has_buttons else NO_BUTTONS]
        text = "\n".join(line for line in lines if line)
        body = html.escape(text) if "body-markup" in capabilities else text
        icon = shown.look.notification_icon or shown.look.icon
        answer = await self._call(
            "Notify",
            "susssasa{sv}i",
            [
                self._application,
                shown.notification_id,
                icon if not Path(icon).is_absolute() else Path(icon).as_uri(),
                title_of(shown.event),
                body,
                _BUTTONS if has_buttons else [],
                self._hints(audible=shown.audible),
                _NEVER_EXPIRES,
            ],
        )
        shown.notification_id = int(answer[0])
        if self._shown.get(shown.event.session_id) is not shown:  # withdrawn meanwhile
            await self._call("CloseNotification", "u", [shown.notification_id])

    def _hints(self, *, audible: bool) -> dict[str, Any]:
        from dbus_fast import Variant

        return {
            "urgency": Variant("y", _CRITICAL),
            "category": Variant("s", "call.incoming"),
            "resident": Variant("b", True),
            "desktop-entry": Variant("s", self._application),
            **(
                {"sound-name": Variant("s", "phone-incoming-call")}
                if audible
                else {"suppress-sound": Variant("b", True)}
            ),
        }

    async def _server_capabilities(self) -> set[str]:
        if self._capabilities is None:
            answer = await self._call("GetCapabilities")
            self._capabilities = set(map(str, answer[0]))
        return self._capabilities

    async def _call(
        self, member: str, signature: str = "", body: list[Any] | None = None
    ) -> list[Any]:
        return await self._bus.call(NAME, PATH, NAME, member, signature, body)

    def _receive(self, message: Message) -> None:
        """A button was pressed, or a notification is gone."""
        if (message.interface, message.path, message.signature[:1]) != (NAME, PATH, "u"):
            return
        shown = next(
            (each for each in self._shown.values() if each.notification_id == message.body[0]),
            None,
        )
        if shown is None:
            return
        if message.member == "ActionInvoked" and message.body[1:] in (["accept"], ["decline"]):
            self._tell(shown, Action(message.body[1]))
        elif message.member == "NotificationClosed" and len(message.body) == 2:
            if message.body[1] == _DISMISSED:
                self._tell(shown, Action.DISMISS)
            elif message.body[1] != _WITHDRAWN:
                shown.notification_id = 0
                self._show_again()

    def _tell(self, shown: _Shown, action: Action) -> None:
        if self._on_action is not None:
            self._on_action(shown.event.session_id, action)

    def _owner_changed(self, message: Message) -> None:
        """The daemon died, or another one is there."""
        if (message.member, message.body[:1]) != ("NameOwnerChanged", [NAME]) or not self._shown:
            return
        self._capabilities = None
        for shown in self._shown.values():
            shown.notification_id = 0
        self._show_again()

    def _show_again(self) -> None:
        if self._again is None or self._again.done():
            self._again = asyncio.create_task(self._show_all(), name="show calls again")

    async def _show_all(self) -> None:
        """Asking for the daemon also starts it, where the desktop has said how."""
        await asyncio.sleep(SETTLING)
        while lost := [shown for shown in self._shown.values() if not shown.notification_id]:
            try:
                for shown in lost:
                    await self._notify(shown)
            except NotSupportedError as error:
                _logger.warning("call cannot be shown, trying again: %s", error)
                await asyncio.sleep(RETRY)
