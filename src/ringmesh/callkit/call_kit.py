"""The call kit as an application uses it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Self

from ringmesh.callkit.activation import Application
from ringmesh.callkit.call_event import MAX_NAME, CallEvent, CallState, printable
from ringmesh.callkit.notifier import Action, Look, Notifier, system_notifier
from ringmesh.callkit.ringtone import RingTone
from ringmesh.callkit.session_bus import SessionBus, check_application_id
from ringmesh.callkit.store import CallStore, Happening, Ringer, What, attempt
from ringmesh.calls.transitions import SessionState
from ringmesh.client.callbacks import CallbackRunner
from ringmesh.client.client import P2PClient
from ringmesh.client.events import EventStream, ReceiveNewSession, SessionClosed
from ringmesh.client.handover import unpack
from ringmesh.client.session import P2PSession
from ringmesh.errors import (
    ConfigurationError,
    InvalidStateError,
    NotSupportedError,
    ProtocolError,
)

_logger = logging.getLogger(__name__)

CallEventCallback = Callable[[CallEvent], object]

ANSWERABLE = 90.0
"""Seconds after which an accepted call that never came is no call any more."""

CLOSE_TIMEOUT = 5.0
"""Seconds that `CallKit.close` waits for running callbacks."""

_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


class CallKit:
    """Rings natively, and joins the application with the agent that rings while it is closed.

    Every callback is an attribute: a plain function, a coroutine function, or None. Use it from
    one event loop, with ``async with`` or `close`.

    Args:
        application: the application's id, such as ``org.example.Phone``; agent and application
            share everything under it.

    Attributes:
        on_call_incoming: called with (event) when a call begins to ring here.
        on_call_accepted: called with (event) when the user accepted a call in a notification. With
            `attach`, its session is there by then, under ``calls.sessions[event.session_id]``.
        on_call_rejected: called with (event) when the user declined in a notification.
        on_call_muted: called with (muted, session_id); only systems whose own call screen has
            such a button do so, Linux has none.
        on_call_incoming_when_terminated: called with (event) at the next `init`, for each call that
            rang while the application was closed.
        on_call_accepted_when_terminated: called with (event) at `init`, for the call whose
            acceptance started the application.
        on_call_rejected_when_terminated: called with (event) at the next `init`, for each call that
            was declined while the application was closed.
        on_token_refreshed: called with (token) when `get_token` has a new value.
        on_activated: called with () when the user wants to see the application.
    """

    def __init__(
        self,
        application: str,
        *,
        notifier: Notifier | None = None,
        store: CallStore | None = None,
    ) -> None:
        self.application = check_application_id(application)
        self.on_call_incoming: CallEventCallback | None = None
        self.on_call_accepted: CallEventCallback | None = None
        self.on_call_rejected: CallEventCallback | None = None
        self.on_call_muted: Callable[[bool, str], object] | None = None
        self.on_call_incoming_when_terminated: CallEventCallback | None = None
        self.on_call_accepted_when_terminated: CallEventCallback | None = None
        self.on_call_rejected_when_terminated: CallEventCallback | None = None
        self.on_token_refreshed: Callable[[str], object] | None = None
        self.on_activated: Callable[[], object] | None = None
        self._store = store or CallStore.of(application)
        self._notifier = notifier
        self._look = Look()
        self._ring_tone = RingTone()
        self._bus: SessionBus | None = None
        self._callbacks = CallbackRunner()
        self._ringing: dict[str, CallEvent] = {}
        self._started_by: set[str] = set()
        self._calls: P2PClient | None = None
        self._following: asyncio.Task[None] | None = None
        self._work: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def init(
        self,
        *,
        on_call_accepted: CallEventCallback | None = None,
        on_call_rejected: CallEventCallback | None = None,
        on_call_incoming: CallEventCallback | None = None,
        ringtone: Path | str | None = None,
        icon: str | None = None,
        notification_icon: str | None = None,
        color: str | None = None,
    ) -> None:
        """Register callbacks and look, then `init_events_handler`."""
        self.on_call_accepted = on_call_accepted or self.on_call_accepted
        self.on_call_rejected = on_call_rejected or self.on_call_rejected
        self.on_call_incoming = on_call_incoming or self.on_call_incoming
        self.update_config(
            ringtone=ringtone, icon=icon, notification_icon=notification_icon, color=color
        )
        await self.init_events_handler()

    async def init_events_handler(self) -> None:
        """Become the application that the agent finds, and tell what it did meanwhile.

        Without a desktop session calls can be received all the same; `show_call_notification` then
        raises. Raises `InvalidStateError` when the application runs already.
        """
        if self._bus is not None:
            return
        bus = SessionBus()
        try:
            await bus.connect()
        except NotSupportedError as error:
            _logger.warning("the agent cannot reach this application: %s", error)
        else:
            service = Application(self.application, bus)
            service.on_answer = self._answer_asked
            service.on_activate = lambda: self._callbacks.run(self.on_activated)
            try:
                await service.register()
            except BaseException:
                await bus.close()
                raise
        self._bus = bus
        token, is_new = self._store.token()
        if is_new:
            self._callbacks.run(self.on_token_refreshed, token)
        for happening in self._store.untold():
            self._tell_late(happening)

    def update_config(
        self,
        *,
        ringtone: Path | str | None = None,
        icon: str | None = None,
        notification_icon: str | None = None,
        color: str | None = None,
    ) -> None:
        """Change the look of the next notification; None leaves a part as it is.

        Raises `ConfigurationError` for a ring tone that is no file, or a colour that is none.
        """
        if ringtone is not None and not Path(ringtone).is_file():
            raise ConfigurationError(f"there is no ring tone {ringtone}")
        if color is not None and not _COLOR.fullmatch(color):
            raise ConfigurationError(f"color must look like #1a2b3c, not {color!r}")
        self._look = Look(
            ringtone=self._look.ringtone if ringtone is None else Path(ringtone),
            icon=icon or self._look.icon,
            notification_icon=notification_icon or self._look.notification_icon,
            color=color or self._look.color,
        )

    def attach(self, calls: P2PClient) -> None:
        """Look after the incoming calls of this client from now on, and fetch those that the user
        accepted in the agent.

        A call that was declined on this machine is declined, one that was accepted comes to
        `on_call_accepted`, any other to `on_call_incoming`; a further one while another is under
        way is answered with busy. Use it once, when `ringmesh.connect` has come back.
        """
        if self._calls is not None:
            raise InvalidStateError("the call kit is attached already")
        self._calls = calls
        here = [session for session in calls.sessions.values() if _is_ringing(session)]
        following = self._follow(calls, calls.events(), here)
        self._following = asyncio.create_task(following, name="call kit")
        for event in attempt(lambda: self._store.accepted_since(ANSWERABLE), list[CallEvent]()):
            self._started_by.add(event.session_id)
            self._fetch(calls, event.session_id)

    async def close(self) -> None:
        """Withdraw what is shown and be unknown to the agent."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self._ring_tone.close()
        notifier, bus = self._notifier, self._bus
        self._notifier = self._bus = None
        if notifier is not None:
            await notifier.close()
        if bus is not None:
            await bus.close()
        await self._callbacks.aclose(CLOSE_TIMEOUT)
        self._store.close()

    # Ringing

    async def show_call_notification(self, event: CallEvent) -> bool:
        """Ring for a call. False, and nothing, when it rings elsewhere on this machine already, or
        was answered, declined or ended.

        Raises `NotSupportedError` where no notification can be shown.
        """
        if event.session_id not in self._ringing and not self._begin(event):
            return False
        if self._notifier is None:
            notifier = system_notifier(self.application)
            await notifier.open(self._acted)
            self._notifier = notifier
        has_tone = RingTone.is_available()
        await self._notifier.show(event, self._look, audible=not has_tone)
        if has_tone and event.session_id in self._ringing:
            self._ring_tone.play(self._look.ringtone)
        return True

    async def report_call_accepted(self, session_id: str) -> None:
        """The user accepted in the application: ring no more."""
        self._store.set_state(session_id, CallState.ACCEPTED)
        await self._silence(session_id)

    async def report_call_ended(self, session_id: str) -> None:
        """The call is over, or was declined in the application: ring no more, and never again."""
        self._store.set_state(session_id, CallState.REJECTED)
        await self._silence(session_id)

    async def report_call_muted(self, session_id: str, muted: bool) -> None:
        """Keep the system's call screen in step, where it has one; Linux has none."""

    # What all processes know

    def get_token(self) -> str:
        """What identifies this installation of the application: use it as the ``udid`` of push
        subscriptions. The agent itself needs no push service."""
        return self._store.token()[0]

    def get_call_state(self, session_id: str) -> CallState:
        """How far a call is, whichever process brought it there."""
        return self._store.state(session_id)

    def set_call_state(self, session_id: str, call_state: CallState) -> None:
        """Say how far a call is, to all processes."""
        self._store.set_state(session_id, CallState(call_state))

    def get_call_data(self, session_id: str) -> CallEvent | None:
        """What is known of a call; None for one that never rang on this machine."""
        return self._store.event(session_id)

    def clear_call_data(self, session_id: str) -> None:
        """Forget what is known of a call, but not its state."""
        self._store.clear(session_id)

    def get_last_call_id(self) -> str | None:
        """The session id of the call that rang last on this machine."""
        return self._store.last_call_id()

    def set_on_lock_screen_visibility(self, is_visible: bool) -> None:
        """Does nothing: only mobile systems have this."""

    def can_use_full_screen_intent(self) -> bool:
        """True: only mobile systems ask."""
        return True

    def provide_full_screen_intent_access(self) -> None:
        """Does nothing: only mobile systems have this."""

    # Inside

    def _begin(self, event: CallEvent) -> bool:
        """Claim a call's ringing; True once, in one process."""
        if not attempt(lambda: self._store.begin(event, Ringer.APPLICATION), True):
            return False
        self._ringing[event.session_id] = event
        self._callbacks.run(self.on_call_incoming, event)
        return True

    def _acted(self, session_id: str, action: Action) -> None:
        """The user did something with a notification of ours."""
        event = self._ringing.get(session_id)
        if event is None:
            return
        if action is Action.DISMISS:
            self._ring_tone.stop()
            return
        accepted = action is Action.ACCEPT
        state = CallState.ACCEPTED if accepted else CallState.REJECTED
        attempt(lambda: self._store.set_state(session_id, state), True)
        self._start(self._silence(session_id))
        session = None if self._calls is None else self._calls.sessions.get(session_id)
        if not accepted and session is not None:
            self._start(_reject(session))
        self._callbacks.run(self.on_call_accepted if accepted else self.on_call_rejected, event)

    async def _silence(self, session_id: str) -> None:
        self._ringing.pop(session_id, None)
        if not self._ringing:
            self._ring_tone.stop()
        if self._notifier is not None:
            await self._notifier.withdraw(session_id)

    def _answer_asked(self, session_id: str) -> None:
        """The user accepted in the agent."""
        if self._calls is None:  # `attach` will fetch it
            self._started_by.add(session_id)
            return
        if attempt(lambda: self._store.state(session_id), CallState.UNKNOWN) is CallState.REJECTED:
            _logger.info("the call that the agent hands over is over")
            return
        attempt(lambda: self._store.set_state(session_id, CallState.ACCEPTED), True)
        session = self._calls.sessions.get(session_id)
        if session is None:
            self._fetch(self._calls, session_id)
        elif _is_ringing(session):
            self._accepted(_event_of(session))

    def _fetch(self, calls: P2PClient, session_id: str) -> None:
        """Take what the agent kept of a call, as if it had come to us."""
        for record in attempt(lambda: self._store.take_over(session_id), list[str]()):
            try:
                calls.receive_signal(*unpack(record))
            except ProtocolError as error:
                _logger.warning("signal of the agent dropped: %s", error)

    async def _follow(
        self, calls: P2PClient, events: EventStream, here: Sequence[P2PSession]
    ) -> None:
        async with events:
            for session in here:
                await self._came(calls, session)
            async for event in events:
                match event:
                    case ReceiveNewSession(session):
                        await self._came(calls, session)
                    case SessionClosed(session) if session.caller_id != session.current_user_id:
                        await self._ended(session.session_id)

    async def _came(self, calls: P2PClient, session: P2PSession) -> None:
        event = _event_of(session)
        state = attempt(lambda: self._store.state(event.session_id), CallState.UNKNOWN)
        others = [other for other in calls.sessions.values() if other is not session]
        if state is CallState.REJECTED:
            await _reject(session)
        elif state is CallState.ACCEPTED or event.session_id in self._started_by:
            self._accepted(event)
        elif any(_is_under_way(other) for other in others):
            await self._ended(event.session_id)
            await _reject(session, busy=True)
        else:
            self._begin(event)

    def _accepted(self, event: CallEvent) -> None:
        """A call that the user accepted in the agent is here."""
        shown = attempt(lambda: self._store.event(event.session_id), None)
        callback = self.on_call_accepted
        if event.session_id in self._started_by and self.on_call_accepted_when_terminated:
            callback = self.on_call_accepted_when_terminated
        self._started_by.discard(event.session_id)
        self._callbacks.run(callback, shown or event)

    async def _ended(self, session_id: str) -> None:
        attempt(lambda: self._store.set_state(session_id, CallState.REJECTED), True)
        await self._silence(session_id)

    def _tell_late(self, happening: Happening) -> None:
        if happening.what is What.INCOMING:
            self._callbacks.run(self.on_call_incoming_when_terminated, happening.event)
        else:
            self._callbacks.run(self.on_call_rejected_when_terminated, happening.event)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="call kit work")
        self._work.add(task)
        task.add_done_callback(self._work.discard)


def _is_ringing(session: P2PSession) -> bool:
    incoming = session.caller_id != session.current_user_id
    return incoming and session.state is SessionState.NEW


def _is_under_way(session: P2PSession) -> bool:
    """Rings here, was dialled or runs; one that was only made is not."""
    return session.close_reason is None and (
        _is_ringing(session) or session.state is not SessionState.NEW
    )


async def _reject(session: P2PSession, *, busy: bool = False) -> None:
    try:
        await session.reject({"busy": "true"} if busy else None)
    except InvalidStateError as error:  # it ended by itself
        _logger.info("not declined: %s", error)


def _event_of(session: P2PSession) -> CallEvent:
    """What a notification shows of a call whose caller tells his name, or not."""
    info = {name: text for name, text in session.user_info.items() if isinstance(text, str)}
    name = printable(info.get("caller_name", ""))[:MAX_NAME]
    return CallEvent(
        session_id=session.session_id,
        call_type=session.call_type,
        caller_id=session.caller_id,
        caller_name=name or f"User {session.caller_id}",
        opponents_ids=session.opponents_ids,
        user_info=info,
    )
