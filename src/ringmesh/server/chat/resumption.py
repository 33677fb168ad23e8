"""Devices whose connection may break and come back without losing a signal (XEP-0198)."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ringmesh.protocol.stream_management import SM_MODULUS, InboundCounter
from ringmesh.server.chat.limits import ChatLimits

if TYPE_CHECKING:
    from ringmesh.server.chat.connection import Connection
    from ringmesh.server.chat.router import Router

STALE_CALL = 6.0
"""Seconds after which a waiting ``call`` is not handed on: its caller has repeated it since, or
calls no more."""

REQUEST = b'<r xmlns="urn:xmpp:sm:3"/>'
_ASK_EVERY = 8  # stanzas
_CALL = b"<signalType>call<"


class ResumableDevice:
    """A `ringmesh.server.chat.router.Device` that outlives its connections.

    Attributes:
        connection: the one that it has now, if any.
        handled: what the client sent, over all connections.
    """

    __slots__ = (
        "_acknowledged",
        "_bytes",
        "_devices",
        "_expiry",
        "_unacknowledged",
        "active",
        "app_id",
        "carbons",
        "connection",
        "handled",
        "jid",
        "resource",
        "stream_id",
        "user",
        "user_id",
        "verbatim",
    )

    resumable = True

    def __init__(
        self, devices: ResumableDevices, connection: Connection, handled: InboundCounter
    ) -> None:
        self.stream_id = secrets.token_hex(16)
        self.app_id, self.user_id = connection.app_id, connection.user_id
        self.user, self.jid = connection.user, connection.jid
        self.resource, self.carbons = connection.resource, connection.carbons
        self.verbatim, self.active = connection.verbatim, connection.active
        self.connection: Connection | None = connection
        self.handled = handled
        self._devices = devices
        self._unacknowledged: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._acknowledged = 0
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def reachable(self) -> bool:
        """See `ringmesh.server.chat.router.Device`."""
        return self.active and self.connection is not None

    def send(self, stanza: bytes) -> None:
        """Send a stanza, or keep it until the client is back. Never waits, never raises."""
        queue = self._unacknowledged
        queue.append((self._devices.now(), stanza))
        self._bytes += len(stanza)
        self._devices.queued_bytes += len(stanza)
        if self.connection is not None:
            self.connection.send(stanza)
            if len(queue) % _ASK_EVERY == 0:
                self.connection.send(REQUEST)
        if self._devices.too_much(len(queue), self._bytes):
            self._devices.give_up(self)

    def client_handled(self, count: int) -> bool:
        """The client has this many; False, and no change, if it cannot."""
        news = (count - self._acknowledged) % SM_MODULUS
        if news > len(self._unacknowledged):
            return False
        self._acknowledged = count
        for _ in range(news):
            self._forget(self._unacknowledged.popleft()[1])
        return True

    def ask(self) -> None:
        """Ask a silent client what it has got, so that nothing is kept for long."""
        if self._unacknowledged and self.connection is not None:
            self.connection.send(REQUEST)

    def take_waiting(self) -> list[bytes]:
        """What the client has not got and still wants, to be sent again."""
        oldest = self._devices.now() - STALE_CALL
        kept = deque(
            entry for entry in self._unacknowledged if entry[0] >= oldest or _CALL not in entry[1]
        )
        self.clear()
        for _, stanza in kept:
            self._bytes += len(stanza)
            self._devices.queued_bytes += len(stanza)
        self._unacknowledged = kept
        return [stanza for _, stanza in kept]

    def wait(self, expiry: asyncio.TimerHandle | None) -> None:
        """Begin, or with None end, the time that the client has to come back."""
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = expiry

    def clear(self) -> list[bytes]:
        """Forget what the client may not have got, and return it."""
        stanzas = [stanza for _, stanza in self._unacknowledged]
        self._unacknowledged.clear()
        for stanza in stanzas:
            self._forget(stanza)
        return stanzas

    def _forget(self, stanza: bytes) -> None:
        self._bytes -= len(stanza)
        self._devices.queued_bytes -= len(stanza)


class ResumableDevices:
    """All resumable devices of this node, with and without a connection.

    Args:
        left: told a device that is gone for good, and what it did not get.

    Attributes:
        queued_bytes: how much all of them keep together.
        resumed: how often one came back.
    """

    def __init__(
        self,
        router: Router,
        limits: ChatLimits,
        loop: asyncio.AbstractEventLoop,
        left: Callable[[ResumableDevice, list[bytes]], None],
    ) -> None:
        self.now = loop.time
        self.queued_bytes = self.resumed = 0
        self._router = router
        self._limits = limits
        self._loop = loop
        self._left = left
        self._by_id: dict[str, ResumableDevice] = {}
        self._detached: dict[ResumableDevice, None] = {}  # the one that left first comes first

    @property
    def detached(self) -> int:
        """Devices without a connection."""
        return len(self._detached)

    def add(self, connection: Connection, handled: InboundCounter) -> ResumableDevice:
        """From now on a device stands for this connection."""
        device = ResumableDevice(self, connection, handled)
        self._by_id[device.stream_id] = device
        self._router.replace(connection, device)
        return device

    def find(self, stream_id: str, user: str, handled: int | None) -> ResumableDevice | None:
        """The device that may go on: it must be the same user's, and the count possible."""
        device = self._by_id.get(stream_id)
        if device is None or device.user != user or handled is None:
            return None
        return device if device.client_handled(handled) else None

    def attach(self, device: ResumableDevice, connection: Connection) -> None:
        """The client is back."""
        self._detached.pop(device, None)
        device.wait(None)
        device.connection = connection
        device.active = True  # XEP-0352 section 5.1
        self.resumed += 1

    def detach(self, device: ResumableDevice) -> None:
        """The connection broke; the client may come back."""
        device.connection = None
        self._detached[device] = None
        device.wait(self._loop.call_later(self._limits.resume_seconds, self.remove, device))
        if len(self._detached) > self._limits.detached_devices:
            self.remove(next(iter(self._detached)))

    def remove(self, device: ResumableDevice) -> None:
        """The device is gone for good."""
        if self._by_id.pop(device.stream_id, None) is None:
            return
        self._detached.pop(device, None)
        device.wait(None)
        self._router.remove(device)
        self._left(device, device.clear())

    def remove_detached(self, app_id: int, user: str, resource: str | None = None) -> bool:
        """Remove one device of a user that has no connection: of this resource, or the oldest."""
        for device in self._router.online(app_id).get(user, ()):
            if not isinstance(device, ResumableDevice) or device.connection is not None:
                continue
            if resource is None or device.resource == resource:
                self.remove(device)
                return True
        return False

    def too_much(self, stanzas: int, size: int) -> bool:
        """Whether a device keeps more than it may."""
        limits = self._limits
        return (
            stanzas > limits.resume_stanzas
            or size > limits.resume_bytes
            or self.queued_bytes > limits.all_resume_bytes
        )

    def give_up(self, device: ResumableDevice) -> None:
        """It keeps too much: without a connection it is gone, with one it cannot resume."""
        connection = device.connection
        if connection is None:
            self.remove(device)
            return
        del self._by_id[device.stream_id]
        device.clear()
        connection.carbons, connection.verbatim = device.carbons, device.verbatim
        connection.active = device.active
        connection.device = connection
        self._router.replace(device, connection)

    def close(self) -> None:
        """Forget all, for good."""
        for device in list(self._detached):
            self.remove(device)
