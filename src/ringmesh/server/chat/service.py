"""The chat service: what the rest of the server sees of the chat."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias

import structlog
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ringmesh.errors import AuthenticationError, ProtocolError, RingmeshError
from ringmesh.protocol.framing import TCP
from ringmesh.protocol.jid import JID, user_jid
from ringmesh.protocol.sasl import PLAIN, ScramCredentials
from ringmesh.protocol.signal_xml import encode_signal
from ringmesh.protocol.stream import (
    AuthenticationRequested,
    ScramAnswered,
    ScramRequested,
    ServerStream,
)
from ringmesh.server.bus import Bus
from ringmesh.server.chat.call_memory import CallMemory
from ringmesh.server.chat.closing import CloseReason
from ringmesh.server.chat.connection import Connection
from ringmesh.server.chat.limits import ChatLimits
from ringmesh.server.chat.metrics import chat_metrics
from ringmesh.server.chat.resumption import ResumableDevice, ResumableDevices
from ringmesh.server.chat.router import Device, Router
from ringmesh.server.chat.tcp_wire import TcpSecurity, TcpWire
from ringmesh.server.chat.watch import Watch
from ringmesh.server.chat.websocket import ChatWebSocket, UpgradeRefusedError
from ringmesh.server.client_address import Network, client_address, is_loopback
from ringmesh.signals import CallType, Reject, UserInfo

Authenticate: TypeAlias = Callable[[int, int, str, str], Awaitable[object]]
"""``authenticate_chat(app_id, user_id, password_or_token, address)``.

Raises `AuthenticationError` when refused, another `RingmeshError` when it cannot be told now.
"""


class ScramLogins(Protocol):
    """Logins that do not tell the password.

    Both methods raise `AuthenticationError` when refused, another `RingmeshError` when it cannot be
    told now.
    """

    async def credentials(
        self, application_id: int, user_id: int, hash_name: str, address: str
    ) -> ScramCredentials:
        """What a user's proof is checked against; of one who does not exist no less."""

    def answered(self, application_id: int, user_id: int, address: str, right: bool) -> None:
        """A proof was checked; raises if it was wrong."""


LastActivity: TypeAlias = Callable[[int, int], Awaitable[datetime | None]]
"""``last_activity(app_id, user_id)``: when an offline user was last seen; None if unknown."""

_REMEMBERED_DEPARTURES = 10_000

_logger = structlog.get_logger(__name__)


