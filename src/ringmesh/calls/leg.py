"""One leg: the way to one opponent. Runs the tables of `transitions` and holds what they need."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypedDict

from ringmesh.calls.config import MAX_CANDIDATES, CallConfig
from ringmesh.calls.effects import (
    AddCandidates,
    CallEvent,
    ClosePeer,
    Effect,
    IgnoredReason,
    MakeAnswer,
    MakeOffer,
    Notify,
    Send,
    SetAnswer,
)
from ringmesh.calls.recovery import (
    ANSWER_NUMBER,
    OFFER_NUMBER,
    REPEAT_AFTER,
    Recovery,
    number_of,
    offer_fields,
)
from ringmesh.calls.transitions import (
    EXCHANGED,
    LEG_TRANSITIONS,
    LIMITS,
    REPORTS,
    RESTART_TRANSITIONS,
    WITH_PEER,
    Action,
    EndReason,
    LegEvent,
    LegState,
    Limit,
    RestartState,
)
from ringmesh.ice import IceCandidate
from ringmesh.signals import (
    Accept,
    Call,
    CallType,
    HangUp,
    IceCandidates,
    IceRestart,
    IceRestartAccept,
    IceRestartRequest,
    Reject,
    Ringing,
    Signal,
    UserInfo,
)

_PARTNERS = (HangUp, Reject, IceRestart, IceRestartAccept, IceRestartRequest)
"""Signals that count only from the device that we talk to."""

MAX_TURNED_AWAY = 16
"""Devices of one user remembered whose answer came too late."""

MAX_RENEWALS = 8
"""How often a leg begins anew because a member's device was not the one; then it ends."""

ANSWERED_ELSEWHERE = "answeredElsewhere"
"""Extra field of the ``hangUp`` for such a device: the platform of the one that was first."""

ANSWERED_MEMBER = "answeredMember"
"""Extra field of an answer to a member who is not the caller: that member's id. Our other devices,
which see a copy of it, tell by it that it takes nothing from them."""


class BaseFields(TypedDict):
    """What every signal of a call carries."""

    session_id: str
    call_type: CallType
    caller_id: int
    opponents_ids: tuple[int, ...]
    user_info: UserInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What all members of a call agree on, and who we are."""

    own_id: int
    session_id: str
    call_type: CallType
    caller_id: int
    opponents_ids: tuple[int, ...]

    @property
    def members_ids(self) -> tuple[int, ...]:
        """Everybody but us, the caller first."""
        everybody = (self.caller_id, *self.opponents_ids)
        return tuple(user_id for user_id in everybody if user_id != self.own_id)

    def base(self, user_info: UserInfo | None = None) -> BaseFields:
        """The base fields of an outgoing signal."""
        return {
            "session_id": self.session_id,
            "call_type": self.call_type,
            "caller_id": self.caller_id,
            "opponents_ids": self.opponents_ids,
            "user_info": user_info or {},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What comes with an event, where it has any of this.

    Attributes:
        sdp: the description the event is about.
        user_info: what the opponent's signal carries.
        farewell: what our ``hangUp`` or ``reject`` is to carry.
        reason: why the leg ends, where the event alone does not say.
        failure: the engine's words.
        wait: seconds for `Limit.OFFER`.
        number: of the offer, where it has one.
    """

    sdp: str = ""
    user_info: UserInfo = field(default_factory=dict)
    farewell: UserInfo | None = None
    reason: EndReason | None = None
    failure: str = ""
    wait: float = 0.0
    number: int | None = None


NOTHING = Given()

_LOST = (LegState.DISCONNECTED, LegState.RECONNECTING, LegState.FAILED)
_APPLYING = (RestartState.ACCEPTED, RestartState.ANSWERING, RestartState.REANSWERING)
_ATTEMPTS = (
    LegEvent.RESTART_ICE,
    LegEvent.ASK_FOR_RESTART,
    LegEvent.REPEAT_DUE,
    LegEvent.ICE_RESTART,
    LegEvent.ICE_RESTART_REQUEST,
)
"""Events of the restart table after which the path gets time to come back."""

_REASONS = {
    LegEvent.REJECT: EndReason.REMOTE_REJECTED,
    LegEvent.HANG_UP: EndReason.REMOTE_HUNG_UP,
    LegEvent.DECLINE: EndReason.REJECTED,
    LegEvent.LEAVE: EndReason.HUNG_UP,
    LegEvent.DROP: EndReason.HUNG_UP,
    LegEvent.PEER_FAILED: EndReason.CONNECTION_FAILED,
    LegEvent.ICE_CLOSED: EndReason.CONNECTION_LOST,
}

