"""One call as one device sees it: a leg per opponent, and the rules that join them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ringmesh.calls.config import CallConfig
from ringmesh.calls.consent import Consent
from ringmesh.calls.effects import (
    CallEvent,
    Effect,
    Ignored,
    IgnoredReason,
    Notify,
    Send,
    SwitchSession,
)
from ringmesh.calls.leg import (
    ANSWERED_ELSEWHERE,
    ANSWERED_MEMBER,
    MAX_RENEWALS,
    NOTHING,
    CallFacts,
    Given,
    Leg,
)
from ringmesh.calls.recovery import OFFER_NUMBER, REPEATS_EVERY, number_of
from ringmesh.calls.transitions import (
    EXCHANGED,
    WITH_PEER,
    EndReason,
    LegEvent,
    LegState,
    RestartState,
    SessionState,
)
from ringmesh.errors import ConfigurationError, InvalidStateError
from ringmesh.ice import IceCandidate, IceConnectionState
from ringmesh.signals import (
    Accept,
    Call,
    CallType,
    HangUp,
    IceCandidates,
    IceRestart,
    IceRestartAccept,
    RecordingNotice,
    Reject,
    Signal,
    UserInfo,
)

_PENDING = {
    LegState.OFFERING,
    LegState.DIALLING,
    LegState.AWAITING_OFFER,
}
_UNTOUCHED = {LegState.NEW, LegState.RINGING}

_ICE_EVENTS = {
    IceConnectionState.CHECKING: LegEvent.ICE_CHECKING,
    IceConnectionState.CONNECTED: LegEvent.ICE_CONNECTED,
    IceConnectionState.COMPLETED: LegEvent.ICE_CONNECTED,
    IceConnectionState.DISCONNECTED: LegEvent.ICE_DISCONNECTED,
    IceConnectionState.FAILED: LegEvent.ICE_FAILED,
    IceConnectionState.CLOSED: LegEvent.ICE_CLOSED,
}


_WITH_SDP = (Call, Accept, IceRestart, IceRestartAccept)

FOREIGN_SILENCE = 20.0
"""Seconds without a repeat of ``call`` after which its caller counts as lost: SDKs repeat every 3
or 5 seconds. Ringmesh clients say how often they repeat; then it is three times that, and 2 more.
"""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where else a call was settled: the platform and the device that did it."""

    platform: str
    device: str


