"""The owner of one chat connection: between its wire, the stream machine and the router."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from ringmesh.protocol.jid import JID
from ringmesh.protocol.stanza_check import CheckedStanza
from ringmesh.protocol.stream import (
    ActivityChanged,
    AuthenticationRequested,
    Bound,
    CarbonsChanged,
    ClientHandled,
    Closed,
    LastActivityRequested,
    PresenceChanged,
    ResumeRequested,
    ResumptionRequested,
    ScramAnswered,
    ScramRequested,
    SendFrame,
    ServerEvent,
    ServerStream,
)
from ringmesh.server.chat.closing import CloseReason
from ringmesh.server.chat.resumption import REQUEST, ResumableDevice

if TYPE_CHECKING:
    from ringmesh.server.chat.router import Device
    from ringmesh.server.chat.service import ChatService

_PING_AT, _DEAD_AT = 2, 3  # looks since the last frame
_LOGIN_ATTEMPTS = 5  # after the last of them there is no new time to log in
_LOOKUPS = 32  # at once, per connection

_logger = structlog.get_logger(__name__)


class ConnectionState(Enum):
    """Where a connection is in its life."""

    NEGOTIATING = auto()
    LOGGING_IN = auto()
    ONLINE = auto()
    CLOSING = auto()


_CLOSING = ConnectionState.CLOSING


class Wire(Protocol):
    """What carries the frames of a connection. Nothing here waits or raises.

    Attributes:
        name: for logs: ``websocket``, ``tcp`` or ``tls``.
        ends_stream_at_shutdown: whether clients are told when the server shuts down.
    """

    ends_stream_at_shutdown: bool

    @property
    def name(self) -> str: ...

    def send(self, frame: bytes) -> None:
        """Queue a frame."""

    def ping(self) -> None:
        """Ask the client for a sign of life."""

    def finish(self, reason: CloseReason) -> None:
        """Say goodbye after what was sent, and be gone within ``close_seconds``."""

    def cut(self) -> None:
        """Drop the socket without a word."""


class Connection:
    """One client's connection, from its beginning to the end of the socket.

    All work is done in callbacks of the event loop; tasks exist only for logins and look-ups.
    It is a `ringmesh.server.chat.router.Device` while it is online, unless its client wants to
    resume: then another object is, `device`, which outlives it.

    Args:
        service: what owns it.
        address: the client's address, for limits and logs.
        stream: a machine that has heard nothing yet.

    Attributes:
        send: queues a stanza: the wire's own method. Never waits; a client that does not keep up
            is cut off.
    """

    __slots__ = (
        "_announced",
        "_attempts",
        "_close_reason",
        "_credit",
        "_credit_at",
        "_deadline",
        "_lookups",
        "_service",
        "_silence",
        "_state",
        "_stream",
        "_wire",
        "active",
        "address",
        "app_id",
        "carbons",
        "device",
        "jid",
        "place",
        "resource",
        "send",
        "user",
        "user_id",
        "verbatim",
    )

    resumable = False

    def __init__(self, service: ChatService, address: str, stream: ServerStream) -> None:
        self.address = address
        self.app_id = self.user_id = 0
        self.user = self.jid = self.resource = ""
        self.carbons = self.verbatim = False
        self.active = True
        self._announced = False
        self.device: Device = self
        self.place = 0
        self._service = service
        self._stream = stream
        self._wire: Wire
        self.send: Callable[[bytes], None]
        self._state = ConnectionState.NEGOTIATING
        self._deadline = self._credit_at = service.now()
        self._credit = 0
        self._attempts = self._lookups = self._silence = 0
        self._close_reason = CloseReason.LOST

    # --- for its wire

    def opened(self, wire: Wire) -> None:
        """Frames can be sent and will come."""
        self._wire = wire
        self.send = wire.send
        self._credit = self._service.limits.burst_bytes
        self._deadline += self._service.limits.login_seconds
        self._service.opened(self)

    def charge(self, cost: int) -> bool:
        """Something came that costs so many bytes; False when it is to be ignored."""
        if self._state is _CLOSING:
            return False
        self._silence = 0
        self._credit -= cost
        if self._credit < 0 and not self._refill():
            self.close(CloseReason.FLOOD)
            return False
        return True

    def receive(self, frame: bytes) -> None:
        """A whole frame came."""
        received = self._stream.receive(frame)
        if isinstance(received, CheckedStanza):
            self._service.router.route(self.device, received)
        else:
            self._perform(received)

    def break_off(self, condition: str) -> None:
        """What came cannot be read: end the stream with this condition."""
        self._perform(self._stream.close(condition, "what came is not a stream"))

    def secured(self) -> None:
        """TLS begins."""
        self._perform(self._stream.secured(self._service.mechanisms))

    @property
    def awaits_tls(self) -> bool:
        """Whether the client has asked for TLS: then nothing more may be read in clear text."""
        return self._stream.awaits_tls

    @property
    def wire_name(self) -> str:
        """What carries it, for logs."""
        return self._wire.name

    @property
    def reachable(self) -> bool:
        """See `ringmesh.server.chat.router.Device`."""
        return self.active

    @property
    def is_online(self) -> bool:
        """Whether a user is logged in."""
        return self._state is ConnectionState.ONLINE

    def leave(self, reason: CloseReason) -> bool:
        """Stop taking and giving stanzas; False if that has happened before."""
        if self._state is _CLOSING:
            return False
        was_online = self._state is ConnectionState.ONLINE
        self._state = _CLOSING
        self._close_reason = reason
        if was_online:
            self._take_off(reason)
        return True

    def _take_off(self, reason: CloseReason) -> None:
        device = self.device
        if not isinstance(device, ResumableDevice):
            self._service.went_offline(self)
        elif reason.may_resume:
            self._service.resumable.detach(device)
        elif reason is not CloseReason.REPLACED:
            self._service.resumable.remove(device)
        self.device = self

    def gone(self, reason: CloseReason) -> None:
        """The socket is gone; the reason counts if there was none before."""
        self.leave(reason)
        self._service.closed(self, self._close_reason)

    # --- for the service

    def close(self, reason: CloseReason) -> None:
        """End the stream, then the wire, then the socket."""
        if not self.leave(reason):
            return
        if reason is not CloseReason.SHUTDOWN or self._wire.ends_stream_at_shutdown:
            for event in self._stream.close(reason.condition):
                if isinstance(event, SendFrame):
                    self.send(event.frame.encode())
        self._wire.finish(reason)

    def look(self, now: float) -> None:
        """Once per ``idle_seconds``: ping a silent client, give up a dead one."""
        self._silence += 1
        if isinstance(self.device, ResumableDevice):
            self.device.ask()
        if self._state is _CLOSING:
            self._wire.cut()
        elif self._state is not ConnectionState.ONLINE:
            if now > self._deadline:
                self.close(CloseReason.LOGIN_TIMEOUT)
        elif self._silence >= _DEAD_AT:
            self.leave(CloseReason.SILENT)
            self._wire.cut()
        elif self._silence >= _PING_AT:
            self._wire.ping()

    def _refill(self) -> bool:
        """Grant what has been earned since the last time; whether that is enough."""
        limits, now = self._service.limits, self._service.now()
        earned = int((now - self._credit_at) * limits.rate_bytes)
        self._credit = min(self._credit + earned, limits.burst_bytes)
        self._credit_at = now
        return self._credit >= 0

    def _perform(self, events: Sequence[ServerEvent]) -> None:
        for event in events:
            match event:
                case SendFrame():
                    self._answer(event.frame)
                case AuthenticationRequested() | ScramAnswered():
                    self._begin_login(self._log_in(event))
                case ScramRequested():
                    self._begin_login(self._challenge(event))
                case Bound():
                    self._come_online(event.jid)
                case PresenceChanged(available=True) if not self._announced:
                    self._announced = True
                    self._service.router.became_reachable(self.device)
                case ActivityChanged():
                    returns = event.active and not self.device.active
                    self.device.active = event.active
                    if returns:
                        self._service.router.became_reachable(self.device)
                case CarbonsChanged():
                    self.device.carbons = event.enabled
                    self.device.verbatim |= event.verbatim
                case ClientHandled():
                    if isinstance(self.device, ResumableDevice):
                        self.device.client_handled(event.count)
                case ResumptionRequested():
                    self._enable_resumption()
                case ResumeRequested():
                    self._resume(event)
                case LastActivityRequested():
                    self._look_up(event)
                case Closed():
                    self._stream_closed(event)

    def _answer(self, frame: str) -> None:
        """Send what the stream machine says; stanzas count for XEP-0198, other elements do not."""
        if self.device is not self and frame.startswith("<iq"):
            self.device.send(frame.encode())
        else:
            self.send(frame.encode())

    def _enable_resumption(self) -> None:
        handled = self._stream.handled
        if handled is None or self._state is not ConnectionState.ONLINE:
            return
        device = self._service.resumable.add(self, handled)
        seconds = int(self._service.limits.resume_seconds)
        self._perform(self._stream.enable_management(device.stream_id, seconds))
        self.device = device

    def _resume(self, request: ResumeRequested) -> None:
        jid = self._stream.jid
        resumable = self._service.resumable
        device = (
            None if jid is None else resumable.find(request.stream_id, jid.local, request.handled)
        )
        if device is None:
            self._perform(self._stream.resume_failed())
            return
        if device.connection is not None:
            device.connection.replaced()
        waiting = device.take_waiting()
        resumable.attach(device, self)
        self.user, self.jid, self.resource = device.user, device.jid, device.resource
        self._state = ConnectionState.ONLINE
        full = JID.parse(device.jid)
        self._perform(self._stream.resumed(request.stream_id, full, device.handled))
        self.device = device
        for stanza in waiting:
            self.send(stanza)
        self.send(REQUEST)
        self._service.resumed(self)

    def replaced(self) -> None:
        """Its device goes on over another connection."""
        if self.leave(CloseReason.REPLACED):
            self._wire.cut()

    def _begin_login(self, work: Coroutine[Any, Any, None]) -> None:
        """The machine asks for one thing at a time."""
        self._state = ConnectionState.LOGGING_IN
        self._service.spawn(work)

    async def _challenge(self, request: ScramRequested) -> None:
        found = await self._service.scram_credentials(self, request)
        if self._state is not ConnectionState.LOGGING_IN:
            return
        self._state = ConnectionState.NEGOTIATING
        if isinstance(found, str):
            self._perform(self._stream.authentication_failed(found))
        else:
            self._perform(self._stream.challenge(found, secrets.token_hex(16)))

    async def _log_in(self, login: AuthenticationRequested | ScramAnswered) -> None:
        condition = await self._service.check_login(self, login)
        if self._state is not ConnectionState.LOGGING_IN:
            return
        self._state = ConnectionState.NEGOTIATING
        if condition is None:
            self._perform(self._stream.authentication_succeeded())
            return
        self._attempts += 1
        if self._attempts < _LOGIN_ATTEMPTS:
            self._deadline = self._service.now() + self._service.limits.login_seconds
        self._perform(self._stream.authentication_failed(condition))

    def _come_online(self, jid: JID) -> None:
        self.user, self.jid, self.resource = jid.local, str(jid), jid.resource
        resumable = self._service.resumable
        resumable.remove_detached(self.app_id, self.user, self.resource)
        others = self._service.router.online(self.app_id).get(self.user, ())
        crowded = len(others) >= self._service.limits.devices_per_user
        if crowded and not resumable.remove_detached(self.app_id, self.user):
            self.close(CloseReason.TOO_MANY_DEVICES)
            return
        self._state = ConnectionState.ONLINE
        self._service.came_online(self)

    def _look_up(self, request: LastActivityRequested) -> None:
        if self._lookups < _LOOKUPS:
            self._lookups += 1
            self._service.spawn(self._answer_last_activity(request))
        else:
            self._perform(self._stream.last_activity(request.iq_id, request.jid, None))

    async def _answer_last_activity(self, request: LastActivityRequested) -> None:
        seconds = None
        if request.jid.app_id == str(self.app_id) and request.jid.user_id is not None:
            seen = await self._service.last_seen(self.app_id, request.jid.user_id)
            if seen is not None:
                seconds = max(0, int((datetime.now(UTC) - seen).total_seconds()))
        self._lookups -= 1
        if self._state is ConnectionState.ONLINE:
            self._perform(self._stream.last_activity(request.iq_id, request.jid, seconds))

    def _stream_closed(self, closed: Closed) -> None:
        reason = CloseReason.CLIENT if closed.condition is None else CloseReason.STREAM_ERROR
        if self.leave(reason):
            if closed.condition is not None:
                _logger.warning(
                    "chat stream error",
                    user=self.user,
                    address=self.address,
                    condition=closed.condition,
                    detail=closed.detail,
                )
            self._wire.finish(reason)