_TIME_UP_REASONS = {
    Limit.ANSWER: EndReason.NO_ANSWER,
    Limit.OFFER: EndReason.NO_ANSWER,
    Limit.CONNECTION: EndReason.CONNECTION_FAILED,
    Limit.RECOVERY: EndReason.CONNECTION_LOST,
}

_ANSWERS = (Action.SEND_ACCEPT, Action.REMIND_ACCEPT)
_DESCRIBING = (Action.SEND_CALL, Action.SEND_ACCEPT)
_RESTART_ANSWERS = (Action.SEND_ICE_RESTART_ACCEPT, Action.SEND_ICE_RESTART_ACCEPT_AGAIN)
_DESCRIBING_RESTARTS = (Action.SEND_ICE_RESTART, Action.SEND_ICE_RESTART_ACCEPT)
"""Actions whose description is kept for repeats."""

_EVENTS: dict[type[Signal], LegEvent] = {
    Call: LegEvent.CALL,
    Ringing: LegEvent.USER_RINGING,
    Accept: LegEvent.ACCEPT,
    Reject: LegEvent.REJECT,
    HangUp: LegEvent.HANG_UP,
    IceRestart: LegEvent.ICE_RESTART,
    IceRestartAccept: LegEvent.ICE_RESTART_ACCEPT,
    IceRestartRequest: LegEvent.ICE_RESTART_REQUEST,
}


