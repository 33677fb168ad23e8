"""The chat connection as the application sees it: kept up for as long as it is wanted.

Three lifetimes: this object lives as long as the user is signed in, each `Chat` as long as one
WebSocket, and the policy in `ringmesh.client.reconnect` decides about the time in between.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from enum import Enum

from ringmesh.client.broadcast import Broadcast
from ringmesh.client.chat import Chat, ChatListener, ChatLogin, Outgoing, outgoing
from ringmesh.client.config import CubeChatConnectionSettings, Endpoints
from ringmesh.client.models import CubeSession
from ringmesh.client.network_reach import ServerAddress, reach
from ringmesh.client.reconnect import ExponentialBackoff, ReconnectPolicy
from ringmesh.client.rest import RestClient
from ringmesh.errors import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidStateError,
    ProtocolError,
    RingmeshError,
)
from ringmesh.signals import Call, IceRestart, IceRestartRequest, Signal

_logger = logging.getLogger(__name__)

MAX_PENDING = 100
"""Signals kept while the connection is down; beyond that the oldest are dropped."""

MAX_PENDING_AGE = 60.0
"""Seconds after which a kept signal is not worth sending any more."""

MAX_SEEN = 512
"""Received messages remembered, so that one that was sent again counts once."""

FIRST_ATTEMPT, LONGER_ATTEMPT = 3.0, 2.0
"""Seconds for the first attempt to come back, and more for each further one: an attempt that began
while the network was dead would wait long for its next packet."""

KNOCKING = 30.0
"""Seconds for which an urgent attempt knocks at the server's last address before it asks for the
address anew."""

UNIQUE_ID = 16
"""Characters of a message id that no SDK gives to two messages."""

PROOF_TIMEOUT = 2.0
"""Seconds in which a connection in doubt must give a sign of life."""


class CubeChatConnectionState(Enum):
    """What the chat connection is doing.

    ``IDLE`` not logged in yet; ``CONNECTING`` the first attempt; ``READY`` signals flow;
    ``RECONNECTING`` it was lost and comes back; ``AUTHENTICATION_FAILURE`` and ``FORCE_CLOSED`` it
    was lost and does not come back by itself; ``CLOSED`` logged out.
    """

    IDLE = "idle"
    CONNECTING = "connecting"
    READY = "ready"
    RECONNECTING = "reconnecting"
    AUTHENTICATION_FAILURE = "authentication-failure"
    FORCE_CLOSED = "force-closed"
    CLOSED = "closed"


class CubeChatConnection:
    """Carries call signals and comes back by itself after it was lost.

    A connection that was lost is resumed when the server allows it (XEP-0198): then nothing that
    was on its way is lost or comes twice, in both directions. Signals sent while it is down are
    kept, at most 100 of them for at most 60 seconds, and sent in order when it is back; so are
    those whose arrival the server had not confirmed. A `Call` is not kept, since the call repeats
    it.

    Attributes:
        on_signal: called on the event loop with (sender's user id, signal, sender's resource).
        on_undelivered: called with (user id, signal) when a signal was lost: its receiver did not
            come back in time, or we did not.
        on_lost: called when it is down and will be made anew.
        on_restored: called when it is up again after it was lost.
        urgent: asked whether somebody waits for signals, as in a call: then an attempt to come back
            goes through as soon as the network does, at the price of a few packets per second.
        error: why the connection is down, None while it is up.
    """

    def __init__(
        self,
        rest: RestClient,
        endpoints: Endpoints,
        settings: CubeChatConnectionSettings,
        *,
        policy: ReconnectPolicy | None = None,
    ) -> None:
        longest = settings.reconnection_timeout / 1000
        self.on_signal: Callable[[int, Signal, str], None] | None = None
        self.on_undelivered: Callable[[int, Signal], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.on_restored: Callable[[], None] | None = None
        self.urgent: Callable[[], bool] = lambda: False
        self.error: RingmeshError | None = None
        self._rest = rest
        self._endpoints = endpoints
        self._settings = settings
        self._policy = policy or ExponentialBackoff(
            first=longest / 20, maximum=longest, attempts=settings.total_reconnections
        )
        self._stable_after = longest
        self._state = CubeChatConnectionState.IDLE
        self._states: Broadcast[CubeChatConnectionState] = Broadcast()
        self._active = True
        self._destroyed = False
        self._leaving = False
        self._chat: Chat | None = None
        self._before: Chat | None = None
        self._server: ServerAddress | None = None
        self._attempt: asyncio.Task[Chat] | None = None
        self._proof: asyncio.Task[None] | None = None
        self._seen: OrderedDict[tuple[int, str], None] = OrderedDict()
        self._sent: OrderedDict[str, Outgoing] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._pending: deque[Outgoing] = deque()

    @property
    def state(self) -> CubeChatConnectionState:
        """What it is doing now."""
        return self._state

    @property
    def connection_state_stream(self) -> AsyncIterator[CubeChatConnectionState]:
        """The state now and each one after it; ends with `destroy`."""
        states = self._states.subscribe()
        states.push(self._state)
        return states

    def is_authenticated(self) -> bool:
        """Whether signals can be sent at this moment."""
        return self._state is CubeChatConnectionState.READY

    async def login(self) -> None:
        """Connect. Does nothing while connected or reconnecting.

        Raises `AuthenticationError` or `ConnectionFailedError` if the first attempt fails, and
        `InvalidStateError` after `destroy`.
        """
        if self._destroyed:
            raise InvalidStateError("the chat connection was destroyed")
        if self._task is not None and not self._task.done():
            return
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leaving = False
        self._set_state(CubeChatConnectionState.CONNECTING)
        self._task = asyncio.create_task(self._run(first), name="chat connection")
        try:
            await first
        except BaseException:
            await self._stop()
            raise

    async def relogin(self) -> None:
        """Drop the connection, if there is one, and make a new one at once."""
        if self._task is None or self._task.done():
            await self.login()
            return
        self._hurry.set()
        if self._chat is not None:
            await self._chat.close()

    async def logout(self) -> None:
        """Close the connection in order and drop what was kept. `login` opens it again."""
        self._leaving = True
        if self._chat is not None:
            await self._chat.close()
        await self._stop()
        self._pending.clear()
        self._before = None
        self._set_state(CubeChatConnectionState.CLOSED)

    async def destroy(self) -> None:
        """Close it for good."""
        await self.logout()
        self._destroyed = True
        self._states.close()

    def network_changed(self) -> None:
        """Our address changed, or the network is back: make a new connection at once."""
        if self._leaving or self._task is None or self._task.done():
            return
        self._hurry.set()
        if self._chat is not None:
            self._chat.cut()
        if self._attempt is not None and self.state is CubeChatConnectionState.RECONNECTING:
            self._attempt.cancel()

    def doubt(self) -> None:
        """The network may be gone: find out within two seconds, not with the next keep-alive."""
        if self._chat is not None and (self._proof is None or self._proof.done()):
            proof = self._chat.prove(PROOF_TIMEOUT)
            self._proof = asyncio.create_task(proof, name="chat proof")

    def mark_inactive(self) -> None:
        """This device only listens: the server is to treat the user as one who is away, and to
        send pushes to other devices as well. Holds until `mark_active`, also after a reconnect."""
        self._set_active(False)

    def mark_active(self) -> None:
        """The user is at this device, as is assumed from the beginning."""
        self._set_active(True)

    def _set_active(self, active: bool) -> None:
        self._active = active
        if self._chat is not None:
            self._chat.set_active(active)

    def send_signal(self, user_id: int, signal: Signal, device: str = "") -> None:
        """Send to all devices of a user, or to the one with this resource, in order.

        Kept for later while the connection is down. A signal that cannot be written is dropped and
        logged.
        """
        try:
            item = outgoing(user_id, signal, device, self._login())
        except ProtocolError as error:
            _logger.error("signal not sent: %s", error)
            return
        self._sent[item.message_id] = item
        if len(self._sent) > MAX_SEEN:
            self._sent.popitem(last=False)
        chat = self._chat
        if chat is None or not self.is_authenticated() or not chat.send(item):
            self._keep(item)

    def _keep(self, item: Outgoing) -> None:
        if isinstance(item.signal, Call):
            return
        if isinstance(item.signal, IceRestart | IceRestartRequest):
            self._replace_restart(item)
        if len(self._pending) == MAX_PENDING:
            self._lose(self._pending.popleft(), "too many signals wait")
        self._pending.append(item)

    def _replace_restart(self, item: Outgoing) -> None:
        """Of the restarts that wait for one leg, only the newest is of use."""
        for other in list(self._pending):
            same_leg = (other.user_id, other.signal.session_id) == (
                item.user_id,
                item.signal.session_id,
            )
            if same_leg and type(other.signal) is type(item.signal):
                self._pending.remove(other)

    def _flush(self, chat: Chat) -> None:
        oldest = asyncio.get_running_loop().time() - MAX_PENDING_AGE
        pending = list(self._pending)
        self._pending.clear()
        for item in pending:
            if chat.has_arrived(item):
                continue
            if item.at < oldest:
                self._lose(item, "the chat was down too long")
            elif not chat.send(item):
                self._pending.append(item)

    def _lose(self, item: Outgoing, reason: str) -> None:
        _logger.warning("%s for user %d lost: %s", type(item.signal).__name__, item.user_id, reason)
        if self.on_undelivered is not None:
            self.on_undelivered(item.user_id, item.signal)

    def _undelivered(self, message_id: str) -> None:
        item = self._sent.pop(message_id, None)
        if item is not None and not isinstance(item.signal, Call):
            self._lose(item, "the receiver did not come back in time")

    async def _run(self, first: asyncio.Future[None]) -> None:
        try:
            await self._keep_up(first)
        except Exception as error:
            _logger.exception("chat connection broke")
            self._set_state(CubeChatConnectionState.FORCE_CLOSED)
            if not first.done():
                first.set_exception(error)

    async def _keep_up(self, first: asyncio.Future[None]) -> None:
        """Connect, again and again, until logged out or there is no point in it."""
        attempt = 0
        loop = asyncio.get_running_loop()
        while True:
            try:
                chat = await self._attempt_to_connect(attempt)
            except RingmeshError as error:
                self.error = error
                if isinstance(error, AuthenticationError) or not first.done():
                    self._give_up(first, error)
                    return
                _logger.info("chat attempt %d failed: %s", attempt, error)
            else:
                begun = loop.time()
                await self._use(chat, first)
                if self._leaving:
                    return
                if loop.time() - begun >= self._stable_after:
                    attempt = 0
            attempt += 1
            if not await self._pause(attempt):
                self._set_state(CubeChatConnectionState.FORCE_CLOSED)
                return

    async def _use(self, chat: Chat, first: asyncio.Future[None]) -> None:
        """Serve one connection until it ends."""
        self._chat = chat
        self._server = chat.server
        self.error = None
        self._set_state(CubeChatConnectionState.READY)
        if not self._active:
            chat.set_active(False)
        if not first.done():
            first.set_result(None)
        self._flush(chat)
        if self._before is not None and self.on_restored is not None:
            self.on_restored()
        try:
            self.error = await chat.serve()
        finally:
            self._chat, self._before = None, chat
            for item in chat.unconfirmed():
                self._keep(item)
        if not self._leaving:
            _logger.info("chat connection lost: %s", self.error)
            self._set_state(CubeChatConnectionState.RECONNECTING)
            if self.on_lost is not None:
                self.on_lost()

    async def _attempt_to_connect(self, attempt: int) -> Chat:
        """One attempt, which a change of the network breaks off."""
        timeout = self._settings.connect_timeout
        if self._before is not None:
            timeout = min(timeout, FIRST_ATTEMPT + LONGER_ATTEMPT * attempt)
        task = self._attempt = asyncio.create_task(self._connect(timeout), name="chat attempt")
        try:
            await asyncio.wait({task})
        finally:
            self._attempt = None
            task.cancel()
        if task.cancelled():
            raise ConnectionFailedError("the network changed")
        return task.result()

    async def _connect(self, timeout: float) -> Chat:
        """One attempt; a refused token is renewed and tried once more."""
        session = self._session()
        try:
            return await self._open(timeout)
        except AuthenticationError:
            await self._rest.restore_session(session)
            return await self._open(timeout)

    async def _open(self, timeout: float) -> Chat:
        listener = ChatListener(signal=self._receive, undelivered=self._undelivered)
        url = self._endpoints.chat_url
        chat = Chat(url, self._login(), self._settings, listener, self._before)
        await chat.open(timeout, await self._reach())
        return chat

    async def _reach(self) -> socket.socket | None:
        """A TCP connection, where nobody can wait for the next attempt."""
        if self._server is None or not self.urgent():
            return None
        try:
            async with asyncio.timeout(KNOCKING):
                return await reach(self._server)
        except TimeoutError:
            return None
        except OSError as error:
            raise ConnectionFailedError(f"cannot reach the chat server: {error}") from error

    def _login(self) -> ChatLogin:
        session = self._session()
        return ChatLogin(
            user_id=session.user_id,
            app_id=session.application_id,
            domain=self._endpoints.chat_domain,
            password=session.token,
        )

    async def _pause(self, attempt: int) -> bool:
        """Wait as the policy says; False to give up."""
        if self._hurry.is_set():
            self._hurry.clear()
            return True
        delay = self._policy.delay(attempt)
        if delay is None:
            return False
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), delay)
        self._hurry.clear()
        return True

    def _give_up(self, first: asyncio.Future[None], error: RingmeshError) -> None:
        refused = isinstance(error, AuthenticationError)
        _logger.error("chat connection given up: %s", error)
        self._set_state(
            CubeChatConnectionState.AUTHENTICATION_FAILURE
            if refused
            else CubeChatConnectionState.CLOSED
        )
        if not first.done():
            first.set_exception(error)

    def _receive(self, user_id: int, signal: Signal, device: str, message_id: str) -> None:
        if len(message_id) >= UNIQUE_ID and (user_id, message_id) in self._seen:
            return
        self._seen[user_id, message_id] = None
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)
        try:
            if self.on_signal is not None:
                self.on_signal(user_id, signal, device)
        except Exception:
            _logger.exception("%s from user %d broke", type(signal).__name__, user_id)

    def _session(self) -> CubeSession:
        if self._rest.session is None or not self._rest.session.user_id:
            raise InvalidStateError("sign in as a user before the chat is used")
        return self._rest.session

    async def _stop(self) -> None:
        tasks = [task for task in (self._task, self._proof) if task is not None]
        self._task = self._proof = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _set_state(self, state: CubeChatConnectionState) -> None:
        if state is self._state:
            return
        _logger.info("chat state=%s", state.value)
        self._state = state
        self._states.publish(state)
