"""Asking a Linux desktop for a screen or window: the portal ``org.freedesktop.portal.ScreenCast``.

The desktop shows its own dialogue, and hands out a PipeWire stream of what the person chose there.
Documented at https://flatpak.github.io/xdg-desktop-portal.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ringmesh.errors import MediaError, NotSupportedError

if TYPE_CHECKING:
    from dbus_fast import Message

CHOICE_TIMEOUT = 120.0
"""Seconds that the person gets to choose."""

_ANSWER_TIMEOUT = 10.0
_PORTAL, _PATH = "org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop"
_SCREEN_CAST = "org.freedesktop.portal.ScreenCast"
_SCREENS_AND_WINDOWS = 1 | 2
_CURSOR_HIDDEN, _CURSOR_EMBEDDED = 1, 2
_DONE, _CANCELLED = 0, 1


class ScreenCast:
    """What the person chose to share, for as long as this lives.

    Attributes:
        node: the number of its PipeWire stream.
        remote: a file descriptor, open until `close`: a PipeWire connection that may read it.
    """

    node: int
    remote: int

    def __init__(self, on_ended: Callable[[str], None], *, cursor: bool = True) -> None:
        """Ask the person, and wait for the choice. `on_ended` is called with the reason, on another
        thread, when the desktop ends the sharing.

        Raises `MediaError` when nothing is chosen, and `NotSupportedError` where no portal is.
        """
        self._on_ended = on_ended
        self._responses: dict[str, asyncio.Future[list[Any]]] = {}
        self._session = ""
        self._watch: asyncio.Task[None] | None = None
        self.remote = -1
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="ringmesh-portal", daemon=True
        )
        self._thread.start()
        try:
            self._run(self._open(cursor))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the sharing. Idempotent."""
        if self._loop.is_closed():
            return
        self._on_ended = lambda _: None
        self._run(self._disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self.remote >= 0:
            os.close(self.remote)
            self.remote = -1

    def _run(self, step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result()

    async def _open(self, cursor: bool) -> None:
        from dbus_fast import Variant
        from dbus_fast.aio import MessageBus
        from dbus_fast.errors import AuthError, InvalidAddressError

        self._bus = MessageBus(negotiate_unix_fd=True)
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT):
                await self._bus.connect()
        except (OSError, EOFError, AuthError, InvalidAddressError) as error:
            raise NotSupportedError(
                f"there is no D-Bus session to ask for the screen: {error or type(error).__name__}"
            ) from error
        self._watch = asyncio.create_task(self._watch_bus(), name="D-Bus session")
        self._bus.add_message_handler(self._on_message)
        rule = f"type='signal',sender='{_PORTAL}'"
        await self._call("AddMatch", "s", [rule], interface="org.freedesktop.DBus")
        modes = await self._property("AvailableCursorModes")
        kinds = await self._property("AvailableSourceTypes")
        token = Variant("s", _token())
        created = await self._request("CreateSession", "", [], {"session_handle_token": token})
        self._session = created["session_handle"].value
        options = {"types": Variant("u", kinds & _SCREENS_AND_WINDOWS)}
        mode = _CURSOR_EMBEDDED if cursor else _CURSOR_HIDDEN
        if modes & mode:
            options["cursor_mode"] = Variant("u", mode)
        await self._request("SelectSources", "o", [self._session], options)
        started = await self._request("Start", "os", [self._session, ""], {})
        streams = started["streams"].value if "streams" in started else []
        if not streams:
            raise MediaError("the desktop shares nothing")
        self.node = streams[0][0]
        remote = await self._call("OpenPipeWireRemote", "oa{sv}", [self._session, {}])
        self.remote = remote.unix_fds[remote.body[0]]

    async def _property(self, name: str) -> int:
        get = await self._call(
            "Get", "ss", [_SCREEN_CAST, name], interface="org.freedesktop.DBus.Properties"
        )
        return int(get.body[0].value)

    async def _request(
        self, member: str, signature: str, body: list[Any], options: dict[str, Any]
    ) -> dict[str, Any]:
        """Call a method whose result comes later, in a signal of a request object."""
        from dbus_fast import Variant

        token = _token()
        assert self._bus.unique_name is not None
        sender = self._bus.unique_name[1:].replace(".", "_")
        path = f"{_PATH}/request/{sender}/{token}"
        response = self._responses[path] = self._loop.create_future()
        options = options | {"handle_token": Variant("s", token)}
        try:
            await self._call(member, signature + "a{sv}", [*body, options])
            async with asyncio.timeout(CHOICE_TIMEOUT):
                code, results = await response
        except TimeoutError as error:
            raise MediaError(f"nothing was chosen in {CHOICE_TIMEOUT:g} seconds") from error
        finally:
            del self._responses[path]
        if code != _DONE:
            what = "sharing was declined" if code == _CANCELLED else "the desktop could not share"
            raise MediaError(f"{what} ({member})")
        return dict(results)

    async def _call(
        self, member: str, signature: str, body: list[Any], *, interface: str = _SCREEN_CAST
    ) -> Message:
        from dbus_fast import Message, MessageType

        bus = interface == "org.freedesktop.DBus"
        message = Message(
            destination=interface if bus else _PORTAL,
            path="/org/freedesktop/DBus" if bus else _PATH,
            interface=interface,
            member=member,
            signature=signature,
            body=body,
        )
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT):
                reply = await self._bus.call(message)
        except (TimeoutError, OSError, EOFError) as error:
            raise NotSupportedError(f"the desktop's portal does not answer: {member}") from error
        if reply is None or reply.message_type is MessageType.ERROR:
            detail = "" if reply is None else f"{reply.error_name} {' '.join(map(str, reply.body))}"
            raise NotSupportedError(
                "this desktop has no portal for sharing the screen: install xdg-desktop-portal and "
                f"your desktop's part of it ({member}: {detail})"
            )
        return reply

    def _on_message(self, message: Message) -> None:
        from dbus_fast import MessageType

        if message.message_type is not MessageType.SIGNAL:
            return
        if message.member == "Response" and message.path in self._responses:
            response = self._responses[message.path]
            if not response.done():
                response.set_result(message.body)
        elif message.member == "Closed" and message.path == self._session:
            self._on_ended("sharing was ended in the desktop")

    async def _watch_bus(self) -> None:
        with suppress(OSError, EOFError):
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        self._on_ended("the desktop's session ended")

    async def _disconnect(self) -> None:
        """The portal ends a session whose owner leaves."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._bus.disconnect()


def _token() -> str:
    return f"ringmesh_{secrets.token_hex(8)}"