class ChatService(Collector):
    """Every chat connection of this node.

    Made on the running event loop. Pass `websocket` to uvicorn as ``ws=``; `start` before it
    listens and `close` when it stops. As a collector it registers with `prometheus_client`.

    Args:
        domain: the domain of the addresses it hands out.
        authenticate: decides on logins.
        bus: reaches users on other nodes.
        scram: decides on logins by SCRAM; None: these are not offered.
        last_activity: knows about users who are offline.
        trusted_proxies: may say whom they connect.
        limits: what one client may use.
    """

    def __init__(
        self,
        *,
        domain: str,
        authenticate: Authenticate,
        bus: Bus,
        scram: ScramLogins | None = None,
        last_activity: LastActivity | None = None,
        trusted_proxies: Sequence[Network] = (),
        limits: ChatLimits | None = None,
    ) -> None:
        self.domain = domain
        self.limits = limits or ChatLimits()
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time
        self.calls = CallMemory()
        self.router = Router(bus, self.calls)
        self.resumable = ResumableDevices(self.router, self.limits, self.loop, self._device_left)
        self.closed_by: Counter[CloseReason] = Counter()
        self.logins: Counter[str] = Counter()
        self.mechanisms = (PLAIN,) if scram is None else ("SCRAM-SHA-256", "SCRAM-SHA-1", PLAIN)
        self._scram = scram
        self._authenticate = authenticate
        self._last_activity = last_activity
        self._trusted_proxies = trusted_proxies
        self._watch = Watch(self.loop, self.limits.idle_seconds)
        self._connections: set[Connection] = set()
        self._addresses: Counter[str] = Counter()
        self._departures: dict[tuple[int, int], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._empty = asyncio.Event()

    # --- for the rest of the server

    def websocket(
        self, *, config: object, server_state: Any, app_state: object
    ) -> asyncio.BufferedProtocol:
        """Make the protocol object for an upgraded connection, as uvicorn's ``ws=`` class does."""
        protocol: asyncio.BufferedProtocol = ChatWebSocket(
            self.limits, self._admit, server_state.connections
        )
        return protocol

    def tcp(self, security: TcpSecurity) -> asyncio.Protocol:
        """Make the protocol object for a TCP connection (RFC 6120)."""
        return TcpWire(self, security)

    async def start(self) -> None:
        """Begin to look after connections."""
        self._watch.start()

    async def close(self) -> None:
        """Close every stream and socket, within `ChatLimits.close_seconds`. Idempotent."""
        self._closing = True
        self._watch.stop()
        for connection in tuple(self._connections):
            connection.close(CloseReason.SHUTDOWN)
        self.resumable.close()
        if self._connections:  # a connection cuts itself off when its time is up
            await self._empty.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def connection_count(self) -> int:
        """Open connections, logged in or not."""
        return len(self._connections)

    def online_users(self, app_id: int) -> list[int]:
        """Ids of the application's users with a device on this node, ascending."""
        return sorted(devices[0].user_id for devices in self.router.online(app_id).values())

    def is_online(self, app_id: int, user_id: int) -> bool:
        """Whether the user has a device on this node."""
        return f"{user_id}-{app_id}" in self.router.online(app_id)

    async def last_seen(self, app_id: int, user_id: int) -> datetime | None:
        """When the user was last online, now if they are; None if unknown."""
        if self.is_online(app_id, user_id):
            return datetime.now(UTC)
        departed = self._departures.get((app_id, user_id))
        if departed is not None:
            return datetime.fromtimestamp(departed, UTC)
        return await self._last_activity(app_id, user_id) if self._last_activity else None

    def reject_call(
        self,
        *,
        app_id: int,
        user_id: int,
        session_id: str,
        recipient_ids: Sequence[int],
        platform: str,
        user_info: Mapping[str, object],
    ) -> None:
        """Send a ``reject`` signal in the name of a user (``POST /calls/reject``).

        It goes to every device of each recipient, who is looked for in the same application, and
        as a carbon to the user's own devices, so that they stop ringing. Caller and call type
        are those of the ``call`` signal seen for the session; if none was, a video call by the
        recipient is assumed. Values of `user_info` that are not text become their JSON text.

        Raises:
            SignalError, StanzaError: something in it cannot be written as a signal.
        """
        call = self.calls.find(app_id, session_id)
        sender = user_jid(user_id, app_id, self.domain)
        for recipient_id in dict.fromkeys(recipient_ids):
            recipient = user_jid(recipient_id, app_id, self.domain)
            signal = Reject(
                session_id=session_id,
                call_type=CallType(call.call_type) if call else CallType.VIDEO_CALL,
                caller_id=call.caller_id if call else recipient_id,
                platform=platform,
                user_info=_as_text(user_info),
            )
            stanza = encode_signal(
                signal, str(recipient), secrets.token_hex(12), sender=str(sender)
            ).encode()
            self.router.send(app_id, recipient.local, stanza)
            self.router.send_carbons(app_id, sender.local, stanza)
            if self.router.watcher is not None:
                self.router.watcher.ended(
                    app_id, user_id, recipient.local, session_id.encode(), b"reject", ""
                )

    def disconnect_user(self, app_id: int, user_id: int) -> None:
        """Close every connection of a user who lost the right to be here."""
        for connection in tuple(self._connections):
            if (connection.app_id, connection.user_id) == (app_id, user_id):
                connection.close(CloseReason.REMOVED)
        while self.resumable.remove_detached(app_id, f"{user_id}-{app_id}"):
            pass

    def collect(self) -> Iterator[Metric]:
        """The chat's metrics."""
        return chat_metrics(self)

    # --- for its connections

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that has to wait; cancelled when the service closes."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def admit_tcp(self, address: str, *, secure: bool, tls: bool) -> Connection | None:
        """The owner of a new TCP connection; None: there may be none.

        Args:
            secure: passwords may be sent as it is.
            tls: STARTTLS is possible.
        """
        if self._closing or self._is_crowded(address):
            return None
        mechanisms = self.mechanisms if secure else ()
        stream = self._new_stream(framing=TCP, mechanisms=mechanisms, tls=tls)
        return Connection(self, address, stream)

    def opened(self, connection: Connection) -> None:
        """A WebSocket is open."""
        self._connections.add(connection)
        self._addresses[connection.address] += 1
        connection.place = self._watch.add(connection)

    def closed(self, connection: Connection, reason: CloseReason) -> None:
        """A socket is gone."""
        self._connections.discard(connection)
        self._watch.remove(connection, connection.place)
        self._addresses[connection.address] -= 1
        if not self._addresses[connection.address]:
            del self._addresses[connection.address]
        self.closed_by[reason] += 1
        _logger.info(
            "chat closed", user=connection.user, address=connection.address, reason=reason.label
        )
        if self._closing and not self._connections:
            self._empty.set()

    async def check_login(
        self, connection: Connection, login: AuthenticationRequested | ScramAnswered
    ) -> str | None:
        """The SASL condition that refuses a login; None if it is right."""
        condition = await self._refusal(connection, login)
        self.logins[condition or "accepted"] += 1
        return condition

    def came_online(self, connection: Connection) -> None:
        """A device is bound."""
        self.router.add(connection)
        _logger.info(
            "chat online",
            user=connection.user,
            address=connection.address,
            wire=connection.wire_name,
        )

    def went_offline(self, connection: Connection) -> None:
        """A device left."""
        self.router.remove(connection)
        self._note_departure(connection)

    def resumed(self, connection: Connection) -> None:
        """A device is back."""
        _logger.info("chat resumed", user=connection.user, address=connection.address)

    def _device_left(self, device: ResumableDevice, undelivered: list[bytes]) -> None:
        self._note_departure(device)
        for stanza in undelivered:
            self.router.bounce(stanza, device)

    def _note_departure(self, device: Device) -> None:
        user = (device.app_id, device.user_id)
        self._departures.pop(user, None)
        if len(self._departures) >= _REMEMBERED_DEPARTURES:
            del self._departures[next(iter(self._departures))]
        self._departures[user] = time.time()

    async def scram_credentials(
        self, connection: Connection, request: ScramRequested
    ) -> ScramCredentials | str:
        """What a proof is checked against, or the SASL condition that refuses the login."""
        found: list[ScramCredentials] = []

        async def look_up(app_id: int, user_id: int) -> None:
            assert self._scram is not None
            args = app_id, user_id, request.hash_name, connection.address
            found.append(await self._scram.credentials(*args))

        condition = await self._tried(connection, request.local_part, look_up)
        if condition is not None:
            self.logins[condition] += 1
            return condition
        return found[0]

    async def _refusal(
        self, connection: Connection, login: AuthenticationRequested | ScramAnswered
    ) -> str | None:
        async def check(app_id: int, user_id: int) -> None:
            address = connection.address
            if isinstance(login, AuthenticationRequested):
                await self._authenticate(app_id, user_id, login.password, address)
            else:
                assert self._scram is not None
                self._scram.answered(app_id, user_id, address, login.right)
            connection.app_id, connection.user_id = app_id, user_id

        return await self._tried(connection, login.local_part, check)

    async def _tried(
        self,
        connection: Connection,
        local_part: str,
        attempt: Callable[[int, int], Awaitable[None]],
    ) -> str | None:
        """Do something about a login by the application's and the user's id; the SASL condition
        of what went wrong."""
        try:
            jid = JID.parse(f"{local_part}@{self.domain}")
            user_id, app_id = jid.user_id or 0, int(jid.app_id or "")
        except (ProtocolError, ValueError):
            return "not-authorized"
        if f"{user_id}-{app_id}" != jid.local:  # one user, one address: no leading zeros
            return "not-authorized"
        try:
            await attempt(app_id, user_id)
        except AuthenticationError:
            return "not-authorized"
        except RingmeshError:
            return "temporary-auth-failure"
        except Exception:
            _logger.exception("chat login failed", user=jid.local, address=connection.address)
            return "temporary-auth-failure"
        return None

    def _admit(self, peer: str, forwarded_for: str, secure: bool) -> Connection:
        if self._closing:
            raise UpgradeRefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "the server is shutting down")
        address = client_address(peer, forwarded_for, self._trusted_proxies)
        if self._is_crowded(address):
            raise UpgradeRefusedError(
                HTTPStatus.TOO_MANY_REQUESTS, "too many connections from this address"
            )
        if secure or self._scram is None or is_loopback(peer) or peer != address:
            return Connection(self, address, self._new_stream())
        # Where there is no TLS, the JavaScript SDK in Node tells no password.
        stream = self._new_stream(mechanisms=("SCRAM-SHA-1", PLAIN))
        return Connection(self, address, stream)

    def _is_crowded(self, address: str) -> bool:
        most = self.limits.connections_per_address
        return most is not None and self._addresses[address] >= most

    def _new_stream(self, **how: Any) -> ServerStream:
        return ServerStream(self.domain, secrets.token_hex(8), secrets.token_hex(8), **how)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("chat task failed", exc_info=error)


def _as_text(user_info: Mapping[str, object]) -> UserInfo:
    """User info as signals carry it: text leaves, JSON's spelling for what is not text."""
    return {
        key: _as_text(value)
        if isinstance(value, Mapping)
        else value
        if value is None or isinstance(value, str)
        else json.dumps(value)
        for key, value in user_info.items()
    }
