"""Call notifications of Windows, by windows-toasts.

Written against the documented interface of windows-toasts 1.3 and not yet proven on Windows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ringmesh.callkit.call_event import CallEvent
from ringmesh.callkit.notifier import INSTALL, Action, Look, text_of, title_of
from ringmesh.errors import NotSupportedError


class WindowsNotifier:
    """Shows calls as toasts of the scenario ``incomingCall``, which stay and ring."""

    def __init__(self, application: str) -> None:
        self._application = application
        self._toaster: Any = None
        self._on_action: Callable[[str, Action], None] | None = None
        self._shown: dict[str, Any] = {}

    async def open(self, on_action: Callable[[str, Action], None]) -> None:
        """See `Notifier.open`."""
        try:
            from windows_toasts import InteractableWindowsToaster
        except ImportError as error:
            raise NotSupportedError(
                f"native notifications need windows-toasts: {INSTALL}"
            ) from error
        self._toaster = InteractableWindowsToaster(self._application)
        self._on_action = on_action

    async def show(
        self, event: CallEvent, look: Look, *, note: str = "", audible: bool = False
    ) -> None:
        """See `Notifier.show`."""
        from windows_toasts import (
            AudioSource,
            Toast,
            ToastAudio,
            ToastButton,
            ToastScenario,
        )

        await self.withdraw(event.session_id)
        toast = Toast(
            text_fields=[title_of(event), " ".join(filter(None, (text_of(event), note)))],
            scenario=ToastScenario.IncomingCall,
            audio=ToastAudio(AudioSource.Call, looping=True)
            if audible
            else ToastAudio(silent=True),
        )
        toast.AddAction(ToastButton("Accept", Action.ACCEPT.value))
        toast.AddAction(ToastButton("Decline", Action.DECLINE.value))
        tell = self._teller(event.session_id)
        toast.on_activated = lambda activated: tell(activated.arguments)
        toast.on_dismissed = lambda _: tell(Action.DISMISS.value)
        self._toaster.show_toast(toast)
        self._shown[event.session_id] = toast

    async def withdraw(self, session_id: str) -> None:
        """See `Notifier.withdraw`."""
        toast = self._shown.pop(session_id, None)
        if toast is not None:
            from windows_toasts import ToastNotFoundError

            with suppress(ToastNotFoundError):  # it went by itself
                self._toaster.remove_toast(toast)

    async def close(self) -> None:
        """See `Notifier.close`."""
        for session_id in list(self._shown):
            await self.withdraw(session_id)

    def _teller(self, session_id: str) -> Callable[[str], None]:
        """Toasts report on a thread of their own."""
        loop, on_action = asyncio.get_running_loop(), self._on_action

        def tell(arguments: str) -> None:
            if on_action is not None and arguments in set(Action):
                loop.call_soon_threadsafe(on_action, session_id, Action(arguments))

        return tell