class CallMachine:
    """One call. `CallBook` creates it, dials it and gives it what the network brings.

    `now` is in seconds of any monotonic clock. Every method returns what the owner must do, in
    order; ask `deadline()` again after each.

    Attributes:
        elsewhere: where it was answered or declined, when another device of ours did that.
    """

    def __init__(
        self, facts: CallFacts, config: CallConfig, *, ringing_since: float | None = None
    ) -> None:
        """`ringing_since`: when it began to ring here; None for an outgoing call."""
        self._config = config
        self._ringing_since = ringing_since
        self._heard_at = ringing_since or 0.0
        self._silence = FOREIGN_SILENCE
        self._engaged = False
        self.elsewhere: Elsewhere | None = None
        self._ended: tuple[EndReason, float] | None = None
        self._consent = Consent()
        self._take(facts)

    def _take(self, facts: CallFacts) -> None:
        self._facts = facts
        self._legs = {user_id: Leg(user_id, facts, self._config) for user_id in facts.members_ids}

    # What it is

    @property
    def facts(self) -> CallFacts:
        """What all members agree on."""
        return self._facts

    @property
    def session_id(self) -> str:
        """Identifies the call. May change once, see `SwitchSession`."""
        return self._facts.session_id

    @property
    def call_type(self) -> CallType:
        """Audio or video."""
        return self._facts.call_type

    @property
    def own_id(self) -> int:
        """Our user id."""
        return self._facts.own_id

    @property
    def caller_id(self) -> int:
        """The user who created the call."""
        return self._facts.caller_id

    @property
    def opponents_ids(self) -> tuple[int, ...]:
        """The users called, without the caller, in the caller's order."""
        return self._facts.opponents_ids

    @property
    def members_ids(self) -> tuple[int, ...]:
        """Everybody in the call but us."""
        return tuple(self._legs)

    @property
    def config(self) -> CallConfig:
        """Timers and limits."""
        return self._config

    # How it stands

    @property
    def state(self) -> SessionState:
        """State of the call, from the states of its legs."""
        states = {leg.state for leg in self._legs.values()} - {LegState.CLOSED}
        if not states:
            return SessionState.CLOSED
        if LegState.CONNECTED in states:
            return SessionState.CONNECTED
        if states - _PENDING - _UNTOUCHED:
            return SessionState.CONNECTING
        return SessionState.PENDING if states & _PENDING else SessionState.NEW

    @property
    def is_outgoing(self) -> bool:
        """We are the caller."""
        return self.caller_id == self.own_id

    @property
    def is_ringing(self) -> bool:
        """An incoming call that was neither accepted here nor ended."""
        return not self._engaged and not self.is_outgoing and self.state is SessionState.NEW

    @property
    def _is_answering(self) -> bool:
        """We have accepted, and the caller does not know it yet."""
        caller = self._legs.get(self.caller_id)
        return caller is not None and caller.state is LegState.ANSWERING

    @property
    def is_new(self) -> bool:
        """An outgoing call that was neither dialled nor ended."""
        return self.is_outgoing and not self._engaged and self._ended is None

    @property
    def is_unanswered(self) -> bool:
        """An outgoing call to one person that was dialled and not answered yet."""
        states = [leg.state for leg in self._legs.values()]
        return self.is_outgoing and states in ([LegState.OFFERING], [LegState.DIALLING])

    @property
    def end_reason(self) -> EndReason | None:
        """Why the call ended; None while it lives."""
        return self._ended[0] if self._ended else None

    @property
    def ended_at(self) -> float | None:
        """When the call ended; None while it lives."""
        return self._ended[1] if self._ended else None

    @property
    def recording_users_ids(self) -> frozenset[int]:
        """Who of the others says that they record."""
        return self._consent.others(self._legs)

    def leg_state(self, user_id: int) -> LegState:
        """State of the leg to this member. Raises ConfigurationError for anybody else."""
        return self._leg(user_id).state

    def can_restart_ice(self, user_id: int) -> bool:
        """We made the offer to this member, descriptions are exchanged, no restart is under way.

        Raises ConfigurationError for somebody who is not in the call.
        """
        leg = self._leg(user_id)
        idle = leg.restart in (RestartState.IDLE, RestartState.OFFERED)
        return leg.offerer and leg.state in EXCHANGED and idle

    def can_ask_for_restart(self, user_id: int) -> bool:
        """They made the offer, and understand it when we ask them for a restart.

        Raises ConfigurationError for somebody who is not in the call.
        """
        leg = self._leg(user_id)
        return not leg.offerer and leg.recovery.numbered and leg.state in EXCHANGED

    # The application

    def dial(self, now: float, user_info: UserInfo | None = None) -> list[Effect]:
        """Start an outgoing call; through `CallBook.dial`. Raises InvalidStateError."""
        if not self.is_new:
            raise InvalidStateError(f"only a new outgoing call can be dialled; {self._standing()}")
        self._engage(user_info)
        return self._apply_all(LegEvent.DIAL, now)

    def accept(self, now: float, user_info: UserInfo | None = None) -> list[Effect]:
        """Answer everybody who has offered. In a group, offer to those with smaller user ids.

        Raises:
            InvalidStateError: the call does not ring here.
        """
        self._check_ringing("accepted")
        self._engage(user_info)
        effects: list[Effect] = []
        for leg in self._legs.values():
            effects += self._approach(leg, now)
        return effects

    def reject(self, now: float, user_info: UserInfo | None = None) -> list[Effect]:
        """Decline. Raises InvalidStateError when the call does not ring here."""
        self._check_ringing("rejected")
        return self._apply_all(LegEvent.DECLINE, now, Given(farewell=user_info))

    def hang_up(self, now: float, user_info: UserInfo | None = None) -> list[Effect]:
        """Leave or cancel the call; decline it when it rings. Nothing when it has ended."""
        if self.is_ringing:
            return self.reject(now, user_info)
        if not self._engaged:
            return self.end(EndReason.HUNG_UP, now)
        return self.leave(EndReason.HUNG_UP, now, user_info)

    def restart_ice(self, user_id: int, now: float) -> list[Effect]:
        """Offer new ICE credentials to a member, or ask for theirs if they made the offer.

        Raises:
            InvalidStateError: neither `can_restart_ice` nor `can_ask_for_restart`.
            ConfigurationError: nobody with this id is in the call.
        """
        if self.can_restart_ice(user_id):
            event = LegEvent.RESTART_ICE
        elif self.can_ask_for_restart(user_id):
            event = LegEvent.ASK_FOR_RESTART
        else:
            raise InvalidStateError(
                f"cannot restart ICE with user {user_id}: only the side that made the offer can, "
                "after the answer, and one restart at a time"
            )
        return self._leg(user_id).apply(event, now) or []

    def set_recording(self, recording: bool) -> list[Effect]:
        """Tell the others that we record, or do no longer; and later who connects later."""
        return self._consent.change(recording, self._legs, self._facts)

    # The book

    def leave(
        self, reason: EndReason, now: float, user_info: UserInfo | None = None
    ) -> list[Effect]:
        """End the call with a hangUp to everybody who is still in it."""
        return self._apply_all(LegEvent.LEAVE, now, Given(farewell=user_info, reason=reason))

    def end(self, reason: EndReason, now: float) -> list[Effect]:
        """End the call without a word to the others."""
        return self._apply_all(LegEvent.DROP, now, Given(reason=reason))

    def ring(self, sender_id: int, offer: Call, now: float, device: str = "") -> list[Effect]:
        """Begin to ring, with the first offer, which came from this device of the sender."""
        effects: list[Effect] = [Notify(CallEvent.RECEIVE_NEW_SESSION, sender_id, offer.user_info)]
        return effects + self.receive(offer, sender_id, now, device)

    def adopt(
        self,
        facts: CallFacts,
        offer: Call,
        now: float,
        user_info: UserInfo | None = None,
        device: str = "",
    ) -> list[Effect]:
        """Go on as the answerer of another session with the same single opponent.

        Says nothing about the old session: that is up to the book.
        """
        old = self._legs[facts.caller_id]
        effects: list[Effect] = (old.apply(LegEvent.DROP, now) or []) if self._engaged else []
        effects.append(SwitchSession(self.session_id, facts.session_id))
        self._take(facts)
        self._engage(old.user_info if user_info is None else user_info)
        leg = self._legs[facts.caller_id]
        effects.append(Notify(CallEvent.CALL_ACCEPTED_BY_USER, leg.user_id, offer.user_info))
        self.receive(offer, facts.caller_id, now, device)
        return effects + (leg.apply(LegEvent.ANSWER, now) or [])

    def stored_offer(self, user_id: int) -> tuple[str, int | None, str]:
        """The offer of a member who rings us, its number, and the device it came from."""
        leg = self._legs[user_id]
        return leg.offer, 1 if leg.recovery.numbered else None, leg.device

    def last_word(self) -> Reject | HangUp | None:
        """What somebody should hear who has not noticed that the ended call is over.

        None when this device never took part: then another one of ours may be in the call.
        """
        if self.end_reason is EndReason.REJECTED:
            return Reject(**self._facts.base())
        if not self._engaged:
            return None
        if self.end_reason is EndReason.ANSWERED_ELSEWHERE and self.elsewhere is not None:
            return self._elsewhere_word(self.elsewhere.platform)
        return HangUp(**self._facts.base())

    # The network

    def receive(self, signal: Signal, sender_id: int, now: float, device: str = "") -> list[Effect]:
        """Take a signal of this session. What does not fit is answered with `Ignored`."""
        if self._ended:
            return [Ignored(sender_id, signal, IgnoredReason.ENDED_SESSION)]
        if sender_id == self.own_id:
            return self._own_signal(signal, now, device)
        leg = self._legs.get(sender_id)
        if leg is None:
            return [Ignored(sender_id, signal, IgnoredReason.NOT_A_MEMBER)]
        begun: list[Effect] = []
        if leg.is_overtaken_by(signal, device):
            begun, leg = self._renew(leg, now), self._legs[sender_id]
        refusal = IgnoredReason.WRONG_STATE
        effects: list[Effect] | None = None
        if isinstance(signal, IceCandidates):
            effects = leg.candidates_received(signal.candidates)
            refusal = IgnoredReason.UNUSABLE_CANDIDATES
        elif isinstance(signal, RecordingNotice):
            effects = self._consent.told(signal, leg)
        elif isinstance(signal, HangUp) and ANSWERED_ELSEWHERE in signal.extra:
            effects = self._turned_away(leg, signal, now, device)
        elif (turned := leg.turn_away(signal, device)) is not None:
            effects = turned
        elif isinstance(event := leg.event_of(signal, device, now), IgnoredReason):
            refusal = event
        else:
            effects = self._event_signal(leg, signal, event, now)
        return begun + ([Ignored(sender_id, signal, refusal)] if effects is None else effects)

    def _event_signal(
        self, leg: Leg, signal: Signal, event: LegEvent, now: float
    ) -> list[Effect] | None:
        if isinstance(signal, Call):
            self._heard_at = now
            every = number_of(signal, REPEATS_EVERY)
            self._silence = FOREIGN_SILENCE if every is None else 3.0 * min(every, 60) + 2
        farewell = self._farewell(signal, leg.user_id)
        given = Given(
            sdp=signal.sdp if isinstance(signal, _WITH_SDP) else "",
            user_info=signal.user_info,
            number=number_of(signal, OFFER_NUMBER),
        )
        effects = leg.apply(event, now, given)
        if farewell is None:
            return None if effects is None else self._conclude(effects, now)
        if effects is None:  # our leg to the caller was lost before, the others were not
            heard = CallEvent.RECEIVE_HUNG_UP_FROM_USER
            effects = [Notify(heard, leg.user_id, signal.user_info)]
        return effects + self.end(farewell, now)

    def _own_signal(self, signal: Signal, now: float, device: str) -> list[Effect]:
        """Another device of ours said something; answering or declining settles it for us too."""
        to_caller = isinstance(signal, Accept) and ANSWERED_MEMBER not in signal.extra
        answering = self._engaged and self._is_answering and to_caller
        if not (answering or (self.is_ringing and isinstance(signal, Accept | Reject))):
            return [Ignored(self.own_id, signal, IgnoredReason.OWN_SIGNAL)]
        self.elsewhere = Elsewhere(signal.platform, device)
        if answering:
            return self._leave_to_another_device(signal.platform, now)
        answered = isinstance(signal, Accept)
        reason = EndReason.ANSWERED_ELSEWHERE if answered else EndReason.REJECTED_ELSEWHERE
        return self.end(reason, now)

    def _turned_away(
        self, leg: Leg, signal: HangUp, now: float, device: str
    ) -> list[Effect] | None:
        """Somebody took the answer of another device of ours, or found his own turned away."""
        if leg.user_id != self.caller_id:
            return self._renew(leg, now) if leg.is_live and leg.device == device else None
        if leg.state is LegState.CONNECTED or not self._engaged:
            return None
        self.elsewhere = Elsewhere(signal.extra[ANSWERED_ELSEWHERE], "")
        return self._leave_to_another_device(signal.extra[ANSWERED_ELSEWHERE], now)

    def _leave_to_another_device(self, platform: str, now: float) -> list[Effect]:
        """End here; who began to talk to this device hears that it is not the one."""
        others = [
            Send(leg.user_id, self._elsewhere_word(platform))
            for leg in self._legs.values()
            if leg.user_id != self.caller_id and leg.is_live and leg.recovery.numbered
        ]
        return [*others, *self.end(EndReason.ANSWERED_ELSEWHERE, now)]

    def _elsewhere_word(self, platform: str) -> HangUp:
        return HangUp(**self._facts.base(), extra={ANSWERED_ELSEWHERE: platform})

    def _renew(self, leg: Leg, now: float) -> list[Effect]:
        """Begin anew with a member whose device was not the one: another of theirs is."""
        effects = leg.apply(LegEvent.DROP, now) or []
        if leg.renewals < MAX_RENEWALS:
            new = self._legs[leg.user_id] = leg.renewed()
            if self._engaged:
                effects += self._approach(new, now)
        return self._conclude(effects, now)

    def _farewell(self, signal: Signal, sender_id: int) -> EndReason | None:
        """Why the call ends for everybody, if the caller says so with this signal."""
        if sender_id != self.caller_id:
            return None
        if isinstance(signal, Reject) and self.is_ringing:
            return EndReason.REMOTE_REJECTED
        return EndReason.REMOTE_HUNG_UP if isinstance(signal, HangUp) else None

    # The engine. Reports that no longer fit come from the past and change nothing.

    def offer_made(self, user_id: int, sdp: str, now: float) -> list[Effect]:
        """The offer asked for by `MakeOffer` is the local description now."""
        return self._report(user_id, LegEvent.OFFER_MADE, now, Given(sdp=sdp))

    def answer_made(self, user_id: int, sdp: str, now: float) -> list[Effect]:
        """The answer asked for by `MakeAnswer` is the local description now."""
        return self._report(user_id, LegEvent.ANSWER_MADE, now, Given(sdp=sdp))

    def answer_set(self, user_id: int, now: float) -> list[Effect]:
        """The answer given by `SetAnswer` is the remote description now."""
        return self._report(user_id, LegEvent.ANSWER_SET, now)

    def peer_failed(self, user_id: int, reason: str, now: float) -> list[Effect]:
        """The engine refused a description, or broke: ends this leg only.

        `reason` is shown to the application, not sent.
        """
        return self._report(user_id, LegEvent.PEER_FAILED, now, Given(failure=reason))

    def candidate_gathered(
        self, user_id: int, candidate: IceCandidate, now: float, *, local_sdp: str | None = None
    ) -> list[Effect]:
        """A local candidate was found.

        `local_sdp`: the local description that has it, for the repeats of ``call``.
        """
        return self._leg(user_id).candidate_gathered(candidate, local_sdp) or []

    def ice_state_changed(
        self, user_id: int, state: IceConnectionState, now: float
    ) -> list[Effect]:
        """The ICE state of the peer to this member."""
        event = _ICE_EVENTS.get(state)
        effects = [] if event is None else self._report(user_id, event, now)
        if effects and event is LegEvent.ICE_CONNECTED:
            effects += self._consent.connected(user_id, self._facts)
        return effects

    def media_flow_changed(self, user_id: int, *, flowing: bool, now: float) -> list[Effect]:
        """Media from this member stopped coming, or comes again."""
        event = LegEvent.MEDIA_RESUMED if flowing else LegEvent.MEDIA_STOPPED
        return self._report(user_id, event, now)

    def network_changed(self, now: float) -> list[Effect]:
        """Our address changed: every connection needs a new path."""
        for leg in self._legs.values():
            if leg.state in WITH_PEER:
                leg.recovery.moved(now)
        return self.tick(now)

    def chat_is_lost(self) -> None:
        """We hear nobody: a caller's silence means nothing until `network_is_back`."""
        self._heard_at = math.inf

    def network_is_back(self, now: float) -> list[Effect]:
        """The network, or the chat, is back: look for lost paths again, now."""
        self._heard_at = now
        for leg in self._legs.values():
            leg.recovery.hurry(now, leg.restart)
        return self.tick(now)

    # Time

    def deadline(self) -> float | None:
        """When to call `tick`, in monotonic seconds; None when no timer runs."""
        times = [leg.deadline() for leg in self._legs.values()]
        if self.is_ringing:
            times.append(self._ring_until())
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: float) -> list[Effect]:
        """Do what is due. Harmless when nothing is."""
        if self.is_ringing and now >= self._ring_until():
            waited = now - (self._ringing_since or 0.0)
            unanswered = waited >= self._config.no_answer_timeout
            reason = EndReason.NO_ANSWER if unanswered else EndReason.CALLER_LOST
            return self.end(reason, now)
        effects: list[Effect] = []
        for leg in self._legs.values():
            event = leg.due(now)
            if event is not None:
                effects += leg.apply(event, now) or []
        return self._conclude(effects, now)

    # Inside

    def _leg(self, user_id: int) -> Leg:
        try:
            return self._legs[user_id]
        except KeyError:
            raise ConfigurationError(f"user {user_id} is not in this call") from None

    def _standing(self) -> str:
        return f"this one has ended: {self.end_reason}" if self._ended else f"it is {self.state}"

    def _check_ringing(self, done: str) -> None:
        if not self.is_ringing:
            raise InvalidStateError(f"only a ringing call can be {done}; {self._standing()}")

    def _approach(self, leg: Leg, now: float) -> list[Effect]:
        """Begin with one member, having accepted."""
        if leg.state is LegState.RINGING:
            return leg.apply(LegEvent.ANSWER, now) or []
        if leg.user_id != self.caller_id and leg.user_id < self.own_id:
            return leg.apply(LegEvent.DIAL, now) or []
        return leg.apply(LegEvent.AWAIT_OFFER, now, Given(wait=self._group_waiting(now))) or []

    def _engage(self, user_info: UserInfo | None) -> None:
        self._engaged = True
        for leg in self._legs.values():
            leg.user_info = user_info or {}

    def _ring_until(self) -> float:
        answer_by = (self._ringing_since or 0.0) + self._config.no_answer_timeout
        return min(answer_by, self._heard_at + self._silence)

    def _group_waiting(self, now: float) -> float:
        """Seconds to wait for the offers of members who may still be ringing."""
        whole = self._config.no_answer_timeout
        rang = now - (self._ringing_since or now)
        return max(whole - min(rang, whole / 2), 1.0)

    def _report(
        self, user_id: int, event: LegEvent, now: float, given: Given = NOTHING
    ) -> list[Effect]:
        return self._conclude(self._leg(user_id).apply(event, now, given) or [], now)

    def _apply_all(self, event: LegEvent, now: float, given: Given = NOTHING) -> list[Effect]:
        effects: list[Effect] = []
        for leg in self._legs.values():
            effects += leg.apply(event, now, given) or []
        return self._conclude(effects, now)

    def _conclude(self, effects: list[Effect], now: float) -> list[Effect]:
        """Add the end of the call when this was it."""
        if self._ended or self.state is not SessionState.CLOSED:
            return effects
        last = max(self._legs.values(), key=lambda leg: leg.closed_at)
        reason = last.end_reason or EndReason.HUNG_UP
        self._ended = (reason, now)
        detail: dict[str, str] = {"reason": reason}
        if self.elsewhere is not None:
            detail |= {"platform": self.elsewhere.platform, "device": self.elsewhere.device}
        return [*effects, Notify(CallEvent.SESSION_CLOSED, detail=detail)]