class Leg:
    """The way to one opponent, seen from this device.

    Attributes: `user_info` goes out with ``call`` and ``accept``. The others are read only:
    user_id, state, restart, offerer (we made the offer), end_reason and closed_at (once it is
    closed), offer (their stored offer), device (of theirs, that we talk to), recovery, renewals
    (how often it began anew), limit_at and repeat_at (None when not running); times are in
    monotonic seconds.
    """

    def __init__(self, user_id: int, facts: CallFacts, config: CallConfig) -> None:
        self.user_id = user_id
        self.state = LegState.NEW
        self.restart = RestartState.IDLE
        self.offerer = False
        self.end_reason: EndReason | None = None
        self.closed_at = 0.0
        self.offer = ""
        self.device = ""
        self.user_info: UserInfo = {}
        self.recovery = Recovery(automatic=config.automatic_ice_restart)
        self.renewals = 0
        self.limit_at: float | None = None
        self.repeat_at: float | None = None
        self._facts = facts
        self._config = config
        self._local_sdp = ""
        self._restart_sdp = ""
        self._said_at = 0.0
        self._rang_at = -math.inf
        self._answered_at = -math.inf
        self._told_ringing = False
        self._platform = ""
        self._turned_away: list[str] = []
        self._reported: CallEvent | None = None
        self._ours: list[IceCandidate] = []
        self._ours_count = 0
        self._theirs: list[IceCandidate] = []
        self._theirs_count = 0

    def renewed(self) -> Leg:
        """A new leg to the same member; answers to offers of this one do not fit it."""
        new = Leg(self.user_id, self._facts, self._config)
        new.user_info = self.user_info
        new.recovery.offer = self.recovery.offer + 1
        new.recovery.numbered = self.recovery.numbered
        new.renewals = self.renewals + 1
        return new

    @property
    def is_live(self) -> bool:
        """Not closed."""
        return self.state is not LegState.CLOSED

    def deadline(self) -> float | None:
        """When something is due."""
        restart_at = None if self._restart_event() is None else self.recovery.due_at
        times = (self.limit_at, self.repeat_at, restart_at)
        return min((at for at in times if at is not None), default=None)

    def due(self, now: float) -> LegEvent | None:
        """The timer event that is due, the most final one first."""
        if self.limit_at is not None and self.limit_at <= now:
            return LegEvent.TIME_UP
        if self.repeat_at is not None and self.repeat_at <= now:
            return LegEvent.REPEAT_DUE
        restart_at = self.recovery.due_at
        return None if restart_at is None or restart_at > now else self._restart_event()

    def _restart_event(self) -> LegEvent | None:
        if self.recovery.due_at is None or self.state not in EXCHANGED:
            return None
        return self.recovery.event(self.state, self.restart, offerer=self.offerer)

    # Signals

    def event_of(self, signal: Signal, device: str, now: float) -> LegEvent | IgnoredReason:
        """What a signal means here, or why it means nothing."""
        event = _EVENTS.get(type(signal))
        if event is None:
            return IgnoredReason.UNSUPPORTED
        if device in self._turned_away or (type(signal) in _PARTNERS and self._is_other(device)):
            return IgnoredReason.OTHER_DEVICE
        if not self.is_live:
            return event
        if isinstance(signal, Accept):
            return self._accept_event(signal, device)
        if isinstance(signal, IceRestartAccept):
            old = self.recovery.is_old_answer(number_of(signal, ANSWER_NUMBER))
            return IgnoredReason.OUTDATED if old else event
        if isinstance(signal, IceRestart):
            return self._restart_offer_event(number_of(signal, OFFER_NUMBER), now)
        if isinstance(signal, IceRestartRequest):
            if not self.offerer or self.restart in (RestartState.OFFERING, RestartState.REOFFERING):
                return IgnoredReason.WRONG_STATE
            if self.restart is RestartState.OFFERED and now - self._said_at < REPEAT_AFTER:
                return IgnoredReason.WRONG_STATE
            return event if self.recovery.allows(now) else IgnoredReason.TOO_OFTEN
        if isinstance(signal, Call):
            if self._is_other(device):  # ours was not their first, and will say so
                return IgnoredReason.OTHER_DEVICE
            self._heard_offer(signal, device)
        return event

    def _accept_event(self, accept: Accept, device: str) -> LegEvent | IgnoredReason:
        number = number_of(accept, ANSWER_NUMBER)
        if self.state is LegState.DIALLING:
            if number not in (None, self.recovery.offer):
                return IgnoredReason.OUTDATED
            self.device, self._platform = device, accept.platform
            self.recovery.numbered = number is not None
        return LegEvent.ACCEPT

    def _heard_offer(self, call: Call, device: str) -> None:
        if self.state in (LegState.NEW, LegState.RINGING, LegState.AWAITING_OFFER):
            self.device, self._platform = device, call.platform
            self.recovery.numbered = number_of(call, OFFER_NUMBER) is not None

    def _restart_offer_event(self, number: int | None, now: float) -> LegEvent | IgnoredReason:
        if self.recovery.is_old_offer(number):
            return IgnoredReason.OUTDATED
        if not self.recovery.gives_way(self.restart, now, offerer=self.offerer):
            return IgnoredReason.GLARE
        if self.recovery.is_same_offer(number):
            late = now - self._answered_at >= REPEAT_AFTER
            return LegEvent.ICE_RESTART_AGAIN if late else IgnoredReason.WRONG_STATE
        return LegEvent.ICE_RESTART if self.recovery.allows(now) else IgnoredReason.TOO_OFTEN

    def is_overtaken_by(self, signal: Signal, device: str) -> bool:
        """Whether the device that we answered offers anew, having begun anew itself."""
        if not isinstance(signal, Call) or self.offerer or device != self.device:
            return False
        answered = self.state is LegState.ANSWERING or self.state in EXCHANGED
        return answered and self.recovery.is_new_offer(number_of(signal, OFFER_NUMBER))

    def _is_other(self, device: str) -> bool:
        """Whether this is not the device that we talk to, where we know that one for sure."""
        taken = self.state is LegState.ACCEPTED or self.state in EXCHANGED
        known = device and self.device and self.recovery.numbered
        return bool(taken and known and device != self.device)

    def turn_away(self, signal: Signal, device: str) -> list[Effect] | None:
        """Tell a device that answers us that another one of the same user was first.

        None if it does not, or was not second.
        """
        taken = self.state is LegState.ACCEPTED or self.state in EXCHANGED
        if not (taken and self.offerer and device and self.device and device != self.device):
            return None
        if not isinstance(signal, Accept) and not (
            isinstance(signal, IceRestartAccept | IceRestartRequest) and self._is_other(device)
        ):
            return None
        if device not in self._turned_away:
            self._turned_away = [*self._turned_away, device][-MAX_TURNED_AWAY:]
        platform = self._platform or "unknown"
        word = HangUp(**self._facts.base(), extra={ANSWERED_ELSEWHERE: platform})
        return [Send(self.user_id, word, device)]

    def apply(self, event: LegEvent, now: float, given: Given = NOTHING) -> list[Effect] | None:
        """Take an event. None, and no change, when the tables do not allow it."""
        transition = LEG_TRANSITIONS.get((self.state, event))
        if transition is None:
            return self._apply_restart(event, now, given)
        effects = self._perform(transition.actions, now, given)
        if transition.to is not self.state:
            effects += self._enter(transition.to, event, now, given)
        return effects + self._flush()

    def _apply_restart(self, event: LegEvent, now: float, given: Given) -> list[Effect] | None:
        transition = RESTART_TRANSITIONS.get((self.restart, event))
        if transition is None or self.state not in EXCHANGED:
            return None
        if event in (LegEvent.ICE_RESTART, LegEvent.ICE_RESTART_ACCEPT):
            self._theirs_count = 0
        effects = self._perform(transition.actions, now, given)
        before, self.restart = self.restart, transition.to
        if event in _ATTEMPTS:
            self.recovery.attempted(now, self.state)
        elif self.restart is RestartState.IDLE and before is not RestartState.IDLE:
            self.recovery.finished(self.state)
        return effects + self._flush()

    def _enter(self, state: LegState, event: LegEvent, now: float, given: Given) -> list[Effect]:
        effects: list[Effect] = []
        old, self.state = self.state, state
        limit = LIMITS.get(state)
        if limit is not LIMITS.get(old):
            self.limit_at = None if limit is None else now + self._seconds(limit, given)
        if state is not LegState.DIALLING:
            self.repeat_at = None
        if state is LegState.CONNECTED:
            self.recovery.found(self.restart)
        elif state in _LOST:
            hopeless = state is LegState.FAILED
            self.recovery.lost(now, offerer=self.offerer, hopeless=hopeless)
        if state is LegState.CLOSED:
            self._close(old, event, now, given)
            if old in WITH_PEER:
                effects.append(ClosePeer(self.user_id))
        return effects + self._report(REPORTS.get(state))

    def _close(self, old: LegState, event: LegEvent, now: float, given: Given) -> None:
        if event is LegEvent.TIME_UP:
            self.end_reason = _TIME_UP_REASONS[LIMITS[old]]
        else:
            self.end_reason = given.reason or _REASONS[event]
        self.restart = RestartState.IDLE
        self.recovery.due_at = None
        self.closed_at = self._said_at = now
        self._ours.clear()
        self._theirs.clear()

    def _seconds(self, limit: Limit, given: Given) -> float:
        match limit:
            case Limit.ANSWER:
                return self._config.no_answer_timeout
            case Limit.OFFER:
                return given.wait
            case Limit.CONNECTION:
                return self._config.connect_timeout
            case Limit.RECOVERY:
                return self._config.disconnect_time_interval

    def _report(self, event: CallEvent | None, failure: str = "") -> list[Effect]:
        """Tell about the connection, nothing twice in a row, `closed` only after something."""
        closing = event is CallEvent.CONNECTION_CLOSED_FOR_USER
        if event is None or event is self._reported or (closing and self._reported is None):
            return []
        self._reported = event
        return [Notify(event, self.user_id, detail={"reason": failure} if failure else {})]

    # Actions

    def _perform(self, actions: Iterable[Action], now: float, given: Given) -> list[Effect]:
        return [effect for action in actions for effect in self._act(action, now, given)]

    def _act(self, action: Action, now: float, given: Given) -> Iterator[Effect]:
        match action:
            case Action.MAKE_OFFER:
                self.offerer = True
                yield MakeOffer(self.user_id)
            case Action.MAKE_RESTART_OFFER:
                self._ours_count = 0
                self._ours.clear()
                self.recovery.offering(now)
                yield MakeOffer(self.user_id, ice_restart=True)
            case Action.STORE_OFFER:
                self.offer = given.sdp
                self.recovery.stored(given.number)
            case Action.MAKE_ANSWER:
                self._ours_count = 0
                self._ours.clear()
                self.recovery.answering()
                yield MakeAnswer(self.user_id, self.offer)
            case Action.SET_ANSWER:
                yield SetAnswer(self.user_id, given.sdp)
            case Action.TELL_FAILED:
                failure = given.failure or "timeout"
                yield from self._report(CallEvent.CONNECTION_FAILED_WITH_USER, failure)
            case Action.TELL_RINGING:
                if not self._told_ringing:
                    self._told_ringing = True
                    yield Notify(CallEvent.USER_RINGING, self.user_id)
            case Action.TELL_NO_ANSWER:
                yield Notify(CallEvent.USER_NO_ANSWER, self.user_id)
            case Action.TELL_ACCEPTED:
                yield Notify(CallEvent.CALL_ACCEPTED_BY_USER, self.user_id, given.user_info)
            case Action.TELL_REJECTED:
                yield Notify(CallEvent.CALL_REJECTED_BY_USER, self.user_id, given.user_info)
            case Action.TELL_HUNG_UP:
                yield Notify(CallEvent.RECEIVE_HUNG_UP_FROM_USER, self.user_id, given.user_info)
            case Action.REMIND_RINGING:
                if self.recovery.numbered and (
                    now - self._rang_at > self._config.dialing_time_interval
                ):
                    self._rang_at = now
                    yield self._say(action, now, given)
            case Action.REMIND_ACCEPT | Action.REMIND_HANG_UP:
                if now - self._said_at > self._config.dialing_time_interval:
                    yield self._say(action, now, given)
            case _:
                yield self._say(action, now, given)

    def _say(self, action: Action, now: float, given: Given) -> Send:
        self._said_at = now
        if given.sdp and action in _DESCRIBING:
            self._local_sdp = given.sdp
        if action in _RESTART_ANSWERS:
            self._answered_at = now
        if given.sdp and action in _DESCRIBING_RESTARTS:
            self._restart_sdp = given.sdp
        if action is Action.SEND_CALL:
            self.repeat_at = now + self._config.dialing_time_interval
        return self._send(self._signal(action, given), to_partner=action in _ANSWERS)

    def _send(self, signal: Signal, *, to_partner: bool) -> Send:
        """To all of the member's devices, as other SDKs do, or to the one that offered.

        Two opponents may both have several devices that accepted; each of those offers to all.
        """
        mesh = self.user_id != self._facts.caller_id and not self.offerer
        one = to_partner and mesh and self.recovery.numbered
        return Send(self.user_id, signal, self.device if one else "")

    def _signal(self, action: Action, given: Given) -> Signal:
        base, leaving = self._facts.base(self.user_info), self._facts.base(given.farewell)
        match action:
            case Action.SEND_CALL:
                extra = offer_fields(self.recovery.offer, self._config.dialing_time_interval)
                return Call(**base, sdp=self._local_sdp, extra=extra)
            case Action.REMIND_RINGING:
                return Ringing(**self._facts.base())
            case Action.SEND_ACCEPT | Action.REMIND_ACCEPT:
                return Accept(**base, sdp=self._local_sdp, extra=self._answer_fields())
            case Action.SEND_REJECT:
                return Reject(**leaving)
            case Action.SEND_ICE_RESTART | Action.SEND_ICE_RESTART_AGAIN:
                extra = offer_fields(self.recovery.offer)
                return IceRestart(**self._facts.base(), sdp=self._restart_sdp, extra=extra)
            case Action.SEND_ICE_RESTART_ACCEPT | Action.SEND_ICE_RESTART_ACCEPT_AGAIN:
                extra = self._answer_fields()
                return IceRestartAccept(**self._facts.base(), sdp=self._restart_sdp, extra=extra)
            case Action.SEND_ICE_RESTART_REQUEST:
                return IceRestartRequest(**self._facts.base())
            case _:
                return HangUp(**leaving)

    def _answer_fields(self) -> dict[str, str]:
        if not self.recovery.numbered:
            return {}
        fields = {ANSWER_NUMBER: str(self.recovery.answered)}
        if self.user_id != self._facts.caller_id:
            fields[ANSWERED_MEMBER] = str(self.user_id)
        return fields

    # Candidates

    def candidate_gathered(
        self, candidate: IceCandidate, local_sdp: str | None
    ) -> list[Effect] | None:
        """Send one of ours, or keep it until the exchange allows."""
        if self.state not in WITH_PEER or self._ours_count >= MAX_CANDIDATES:
            return None
        if self.state is LegState.DIALLING and local_sdp is not None:
            self._local_sdp = local_sdp
        if self.restart is RestartState.OFFERED and local_sdp is not None:
            self._restart_sdp = local_sdp
        self._ours_count += 1
        self._ours.append(candidate)
        return self._flush()

    def candidates_received(self, candidates: Iterable[IceCandidate]) -> list[Effect] | None:
        """Pass theirs on, or keep them until there is a remote description. None: all dropped."""
        room = MAX_CANDIDATES - self._theirs_count
        taken = [candidate for candidate in candidates if candidate.candidate][:room]
        if not self.is_live or not taken:
            return None
        self._theirs_count += len(taken)
        self._theirs += taken
        return self._flush()

    def _flush(self) -> list[Effect]:
        effects: list[Effect] = []
        if self.state not in EXCHANGED:
            return effects
        # Other SDKs may drop candidates that come before they have taken the offer.
        free = self.restart is RestartState.OFFERED and self.recovery.numbered
        if self._ours and (free or self.restart is RestartState.IDLE):
            batch = IceCandidates(**self._facts.base(), candidates=tuple(self._ours))
            effects.append(self._send(batch, to_partner=True))
            self._ours.clear()
        applying = self.restart in _APPLYING
        if self._theirs and not applying:
            effects.append(AddCandidates(self.user_id, tuple(self._theirs)))
            self._theirs.clear()
        return effects
