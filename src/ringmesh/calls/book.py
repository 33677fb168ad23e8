"""All calls of one device: where signals find their call, and where calls meet each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ringmesh.calls.config import MAX_PEOPLE, CallConfig
from ringmesh.calls.effects import Effect, Ignored, IgnoredReason, Send
from ringmesh.calls.ended import EndedCalls
from ringmesh.calls.leg import CallFacts
from ringmesh.calls.machine import CallMachine
from ringmesh.calls.recovery import offer_fields
from ringmesh.calls.transitions import EndReason
from ringmesh.errors import ConfigurationError, InvalidStateError
from ringmesh.signals import Accept, Call, CallType, HangUp, Reject, Signal, UserInfo


@dataclass(frozen=True, slots=True)
class CallEffects:
    """Effects of one call; `call` is None for signals that belong to no call here."""

    call: CallMachine | None
    effects: list[Effect]


@dataclass(slots=True)
class _Parked:
    """A call from the very person we are dialling, whose session is not the one to survive."""

    facts: CallFacts
    offer: Call
    rival: CallMachine
    device: str


class CallBook:
    """Creates calls, gives every received signal to its call, and keeps the time of all calls.

    Verbs and engine reports go to the `CallMachine`; creating, dialling, received signals and
    time go through the book. A call that rings comes as a new `CallMachine` whose first effect
    is ``Notify(CallEvent.RECEIVE_NEW_SESSION)``. Times are in monotonic seconds.
    """

    def __init__(self, own_id: int, config: CallConfig | None = None) -> None:
        self._own_id = own_id
        self._config = config or CallConfig()
        self._calls: dict[str, CallMachine] = {}
        self._parked: dict[str, _Parked] = {}
        self._ended = EndedCalls(
            keep=2 * self._config.no_answer_timeout,
            remind_after=self._config.dialing_time_interval,
        )

    @property
    def calls(self) -> Mapping[str, CallMachine]:
        """Calls by session id that were dialled or rang. Ended ones leave with the next input."""
        return MappingProxyType(self._calls)

    def create_call(
        self, session_id: str, call_type: CallType, opponents_ids: Iterable[int]
    ) -> CallMachine:
        """A new outgoing call. The book knows it from `dial` on.

        Raises:
            ConfigurationError: nobody or more than three to call, ourselves or somebody twice,
                or a session id that is empty or in use.
        """
        opponents = tuple(opponents_ids)
        if not opponents:
            raise ConfigurationError("a call needs somebody to call: opponents_ids is empty")
        if len(opponents) >= MAX_PEOPLE:
            raise ConfigurationError(
                f"a call has at most {MAX_PEOPLE} people, you included: "
                f"{len(opponents)} opponents are too many"
            )
        if self._own_id in opponents:
            raise ConfigurationError(f"opponents_ids has your own id {self._own_id}")
        if len(set(opponents)) != len(opponents) or min(opponents) < 1:
            raise ConfigurationError(f"opponents_ids must be different positive ids: {opponents}")
        self._check_new(session_id)
        facts = CallFacts(
            own_id=self._own_id,
            session_id=session_id,
            call_type=call_type,
            caller_id=self._own_id,
            opponents_ids=opponents,
        )
        return CallMachine(facts, self._config)

    def dial(
        self, call: CallMachine, now: float, user_info: UserInfo | None = None
    ) -> list[CallEffects]:
        """Start an outgoing call; or answer instead, if that very person is ringing us.

        Raises:
            InvalidStateError: it was dialled before or has ended, or `max_calls` are running.
            ConfigurationError: its session id is in use by now.
        """
        self._sweep(now)
        ringing = self._ringing_from(call)
        if ringing is not None and call.is_new:
            return self._answer_instead(call, ringing, now, user_info)
        if call.is_new:
            self._check_new(call.session_id)
            if len(self._calls) >= self._config.max_calls:
                raise InvalidStateError(f"{len(self._calls)} calls are running; no more may")
        effects = call.dial(now, user_info)
        self._calls[call.session_id] = call
        return [CallEffects(call, effects)]

    def receive(
        self, signal: Signal, sender_id: int, now: float, device: str = ""
    ) -> list[CallEffects]:
        """Take any call signal, those of our own other devices included.

        `device` tells the sender's devices apart; empty where that is not known.
        """
        self._sweep(now)
        call = self._calls.get(signal.session_id)
        if sender_id == self._own_id:
            results = self._own_signal(signal, call, now, device)
        elif call is not None:
            results = self._signal_for(call, signal, sender_id, now, device)
        elif signal.session_id in self._parked:
            results = self._signal_for_parked(signal, sender_id, now)
        elif self._ended.knows(signal.session_id, sender_id, now):
            results = [CallEffects(None, [self._ended.answer(signal, sender_id, now, device)])]
        elif isinstance(signal, Call):
            results = self._new_call(signal, sender_id, now, device)
        else:
            if isinstance(signal, HangUp) and signal.session_id not in self._ended:
                # Its call may still be on the way.
                members = frozenset({sender_id})
                self._ended.remember(signal.session_id, now, members_ids=members)
            results = _ignored(signal, sender_id, IgnoredReason.UNKNOWN_SESSION)
        return results + self._sweep(now)

    def deadline(self) -> float | None:
        """When to call `tick`, in monotonic seconds; None when no timer runs in any call."""
        times = (call.deadline() for call in self._calls.values())
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: float) -> list[CallEffects]:
        """Do what is due in every call."""
        return self._in_all(lambda call: call.tick(now), now)

    def network_changed(self, now: float) -> list[CallEffects]:
        """Our own network address changed."""
        return self._in_all(lambda call: call.network_changed(now), now)

    def chat_is_lost(self) -> None:
        """The chat connection is down: nobody can be heard until `network_is_back`."""
        for call in self._calls.values():
            call.chat_is_lost()

    def network_is_back(self, now: float) -> list[CallEffects]:
        """The network, or only the chat connection, is back after it was gone."""
        return self._in_all(lambda call: call.network_is_back(now), now)

    def _in_all(self, act: Callable[[CallMachine], list[Effect]], now: float) -> list[CallEffects]:
        results = [CallEffects(call, act(call)) for call in self._calls.values()]
        return [result for result in results if result.effects] + self._sweep(now)

    # Incoming calls

    def _new_call(self, offer: Call, sender_id: int, now: float, device: str) -> list[CallEffects]:
        facts = self._facts_of(offer, sender_id)
        if facts is None:
            return _ignored(offer, sender_id, IgnoredReason.INVALID_CALL)
        if len(facts.members_ids) >= MAX_PEOPLE:
            return _ignored(offer, sender_id, IgnoredReason.TOO_MANY_PEOPLE)
        rival = self._dialling(sender_id) if facts.opponents_ids == (self._own_id,) else None
        if rival is not None and sender_id < self._own_id:
            return self._adopt(rival, _Parked(facts, offer, rival, device), now, hang_up=True)
        if rival is not None:
            if all(parked.rival is not rival for parked in self._parked.values()):
                self._parked[facts.session_id] = _Parked(facts, offer, rival, device)
            return _ignored(offer, sender_id, IgnoredReason.GLARE)
        if len(self._calls) >= self._config.max_calls:
            return [CallEffects(None, self._refuse(facts, now))]
        call = CallMachine(facts, self._config, ringing_since=now)
        self._calls[facts.session_id] = call
        return [CallEffects(call, call.ring(sender_id, offer, now, device))]

    def _facts_of(self, offer: Call, sender_id: int) -> CallFacts | None:
        """What a first ``call`` claims; None when it cannot be true."""
        caller_id = offer.caller_id
        if caller_id is None or caller_id == self._own_id or not offer.session_id:
            return None
        opponents = tuple(dict.fromkeys(offer.opponents_ids))
        if self._own_id not in opponents or caller_id in opponents:
            return None
        if sender_id != caller_id and sender_id not in opponents:
            return None
        return CallFacts(
            own_id=self._own_id,
            session_id=offer.session_id,
            call_type=offer.call_type or CallType.VIDEO_CALL,
            caller_id=caller_id,
            opponents_ids=opponents,
        )

    def _refuse(self, facts: CallFacts, now: float) -> list[Effect]:
        """Decline as busy, towards everybody in the call."""
        busy = Reject(**facts.base({"busy": "true"}))
        members = facts.members_ids
        self._ended.remember(facts.session_id, now, members_ids=frozenset(members), last_word=busy)
        return [Send(user_id, busy) for user_id in members]

    # Signals of known calls

    def _signal_for(
        self, call: CallMachine, signal: Signal, sender_id: int, now: float, device: str
    ) -> list[CallEffects]:
        parked = self._parked_behind(call)
        if (
            parked is not None
            and isinstance(signal, Reject)
            and sender_id == parked.facts.caller_id
            and call.is_unanswered
        ):
            # Its SDK knows no glare and calls us busy with its own call to us: take that one.
            return self._adopt(call, parked, now, hang_up=False)
        return [CallEffects(call, call.receive(signal, sender_id, now, device))]

    def _own_signal(
        self, signal: Signal, call: CallMachine | None, now: float, device: str
    ) -> list[CallEffects]:
        if call is not None:
            return [CallEffects(call, call.receive(signal, self._own_id, now, device))]
        if not isinstance(signal, Accept | Reject):
            return _ignored(signal, self._own_id, IgnoredReason.OWN_SIGNAL)
        parked = self._parked.pop(signal.session_id, None)
        if not self._ended.gave_way(signal.session_id):
            self._ended.remember(signal.session_id, now)
        rival = parked.rival if parked else self._rival_answered_elsewhere(signal)
        if rival is None or isinstance(signal, Reject):
            return _ignored(signal, self._own_id, IgnoredReason.OWN_SIGNAL)
        return [CallEffects(rival, rival.leave(EndReason.ANSWERED_ELSEWHERE, now))]

    def _rival_answered_elsewhere(self, signal: Signal) -> CallMachine | None:
        """The call in which we dial the person whose call another device of ours took."""
        if signal.caller_id is None or signal.opponents_ids != (self._own_id,):
            return None
        return self._dialling(signal.caller_id)

    # Two people calling each other. The session of the smaller user id survives.

    def _dialling(self, user_id: int) -> CallMachine | None:
        """Our unanswered call to this one person."""
        for call in self._calls.values():
            if call.is_unanswered and call.members_ids == (user_id,):
                return call
        return None

    def _ringing_from(self, call: CallMachine) -> CallMachine | None:
        """The incoming call of the one person that `call` is to reach."""
        for other in self._calls.values():
            if other.is_ringing and other.members_ids == call.members_ids == (other.caller_id,):
                return other
        return None

    def _parked_behind(self, call: CallMachine) -> _Parked | None:
        return next((parked for parked in self._parked.values() if parked.rival is call), None)

    def _signal_for_parked(self, signal: Signal, sender_id: int, now: float) -> list[CallEffects]:
        parked = self._parked[signal.session_id]
        if sender_id == parked.facts.caller_id:
            if isinstance(signal, HangUp):
                del self._parked[signal.session_id]
                self._ended.remember(signal.session_id, now, members_ids=frozenset({sender_id}))
            elif isinstance(signal, Call):
                parked.offer = signal
        return _ignored(signal, sender_id, IgnoredReason.GLARE)

    def _adopt(
        self, call: CallMachine, parked: _Parked, now: float, *, hang_up: bool
    ) -> list[CallEffects]:
        """Let an outgoing call go on as the answerer of the other's session."""
        facts = parked.facts
        word = HangUp(**call.facts.base())
        members = frozenset(call.members_ids)
        del self._calls[call.session_id]
        self._parked.pop(facts.session_id, None)
        self._ended.remember(call.session_id, now, members_ids=members, last_word=word)
        effects: list[Effect] = [Send(facts.caller_id, word)] if hang_up else []
        effects += call.adopt(facts, parked.offer, now, device=parked.device)
        self._calls[facts.session_id] = call
        return [CallEffects(call, effects)]

    def _answer_instead(
        self, call: CallMachine, ringing: CallMachine, now: float, user_info: UserInfo | None
    ) -> list[CallEffects]:
        sdp, number, device = ringing.stored_offer(ringing.caller_id)
        extra = {} if number is None else offer_fields(number)
        offer = Call(**ringing.facts.base(), sdp=sdp, extra=extra)
        ended = CallEffects(ringing, ringing.end(EndReason.REPLACED, now))
        effects = call.adopt(ringing.facts, offer, now, user_info, device)
        self._calls[call.session_id] = call
        return [ended, CallEffects(call, effects)]

    # Housekeeping

    def _check_new(self, session_id: str) -> None:
        if not session_id or session_id in self._calls or session_id in self._parked:
            raise ConfigurationError("session_id must be new and not empty")

    def _sweep(self, now: float) -> list[CallEffects]:
        """Move ended calls to the memory and settle what was parked behind other calls."""
        for session_id, call in list(self._calls.items()):
            if call.ended_at is not None:
                members = frozenset(call.members_ids)
                del self._calls[session_id]
                if call.end_reason is EndReason.CALLER_LOST:  # and who comes back may ring again
                    continue
                self._ended.remember(
                    session_id, call.ended_at, members_ids=members, last_word=call.last_word()
                )
        refusals: list[CallEffects] = []
        for session_id, parked in list(self._parked.items()):
            if not parked.rival.is_unanswered:
                del self._parked[session_id]
                if parked.rival.end_reason is None:  # answered: theirs is not needed any more
                    refusals.append(CallEffects(None, self._refuse(parked.facts, now)))
        return refusals


def _ignored(signal: Signal, sender_id: int, reason: IgnoredReason) -> list[CallEffects]:
    return [CallEffects(None, [Ignored(sender_id, signal, reason)])]
