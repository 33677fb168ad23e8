"""One leg: the way to one opponent. Runs the tables of `transitions` and holds what they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypedDict

from ringmesh.calls.config import MAX_CANDIDATES, CallConfig
from ringmesh.calls.effects import (
    AddCandidates,
    CallEvent,
    ClosePeer,
    Effect,
    MakeAnswer,
    MakeOffer,
    Notify,
    Send,
    SetAnswer,
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
    Reject,
    Signal,
    UserInfo,
)


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
    """

    sdp: str = ""
    user_info: UserInfo = field(default_factory=dict)
    farewell: UserInfo | None = None
    reason: EndReason | None = None
    failure: str = ""
    wait: float = 0.0


NOTHING = Given()

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

_DESCRIBING = (Action.SEND_CALL, Action.SEND_ACCEPT)
"""Actions whose description is kept for repeats."""


class Leg:
    """The way to one opponent, seen from this device.

    Attributes: `user_info` goes out with ``call`` and ``accept``. The others are read only:
    user_id, state, restart, offerer (we made the offer), end_reason and closed_at (once it is
    closed), offer (their stored offer), limit_at and repeat_at (None when not running); times are
    in monotonic seconds.
    """

    def __init__(self, user_id: int, facts: CallFacts, config: CallConfig) -> None:
        self.user_id = user_id
        self.state = LegState.NEW
        self.restart = RestartState.IDLE
        self.offerer = False
        self.end_reason: EndReason | None = None
        self.closed_at = 0.0
        self.offer = ""
        self.user_info: UserInfo = {}
        self.limit_at: float | None = None
        self.repeat_at: float | None = None
        self._facts = facts
        self._config = config
        self._local_sdp = ""
        self._said_at = 0.0
        self._reported: CallEvent | None = None
        self._ours: list[IceCandidate] = []
        self._ours_count = 0
        self._theirs: list[IceCandidate] = []
        self._theirs_count = 0

    @property
    def is_live(self) -> bool:
        """Not closed."""
        return self.state is not LegState.CLOSED

    def deadline(self) -> float | None:
        """When something is due."""
        return min((at for at in (self.limit_at, self.repeat_at) if at is not None), default=None)

    def due(self, now: float) -> LegEvent | None:
        """The timer event that is due, the most final one first."""
        if self.limit_at is not None and self.limit_at <= now:
            return LegEvent.TIME_UP
        if self.repeat_at is not None and self.repeat_at <= now:
            return LegEvent.REPEAT_DUE
        return None

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
        if event in (LegEvent.RESTART_ICE, LegEvent.ICE_RESTART):
            self._ours_count = 0
            self._ours.clear()
            if self.limit_at is not None:  # the restart gets the whole time
                self.limit_at = now + self._seconds(LIMITS[self.state], given)
        if event in (LegEvent.ICE_RESTART, LegEvent.ICE_RESTART_ACCEPT):
            self._theirs_count = 0
        effects = self._perform(transition.actions, now, given)
        self.restart = transition.to
        return effects + self._flush()

    def _enter(self, state: LegState, event: LegEvent, now: float, given: Given) -> list[Effect]:
        effects: list[Effect] = []
        old, self.state = self.state, state
        limit = LIMITS.get(state)
        if limit is not LIMITS.get(old):
            self.limit_at = None if limit is None else now + self._seconds(limit, given)
        if state is not LegState.DIALLING:
            self.repeat_at = None
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
                yield MakeOffer(self.user_id, ice_restart=True)
            case Action.STORE_OFFER:
                self.offer = given.sdp
            case Action.MAKE_ANSWER:
                yield MakeAnswer(self.user_id, self.offer)
            case Action.SET_ANSWER:
                yield SetAnswer(self.user_id, given.sdp)
            case Action.TELL_FAILED:
                failure = given.failure or "timeout"
                yield from self._report(CallEvent.CONNECTION_FAILED_WITH_USER, failure)
            case Action.TELL_NO_ANSWER:
                yield Notify(CallEvent.USER_NO_ANSWER, self.user_id)
            case Action.TELL_ACCEPTED:
                yield Notify(CallEvent.CALL_ACCEPTED_BY_USER, self.user_id, given.user_info)
            case Action.TELL_REJECTED:
                yield Notify(CallEvent.CALL_REJECTED_BY_USER, self.user_id, given.user_info)
            case Action.TELL_HUNG_UP:
                yield Notify(CallEvent.RECEIVE_HUNG_UP_FROM_USER, self.user_id, given.user_info)
            case Action.REMIND_ACCEPT | Action.REMIND_HANG_UP:
                if now - self._said_at > self._config.dialing_time_interval:
                    yield self._say(action, now, given)
            case _:
                yield self._say(action, now, given)

    def _say(self, action: Action, now: float, given: Given) -> Send:
        self._said_at = now
        if given.sdp and action in _DESCRIBING:
            self._local_sdp = given.sdp
        if action is Action.SEND_CALL:
            self.repeat_at = now + self._config.dialing_time_interval
        return Send(self.user_id, self._signal(action, given))

    def _signal(self, action: Action, given: Given) -> Signal:
        base, leaving = self._facts.base(self.user_info), self._facts.base(given.farewell)
        match action:
            case Action.SEND_CALL:
                return Call(**base, sdp=self._local_sdp)
            case Action.SEND_ACCEPT | Action.REMIND_ACCEPT:
                return Accept(**base, sdp=self._local_sdp)
            case Action.SEND_REJECT:
                return Reject(**leaving)
            case Action.SEND_ICE_RESTART:
                return IceRestart(**self._facts.base(), sdp=given.sdp)
            case Action.SEND_ICE_RESTART_ACCEPT:
                return IceRestartAccept(**self._facts.base(), sdp=given.sdp)
            case _:
                return HangUp(**leaving)

    # Candidates

    def candidate_gathered(
        self, candidate: IceCandidate, local_sdp: str | None
    ) -> list[Effect] | None:
        """Send one of ours, or keep it until the exchange allows."""
        if self.state not in WITH_PEER or self._ours_count >= MAX_CANDIDATES:
            return None
        if self.state is LegState.DIALLING and local_sdp is not None:
            self._local_sdp = local_sdp
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
        if self._ours and self.restart is RestartState.IDLE:
            batch = IceCandidates(**self._facts.base(), candidates=tuple(self._ours))
            effects.append(Send(self.user_id, batch))
            self._ours.clear()
        applying = self.restart in (RestartState.ACCEPTED, RestartState.ANSWERING)
        if self._theirs and not applying:
            effects.append(AddCandidates(self.user_id, tuple(self._theirs)))
            self._theirs.clear()
        return effects
