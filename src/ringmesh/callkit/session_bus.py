"""The D-Bus session: one connection, method calls with our errors, signals by interface."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ringmesh.callkit.notifier import INSTALL
from ringmesh.errors import ConfigurationError, NotSupportedError

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

_logger = logging.getLogger(__name__)

BUS, BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"

CALL_TIMEOUT = 5.0
"""Seconds that others get to answer a method call."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")


def check_application_id(name: str) -> str:
    """An application id as D-Bus and desktop files have it: ``org.example.Phone``.

    Raises `ConfigurationError` for anything else.
    """
    if not _NAME.fullmatch(name) or len(name) > 200:
        raise ConfigurationError(f"an application id looks like org.example.Phone, not {name!r}")
    return name


def object_path(application: str) -> str:
    """Where an application's object is (Desktop Entry Specification, section D-Bus activation)."""
    return "/" + application.replace(".", "/")


class SessionBus:
    """A connection to the D-Bus session. `connect` opens it, `close` ends it.

    Attributes:
        on_lost: called when the bus went away by itself.
    """

    def __init__(self) -> None:
        self.on_lost: Callable[[], None] | None = None
        self._bus: MessageBus | None = None
        self._lost: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Raises `NotSupportedError` when there is no session, or dbus-fast is not installed."""
        try:
            from dbus_fast.aio import MessageBus
        except ImportError as error:
            raise NotSupportedError(f"native notifications need dbus-fast: {INSTALL}") from error
        from dbus_fast.errors import AuthError, InvalidAddressError

        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                self._bus = await MessageBus().connect()
        except (OSError, EOFError, AuthError, InvalidAddressError) as error:
            raise NotSupportedError(
                f"there is no D-Bus session to show calls in: {error or type(error).__name__}. "
                "Start this inside a desktop session, or with dbus-run-session"
            ) from error
        self._lost = asyncio.create_task(self._watch(self._bus), name="D-Bus session")

    async def close(self) -> None:
        """End the connection."""
        bus, self._bus = self._bus, None
        if self._lost is not None:
            self._lost.cancel()
            await asyncio.gather(self._lost, return_exceptions=True)
        if bus is not None:
            bus.disconnect()

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: list[Any] | None = None,
        *,
        timeout: float = CALL_TIMEOUT,
    ) -> list[Any]:
        """Call a method; its results. Raises `NotSupportedError` when nobody there can."""
        from dbus_fast import Message, MessageType

        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=body or [],
        )
        if self._bus is None or self._lost is None or self._lost.done():
            raise NotSupportedError("there is no D-Bus session any more")
        try:
            reply = await asyncio.wait_for(self._bus.call(message), timeout)
        except (TimeoutError, OSError, EOFError) as error:
            raise NotSupportedError(f"{destination} does not answer: {member}") from error
        if reply is None or reply.message_type is MessageType.ERROR:
            detail = "" if reply is None else f"{reply.error_name} {' '.join(map(str, reply.body))}"
            raise NotSupportedError(f"{destination} cannot {member}: {detail}")
        return list(reply.body)

    async def subscribe(self, rule: str, handler: Callable[[Message], None]) -> None:
        """Get signals that a match rule describes (D-Bus Specification, match rules).

        The handler sees everything that the bus sends us: it looks for what it wants.
        """
        assert self._bus is not None
        self._bus.add_message_handler(handler)
        await self.call(BUS, BUS_PATH, BUS, "AddMatch", "s", [rule])

    def serve(self, handler: Callable[[Message], Message | None]) -> None:
        """Answer method calls; the handler returns None for those that are not its own."""
        assert self._bus is not None
        self._bus.add_message_handler(handler)

    async def own_name(self, name: str) -> bool:
        """Become the owner of a name; False when another process is."""
        do_not_queue = 4
        answer = await self.call(BUS, BUS_PATH, BUS, "RequestName", "su", [name, do_not_queue])
        return answer[0] in (1, 4)

    async def has_owner(self, name: str) -> bool:
        """Whether somebody owns a name."""
        answer = await self.call(BUS, BUS_PATH, BUS, "NameHasOwner", "s", [name])
        return bool(answer[0])

    async def can_start(self, name: str) -> bool:
        """Whether the bus knows how to start what owns a name, or it runs."""
        answer = await self.call(BUS, BUS_PATH, BUS, "ListActivatableNames")
        return name in answer[0] or await self.has_owner(name)

    async def _watch(self, bus: MessageBus) -> None:
        try:
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        except (OSError, EOFError) as error:
            _logger.warning("the D-Bus session ended: %s", error or type(error).__name__)
        if self.on_lost is not None:
            self.on_lost()
