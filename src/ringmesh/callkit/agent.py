"""The agent: a small process that rings while the application is closed.

It listens with a chat connection of its own (`ringmesh.client.listening`) and answers no call:
declining goes over REST, and on Accept the application is started and takes the call with its own
connection. It loads no media library.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from ringmesh.callkit.activation import answer_in
from ringmesh.callkit.call_event import MAX_NAME, CallEvent, CallState, printable
from ringmesh.callkit.notifier import Action, Look, Notifier, system_notifier
from ringmesh.callkit.ringtone import RingTone
from ringmesh.callkit.session_bus import SessionBus
from ringmesh.callkit.store import CallStore, Ringer, What, attempt
from ringmesh.calls.transitions import EndReason
from ringmesh.client.chat_connection import CubeChatConnectionState
from ringmesh.client.listening import CallListener, HeardCall, listen
from ringmesh.client.reconnect import ExponentialBackoff
from ringmesh.errors import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidStateError,
    NotSupportedError,
    ProtocolError,
    RequestError,
    RingmeshError,
)

_logger = logging.getLogger(__name__)

NAME_PATIENCE = 0.15
"""Seconds that a ring waits for the caller's name."""

APPLICATION_PATIENCE = 0.5
"""Seconds that an application which runs gets to ring by itself."""

MAX_NAMES = 500
"""Callers' names that are remembered."""

DECLINE_ATTEMPTS = 6
CLOSE_PATIENCE = 5.0
"""Seconds in which declines that are under way may finish when the agent ends."""


@dataclass(slots=True)
class _Ring:
    call: HeardCall
    event: CallEvent


