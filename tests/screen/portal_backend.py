"""The desktop's part of the portal for sharing: ``python -m tests.screen.portal_backend FOLDER``.

The only part that is not the real one: GNOME, KDE and wlroots have theirs, which need a person, a
graphics card or both. It shares the PipeWire stream ``shared-screen``. In FOLDER, ``answer`` holds
the code that a choice ends with (0 chosen, 1 declined, 2 other; empty: nobody chooses), and `asked`
gets a line for each choice that was asked for. SIGUSR1 ends every sharing, as a person can.
"""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

from dbus_fast import PropertyAccess, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusDict, DBusObjectPath, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_property, method
from dbus_fast.service import signal as dbus_signal

NAME = "org.freedesktop.impl.portal.desktop.laboratory"
STREAM = "shared-screen"

Response = Annotated[list[Any], DBusSignature("ua{sv}")]


def node() -> int:
    """The number of the shared stream."""
    for thing in json.loads(subprocess.check_output(["pw-dump"])):
        properties = (thing.get("info") or {}).get("props") or {}
        if thing["type"].endswith(":Node") and properties.get("node.name") == STREAM:
            return int(thing["id"])
    raise LookupError(STREAM)


class Session(ServiceInterface):
    """One sharing."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.impl.portal.Session")

    @method(name="Close")
    def close(self) -> None:
        """The application ends it."""

    @dbus_signal(name="Closed")
    def closed(self) -> None:
        """The desktop ends it."""


class ScreenCast(ServiceInterface):
    """The interface that xdg-desktop-portal calls."""

    def __init__(self, bus: MessageBus, folder: Path) -> None:
        super().__init__("org.freedesktop.impl.portal.ScreenCast")
        self._bus = bus
        self._folder = folder
        self.sessions: list[Session] = []

    @method(name="CreateSession")
    def create_session(
        self, handle: DBusObjectPath, session: DBusObjectPath, app: DBusStr, options: DBusDict
    ) -> Response:
        """An application wants to share."""
        self.sessions.append(Session())
        self._bus.export(session, self.sessions[-1])
        return [0, {}]

    @method(name="SelectSources")
    def select_sources(
        self, handle: DBusObjectPath, session: DBusObjectPath, app: DBusStr, options: DBusDict
    ) -> Response:
        """What may be chosen."""
        asked = {name: option.value for name, option in options.items()}
        with (self._folder / "asked").open("a") as file:
            file.write(f"types {asked['types']} cursor {asked['cursor_mode']}\n")
        return [0, {}]

    @method(name="Start")
    async def start(
        self,
        handle: DBusObjectPath,
        session: DBusObjectPath,
        app: DBusStr,
        parent: DBusStr,
        options: DBusDict,
    ) -> Response:
        """Where the person would be asked."""
        while not (answer := (self._folder / "answer").read_text()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        if answer != "0":
            return [int(answer), {}]
        stream: list[Any] = [await asyncio.to_thread(node), {"source_type": Variant("u", 1)}]
        return [0, {"streams": Variant("a(ua{sv})", [stream])}]

    @dbus_property(access=PropertyAccess.READ, name="AvailableSourceTypes")
    def source_types(self) -> DBusUInt32:
        """Screens, windows and virtual screens."""
        return 7

    @dbus_property(access=PropertyAccess.READ, name="AvailableCursorModes")
    def cursor_modes(self) -> DBusUInt32:
        """Hidden, embedded, as metadata."""
        return 7

    @dbus_property(access=PropertyAccess.READ)
    def version(self) -> DBusUInt32:
        """Of the interface."""
        return 4


async def main(folder: Path) -> None:
    """Serve until the session ends."""
    bus = await MessageBus().connect()
    service = ScreenCast(bus, folder)

    def end_all() -> None:
        for session in service.sessions:
            session.closed()

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, end_all)
    bus.export("/org/freedesktop/portal/desktop", service)
    await bus.request_name(NAME)
    await bus.wait_for_disconnect()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
