"""Hearing calls without taking part in them: no media, little memory.

A `CallListener` is one of the user's devices, but not one that answers: it tells callers that it
rings, and says nothing else. It never answers busy, and when another device answers or declines,
or the caller gives up, it knows that the ringing is over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from ringmesh.calls.book import CallBook, CallEffects
from ringmesh.calls.config import CallConfig
from ringmesh.calls.effects import CallEvent, Notify, Send
from ringmesh.calls.machine import CallMachine
from ringmesh.calls.transitions import EndReason
from ringmesh.client.chat_connection import CubeChatConnection
from ringmesh.client.config import CubeChatConnectionSettings
from ringmesh.client.handover import pack
from ringmesh.client.models import CubeUser
from ringmesh.client.network import NetworkWatcher
from ringmesh.client.rest import RestClient
from ringmesh.client.sign_in import credentials_of, discover, sign_in, sign_out
from ringmesh.client.users import Users
from ringmesh.errors import SignalError
from ringmesh.signals import Call, CallType, IceCandidates, Ringing, Signal, UserInfo

_logger = logging.getLogger(__name__)

MAX_CALLS = 16
"""Calls that can ring at one time; further ones are left to other devices."""

MAX_SIGNALS = 64
"""Signals kept of each call that rings."""


class HeardCall:
    """A call that rings.

    Attributes:
        user_info: what the caller told.
        end_reason: why it does not ring any more; None while it does.
    """

    def __init__(self, machine: CallMachine, user_info: UserInfo) -> None:
        self.user_info = user_info
        self.machine = machine
        self._offers: dict[int, tuple[Call, str]] = {}
        self._candidates: list[tuple[int, IceCandidates, str]] = []

    @property
    def session_id(self) -> str:
        """The call's id."""
        return self.machine.session_id

    @property
    def call_type(self) -> CallType:
        """Audio or video."""
        return self.machine.call_type

    @property
    def caller_id(self) -> int:
        """Who calls."""
        return self.machine.caller_id

    @property
    def opponents_ids(self) -> tuple[int, ...]:
        """Who was called, ourselves included."""
        return self.machine.opponents_ids

    @property
    def members_ids(self) -> tuple[int, ...]:
        """Everybody in the call but us."""
        return self.machine.members_ids

    @property
    def end_reason(self) -> EndReason | None:
        """Why it rings no more; None while it rings."""
        return self.machine.end_reason

    def keep(self, user_id: int, signal: Signal, device: str) -> None:
        """Remember a signal for whoever answers."""
        if isinstance(signal, Call):
            self._offers[user_id] = signal, device
        elif isinstance(signal, IceCandidates) and len(self._candidates) < MAX_SIGNALS:
            self._candidates.append((user_id, signal, device))

    def records(self) -> list[str]:
        """The newest offers and all candidates, packed for another process of ours."""
        kept = [(user_id, *offer) for user_id, offer in self._offers.items()]
        packed = []
        for user_id, signal, device in [*kept, *self._candidates]:
            try:
                packed.append(pack(user_id, signal, device))
            except SignalError as error:
                _logger.info("%s is not handed over: %s", type(signal).__name__, error)
        return packed


class CallListener:
    """Hears the calls of a signed-in user. Made by `listen`.

    Attributes:
        user: who we are.
        users: looks users up.
        chat: the connection that carries the signals.
        on_ringing: called with (call) when one begins to ring.
        on_ended: called with (call) when one rings no more, whatever the reason.
    """

    def __init__(self, user: CubeUser, chat: CubeChatConnection, rest: RestClient) -> None:
        self.user = user
        self.users = Users(rest)
        self.chat = chat
        self.on_ringing: Callable[[HeardCall], None] | None = None
        self.on_ended: Callable[[HeardCall], None] | None = None
        self._rest = rest
        self._book = CallBook(user.id, CallConfig(max_calls=MAX_CALLS))
        self._calls: dict[CallMachine, HeardCall] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to hear."""
        self.chat.on_signal = self._receive
        self.chat.on_lost = self._chat_lost
        self.chat.on_restored = lambda: self._perform(self._book.network_is_back(self._now()))
        self.chat.mark_inactive()

    def stop(self) -> None:
        """Hear no more."""
        self.chat.on_signal = self.chat.on_lost = self.chat.on_restored = None
        if self._timer is not None:
            self._timer.cancel()

    async def reject_call(self, session_id: str, members: Iterable[int]) -> None:
        """Decline a call over REST towards each of these members."""
        for user_id in members:
            await self._rest.reject_call(session_id, user_id)

    def forget(self, call: HeardCall) -> None:
        """Ring no more for a call, without a word to anybody."""
        self._perform([CallEffects(call.machine, call.machine.end(EndReason.HUNG_UP, self._now()))])

    def _chat_lost(self) -> None:
        self._book.chat_is_lost()
        self._set_timer()

    def _receive(self, user_id: int, signal: Signal, device: str) -> None:
        self._perform(self._book.receive(signal, user_id, self._now(), device))
        machine = self._book.calls.get(signal.session_id)
        if machine is not None and (call := self._calls.get(machine)) is not None:
            call.keep(user_id, signal, device)

    def _perform(self, steps: Sequence[CallEffects]) -> None:
        for step in steps:
            for effect in step.effects:
                match effect:
                    case Send(user_id, Ringing() as signal, device):
                        self.chat.send_signal(user_id, signal, device)
                    case Notify(event=CallEvent.RECEIVE_NEW_SESSION) if step.call is not None:
                        call = self._calls[step.call] = HeardCall(step.call, effect.user_info)
                        asyncio.get_running_loop().call_soon(self._tell, self.on_ringing, call)
                    case Notify(event=CallEvent.SESSION_CLOSED) if step.call in self._calls:
                        self._tell(self.on_ended, self._calls.pop(step.call))
        self._set_timer()

    @staticmethod
    def _tell(callback: Callable[[HeardCall], None] | None, call: HeardCall) -> None:
        if callback is not None:
            callback(call)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._book.deadline()
        loop = asyncio.get_running_loop()
        self._timer = None if deadline is None else loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._perform(self._book.tick(self._now()))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def listen(
    url: str, *, login: str, password: str, chat: CubeChatConnectionSettings | None = None
) -> AsyncIterator[CallListener]:
    """Sign in and hear calls: ``async with listen(…) as listener``. Set its callbacks, then
    `CallListener.start` it. Raises as `ringmesh.connect`."""
    credentials = credentials_of(login, None, password, None, None)
    endpoints = await discover(url)
    rest = RestClient(endpoints.api_url, app_id=endpoints.app_id, auth_key=endpoints.auth_key)
    connection = CubeChatConnection(rest, endpoints, chat or CubeChatConnectionSettings())
    network = NetworkWatcher(endpoints.chat_url, lambda moved: connection.network_changed())
    listener = None
    try:
        user = await sign_in(rest, credentials)
        listener = CallListener(user, connection, rest)
        await connection.login()
        await network.start()
        yield listener
    finally:
        network.close()
        if listener is not None:
            listener.stop()
        await connection.destroy()
        await sign_out(rest, keep=False)