class Agent:
    """Rings for the calls of one user, for one application.

    Args:
        application: its id; it is started by this name on Accept.
    """

    def __init__(
        self,
        application: str,
        listener: CallListener,
        notifier: Notifier,
        bus: SessionBus,
        store: CallStore,
        *,
        look: Look | None = None,
    ) -> None:
        self._application = application
        self._listener = listener
        self._notifier = notifier
        self._bus = bus
        self._store = store
        self._look = look or Look()
        self._ring_tone = RingTone()
        self._rings: dict[str, _Ring] = {}
        self._names: dict[int, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to ring for calls. Raises `NotSupportedError` without a desktop session."""
        await self._notifier.open(self._acted)
        self._listener.on_ringing = lambda call: self._start(self._ring(call))
        self._listener.on_ended = lambda call: self._start(self._ended(call))
        self._listener.start()

    async def close(self) -> None:
        """Withdraw everything, and let declines that are under way finish."""
        self._listener.stop()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._ring_tone.close()
        await self._notifier.close()
        self._store.close()

    # A call rings

    async def _ring(self, call: HeardCall) -> None:
        """Ring, unless the call was settled on this machine or the application rings itself."""
        event = await self._describe(call)
        if not await self._is_ours(call, event):
            _logger.info("call %s rings in the application, or was settled", event.session_id)
            return
        if call.end_reason is not None:
            return
        self._rings[event.session_id] = _Ring(call, event)
        attempt(lambda: self._store.tell_later(What.INCOMING, event), None)
        _logger.info("call %s rings", event.session_id)
        await self._show(event)

    async def _is_ours(self, call: HeardCall, event: CallEvent) -> bool:
        state = attempt(lambda: self._store.state(event.session_id), CallState.UNKNOWN)
        if state is CallState.REJECTED:  # its repeats came after a restart
            await self._decline(call)
            return False
        gone: Ringer | None = Ringer.AGENT  # we are the only one, and have not rung for this yet
        try:
            application_runs = await self._bus.has_owner(self._application)
        except NotSupportedError as error:
            _logger.warning("%s", error)
            application_runs = False
        if application_runs:
            await asyncio.sleep(APPLICATION_PATIENCE)
        elif attempt(lambda: self._store.ringer(event.session_id), None) is Ringer.APPLICATION:
            gone = Ringer.APPLICATION
        return attempt(lambda: self._store.begin(event, Ringer.AGENT, instead_of=gone), True)

    async def _describe(self, call: HeardCall) -> CallEvent:
        info = {name: text for name, text in call.user_info.items() if isinstance(text, str)}
        return CallEvent(
            session_id=call.session_id,
            call_type=call.call_type,
            caller_id=call.caller_id,
            caller_name=await self._name_of(call.caller_id),
            opponents_ids=call.opponents_ids,
            user_info=info,
        )

    async def _name_of(self, user_id: int) -> str:
        """The name that the server knows: a caller does not choose how he is announced."""
        if user_id not in self._names:
            try:
                async with asyncio.timeout(NAME_PATIENCE):
                    user = await self._listener.users.get(user_id)
            except (RingmeshError, TimeoutError) as error:
                _logger.info("the name of user %d is not known: %s", user_id, error)
                return f"User {user_id}"
            if len(self._names) >= MAX_NAMES:
                self._names.clear()
            self._names[user_id] = printable(user.name)[:MAX_NAME] or f"User {user_id}"
        return self._names[user_id]

    async def _show(self, event: CallEvent, note: str = "") -> None:
        has_tone = RingTone.is_available()
        try:
            await self._notifier.show(event, self._look, note=note, audible=not has_tone)
        except NotSupportedError as error:
            _logger.error("call %s cannot be shown: %s", event.session_id, error)
        if has_tone and event.session_id in self._rings:
            self._ring_tone.play(self._look.ringtone)

    # It rings no more

    async def _ended(self, call: HeardCall) -> None:
        """The caller gave up or is lost, or another device of ours answered or declined."""
        session_id, reason = call.session_id, call.end_reason
        _logger.info("call %s rings no more: %s", session_id, reason)
        state = CallState.REJECTED
        before = [CallState.PENDING]
        if reason is EndReason.CALLER_LOST:  # who may ring again
            state = CallState.UNKNOWN
        if reason is not EndReason.ANSWERED_ELSEWHERE:  # or an application that starts would answer
            before.append(CallState.ACCEPTED)
        attempt(lambda: self._store.set_state(session_id, state, only_from=before), True)
        if self._rings.pop(session_id, None) is not None:
            await self._silence(session_id)

    async def _silence(self, session_id: str) -> None:
        if not self._rings:
            self._ring_tone.stop()
        await self._notifier.withdraw(session_id)

    # The user decides

    def _acted(self, session_id: str, action: Action) -> None:
        ring = self._rings.get(session_id)
        if ring is None:
            return
        if action is Action.DISMISS:
            self._ring_tone.stop()
            return
        del self._rings[session_id]
        work = self._accept(ring) if action is Action.ACCEPT else self._reject(ring)
        self._start(work)

    async def _reject(self, ring: _Ring) -> None:
        session_id = ring.event.session_id
        attempt(lambda: self._store.set_state(session_id, CallState.REJECTED), True)
        attempt(lambda: self._store.tell_later(What.REJECTED, ring.event), None)
        await asyncio.gather(self._silence(session_id), self._decline(ring.call))

    async def _decline(self, call: HeardCall) -> None:
        """Tell everybody in the call; a server that is away gets some time to come back."""
        pauses = ExponentialBackoff(first=1.0, maximum=8.0)
        for number in range(1, DECLINE_ATTEMPTS + 1):
            try:
                await self._listener.reject_call(call.session_id, call.members_ids)
                _logger.info("call %s declined", call.session_id)
                break
            except ConnectionFailedError as error:
                _logger.warning("not declined yet: %s", error)
                await asyncio.sleep(pauses.delay(number) or 0)
            except RingmeshError as error:
                _logger.error("not declined: %s", error)
                break
        self._listener.forget(call)

    async def _accept(self, ring: _Ring) -> None:
        session_id = ring.event.session_id
        records = ring.call.records()
        attempt(lambda: self._store.hand_over(session_id, records), None)
        attempt(lambda: self._store.set_state(session_id, CallState.ACCEPTED), True)
        await self._silence(session_id)
        try:
            await answer_in(self._bus, self._application, session_id)
        except NotSupportedError as error:
            _logger.error("%s cannot be started: %s", self._application, error)
            await self._ring_again(ring)

    async def _ring_again(self, ring: _Ring) -> None:
        """Nobody took the call: the user must learn that."""
        session_id = ring.event.session_id
        if ring.call.end_reason is None:
            attempt(lambda: self._store.set_state(session_id, CallState.PENDING), True)
            self._rings[session_id] = ring
            await self._show(ring.event, f"{self._application} cannot be started.")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="agent work")
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _logger.error("agent work broke", exc_info=task.exception())


async def run_agent(
    url: str, login: str, password: str, application: str, *, look: Look | None = None
) -> None:
    """Ring until cancelled, whatever the server and the network do meanwhile.

    Raises `AuthenticationError` when the login is refused, `NotSupportedError` without a desktop
    session and on other systems than Linux, and `InvalidStateError` when an agent for this
    application runs already.
    """
    if not sys.platform.startswith("linux"):
        raise NotSupportedError("the agent runs on Linux only")
    bus = SessionBus()
    await bus.connect()
    lost = asyncio.Event()
    bus.on_lost = lost.set
    try:
        if not await bus.own_name(agent_name(application)):
            raise InvalidStateError(f"an agent for {application} runs already")
        serving = asyncio.create_task(
            _serve(url, login, password, application, bus, look), name="agent"
        )
        losing = asyncio.create_task(lost.wait(), name="agent watch")
        try:
            await asyncio.wait({serving, losing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            serving.cancel()
            losing.cancel()
            await asyncio.gather(serving, losing, return_exceptions=True)
        if not serving.cancelled():
            serving.result()
        raise NotSupportedError("the D-Bus session ended")
    finally:
        await bus.close()


def agent_name(application: str) -> str:
    """The name on the session bus by which an agent is unique."""
    return f"{application}.RingmeshAgent"


async def _serve(
    url: str, login: str, password: str, application: str, bus: SessionBus, look: Look | None
) -> None:
    """Sign in, again and again until it works, and ring."""
    pauses = ExponentialBackoff(first=1.0, maximum=30.0)
    attempts = 0
    while True:
        try:
            async with listen(url, login=login, password=password) as listener:
                await _ring_for(listener, application, bus, look)
        except (ConnectionFailedError, ProtocolError, RequestError) as error:
            attempts += 1
            _logger.warning("not signed in: %s", error)
            await asyncio.sleep(pauses.delay(attempts) or 0)


async def _ring_for(
    listener: CallListener, application: str, bus: SessionBus, look: Look | None
) -> None:
    """Ring until the chat connection cannot come back by itself."""
    notifier = system_notifier(application)
    agent = Agent(application, listener, notifier, bus, CallStore.of(application), look=look)
    try:
        await agent.start()
        _logger.info("signed in as %s, waiting for calls", listener.user.name)
        async for state in listener.chat.connection_state_stream:
            if state is CubeChatConnectionState.AUTHENTICATION_FAILURE:
                raise AuthenticationError("the login is not accepted any more")
            if state is CubeChatConnectionState.FORCE_CLOSED:
                raise ConnectionFailedError("the chat connection was given up")
    finally:
        await agent.close()
