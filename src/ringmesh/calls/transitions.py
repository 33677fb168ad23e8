"""Everything that decides which state a leg is in next. No other module does.

A call is a set of legs, one per opponent. A leg has two regions: the way from nothing to a
connection (`LEG_TRANSITIONS`), and, once descriptions are exchanged, ICE restarts
(`RESTART_TRANSITIONS`). What is in neither table is not allowed: an error for the application,
ignored when it came from the network. `scripts/draw_call_states.py` draws the tables for
`docs/calls.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from ringmesh.calls.effects import CallEvent


class SessionState(StrEnum):
    """State of a whole call, derived from its legs."""

    NEW = "new"
    PENDING = "pending"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"


class EndReason(StrEnum):
    """Why a leg or a call ended."""

    HUNG_UP = "hung-up"
    REJECTED = "rejected"
    REMOTE_HUNG_UP = "remote-hung-up"
    REMOTE_REJECTED = "remote-rejected"
    NO_ANSWER = "no-answer"
    CALLER_LOST = "caller-lost"
    CONNECTION_FAILED = "connection-failed"
    CONNECTION_LOST = "connection-lost"
    ANSWERED_ELSEWHERE = "answered-elsewhere"
    REJECTED_ELSEWHERE = "rejected-elsewhere"
    REPLACED = "replaced"


class LegState(StrEnum):
    """State of the way to one opponent."""

    NEW = "new"  # nothing sent, nothing received
    OFFERING = "offering"  # the engine makes our offer
    DIALLING = "dialling"  # our offer is out and repeated
    RINGING = "ringing"  # their offer is stored, this device has not accepted
    AWAITING_OFFER = "awaiting-offer"  # this device has accepted, their offer has not come
    ANSWERING = "answering"  # the engine makes our answer
    ACCEPTED = "accepted"  # the engine applies their answer
    CONNECTING = "connecting"  # descriptions are exchanged, no path yet
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"  # the path is lost and may come back
    RECONNECTING = "reconnecting"  # ICE is looking for a path again
    FAILED = "failed"  # ICE gave up; only a restart can help
    CLOSED = "closed"


class LegEvent(StrEnum):
    """What can happen to a leg."""

    # this device's application
    DIAL = "dial"
    ANSWER = "answer"
    AWAIT_OFFER = "await offer"
    DECLINE = "decline"
    LEAVE = "leave"
    DROP = "drop"
    RESTART_ICE = "restart ICE"
    ASK_FOR_RESTART = "ask for restart"
    # the opponent's signals
    CALL = "call"
    USER_RINGING = "ringing"
    ACCEPT = "accept"
    REJECT = "reject"
    HANG_UP = "hangUp"
    ICE_RESTART = "iceRestart"
    ICE_RESTART_AGAIN = "iceRestart again"  # the offer answered last
    ICE_RESTART_ACCEPT = "iceRestartAccept"
    ICE_RESTART_REQUEST = "iceRestartRequest"
    # the engine
    OFFER_MADE = "offer made"
    ANSWER_MADE = "answer made"
    ANSWER_SET = "answer set"
    PEER_FAILED = "peer failed"
    ICE_CHECKING = "ICE checking"
    ICE_CONNECTED = "ICE connected"
    ICE_DISCONNECTED = "ICE disconnected"
    ICE_FAILED = "ICE failed"
    ICE_CLOSED = "ICE closed"
    MEDIA_STOPPED = "media stopped"
    MEDIA_RESUMED = "media resumed"
    # time
    REPEAT_DUE = "repeat due"
    TIME_UP = "time up"


class Action(StrEnum):
    """What a transition makes its leg do, in the table's order, before the state changes."""

    MAKE_OFFER = "make offer"
    MAKE_ANSWER = "make answer"
    SET_ANSWER = "set answer"
    STORE_OFFER = "store offer"
    SEND_CALL = "send call"
    SEND_ACCEPT = "send accept"
    SEND_REJECT = "send reject"
    SEND_HANG_UP = "send hangUp"
    REMIND_RINGING = "send ringing"  # not more often than a dialling interval
    REMIND_ACCEPT = "send accept again"  # not more often than a dialling interval
    REMIND_HANG_UP = "send hangUp again"  # not more often than a dialling interval
    TELL_RINGING = "tell ringing"  # once
    TELL_NO_ANSWER = "tell no answer"
    TELL_ACCEPTED = "tell accepted"
    TELL_REJECTED = "tell rejected"
    TELL_HUNG_UP = "tell hung up"
    TELL_FAILED = "tell failed"
    MAKE_RESTART_OFFER = "make restart offer"
    SEND_ICE_RESTART = "send iceRestart"
    SEND_ICE_RESTART_AGAIN = "send iceRestart again"
    SEND_ICE_RESTART_ACCEPT = "send iceRestartAccept"
    SEND_ICE_RESTART_ACCEPT_AGAIN = "send iceRestartAccept again"
    SEND_ICE_RESTART_REQUEST = "send iceRestartRequest"


class Limit(StrEnum):
    """Which time limit runs. It starts when a leg enters the first state that has it, and goes on
    while the leg moves among states with the same one: a flapping path gains no time."""

    ANSWER = "no answer"
    OFFER = "group waiting"
    CONNECTION = "connect"
    RECOVERY = "disconnect"


class Transition(NamedTuple):
    """Next state and what to do on the way."""

    to: LegState
    actions: tuple[Action, ...] = ()


_S, _E, _A = LegState, LegEvent, Action

LIVE = tuple(state for state in LegState if state is not LegState.CLOSED)
EXCHANGED = (_S.CONNECTING, _S.CONNECTED, _S.DISCONNECTED, _S.RECONNECTING, _S.FAILED)
"""States with both descriptions applied."""
WITH_PEER = (_S.OFFERING, _S.DIALLING, _S.ANSWERING, _S.ACCEPTED, *EXCHANGED)
"""States in which the engine has a peer for the leg."""

LIMITS: Mapping[LegState, Limit] = {
    _S.OFFERING: Limit.ANSWER,
    _S.DIALLING: Limit.ANSWER,
    _S.AWAITING_OFFER: Limit.OFFER,
    _S.ANSWERING: Limit.CONNECTION,
    _S.ACCEPTED: Limit.CONNECTION,
    _S.CONNECTING: Limit.CONNECTION,
    _S.DISCONNECTED: Limit.RECOVERY,
    _S.RECONNECTING: Limit.RECOVERY,
    _S.FAILED: Limit.RECOVERY,
}

REPORTS: Mapping[LegState, CallEvent] = {
    _S.ANSWERING: CallEvent.CONNECTING_TO_USER,
    _S.ACCEPTED: CallEvent.CONNECTING_TO_USER,
    _S.CONNECTING: CallEvent.CONNECTING_TO_USER,
    _S.CONNECTED: CallEvent.CONNECTED_TO_USER,
    _S.DISCONNECTED: CallEvent.DISCONNECTED_FROM_USER,
    _S.RECONNECTING: CallEvent.CONNECTING_TO_USER,
    _S.FAILED: CallEvent.CONNECTION_FAILED_WITH_USER,
    _S.CLOSED: CallEvent.CONNECTION_CLOSED_FOR_USER,
}
"""What the application hears about the connection when a leg enters a state: never the same twice
in a row, and `CLOSED` only after something else."""

Table = dict[tuple[LegState, LegEvent], Transition]


def _from(states: Iterable[LegState], event: LegEvent, to: LegState, *actions: Action) -> Table:
    return {(state, event): Transition(to, actions) for state in states}


_UNANSWERED = (_S.NEW, _S.OFFERING, _S.DIALLING, _S.RINGING, _S.AWAITING_OFFER, _S.ANSWERING)
_LOST = (_S.DISCONNECTED, _S.RECONNECTING, _S.FAILED)

LEG_TRANSITIONS: Mapping[tuple[LegState, LegEvent], Transition] = {
    # we offer
    **_from([_S.NEW], _E.DIAL, _S.OFFERING, _A.MAKE_OFFER),
    **_from([_S.OFFERING], _E.OFFER_MADE, _S.DIALLING, _A.SEND_CALL),
    **_from([_S.DIALLING], _E.REPEAT_DUE, _S.DIALLING, _A.SEND_CALL),
    **_from([_S.DIALLING], _E.USER_RINGING, _S.DIALLING, _A.TELL_RINGING),
    **_from([_S.DIALLING], _E.ACCEPT, _S.ACCEPTED, _A.TELL_ACCEPTED, _A.SET_ANSWER),
    **_from([_S.ACCEPTED], _E.ANSWER_SET, _S.CONNECTING),
    # they offer
    **_from([_S.NEW, _S.RINGING], _E.CALL, _S.RINGING, _A.STORE_OFFER, _A.REMIND_RINGING),
    **_from([_S.RINGING], _E.ANSWER, _S.ANSWERING, _A.MAKE_ANSWER),
    **_from([_S.NEW], _E.AWAIT_OFFER, _S.AWAITING_OFFER),
    **_from([_S.AWAITING_OFFER], _E.CALL, _S.ANSWERING, _A.STORE_OFFER, _A.MAKE_ANSWER),
    **_from([_S.ANSWERING], _E.ANSWER_MADE, _S.CONNECTING, _A.SEND_ACCEPT),
    **_from([_S.CONNECTING], _E.CALL, _S.CONNECTING, _A.REMIND_ACCEPT),
    **_from([_S.DISCONNECTED], _E.CALL, _S.DISCONNECTED, _A.REMIND_ACCEPT),
    **_from([_S.RECONNECTING], _E.CALL, _S.RECONNECTING, _A.REMIND_ACCEPT),
    **_from([_S.FAILED], _E.CALL, _S.FAILED, _A.REMIND_ACCEPT),
    # the path; the engine may find it before it has said that the answer is set
    **_from([_S.ACCEPTED, _S.CONNECTING, *_LOST], _E.ICE_CONNECTED, _S.CONNECTED),
    **_from([_S.CONNECTED, *_LOST], _E.ICE_CHECKING, _S.RECONNECTING),
    **_from(
        [_S.CONNECTING, _S.CONNECTED, _S.RECONNECTING],
        _E.ICE_DISCONNECTED,
        _S.DISCONNECTED,
    ),
    **_from(
        [_S.CONNECTING, _S.CONNECTED, _S.DISCONNECTED, _S.RECONNECTING],
        _E.ICE_FAILED,
        _S.FAILED,
    ),
    # media tells sooner than ICE does
    **_from([_S.CONNECTED], _E.MEDIA_STOPPED, _S.DISCONNECTED),
    **_from(_LOST, _E.MEDIA_RESUMED, _S.CONNECTED),
    # the end, by somebody's wish
    **_from([_S.NEW, _S.RINGING], _E.DECLINE, _S.CLOSED, _A.SEND_REJECT),
    **_from(LIVE, _E.LEAVE, _S.CLOSED, _A.SEND_HANG_UP),
    **_from(LIVE, _E.DROP, _S.CLOSED),
    **_from(LIVE, _E.HANG_UP, _S.CLOSED, _A.TELL_HUNG_UP),
    **_from(_UNANSWERED, _E.REJECT, _S.CLOSED, _A.TELL_REJECTED),
    # the end, by failure or time
    **_from(WITH_PEER, _E.PEER_FAILED, _S.CLOSED, _A.SEND_HANG_UP, _A.TELL_FAILED),
    **_from([_S.ACCEPTED, *EXCHANGED], _E.ICE_CLOSED, _S.CLOSED),
    **_from(
        [_S.OFFERING, _S.DIALLING, _S.AWAITING_OFFER],
        _E.TIME_UP,
        _S.CLOSED,
        _A.SEND_HANG_UP,
        _A.TELL_NO_ANSWER,
    ),
    **_from([_S.ANSWERING, _S.ACCEPTED], _E.TIME_UP, _S.CLOSED, _A.SEND_HANG_UP, _A.TELL_FAILED),
    # No hangUp: another device of ours may have answered too, and have won.
    **_from([_S.CONNECTING], _E.TIME_UP, _S.CLOSED, _A.TELL_FAILED),
    **_from(_LOST, _E.TIME_UP, _S.CLOSED),
    # they have not heard that it is over
    **_from([_S.CLOSED], _E.ACCEPT, _S.CLOSED, _A.SEND_HANG_UP),
    **_from([_S.CLOSED], _E.ICE_RESTART, _S.CLOSED, _A.SEND_HANG_UP),
    **_from([_S.CLOSED], _E.CALL, _S.CLOSED, _A.REMIND_HANG_UP),
}


class RestartState(StrEnum):
    """State of an ICE restart, in the legs whose state is one of `EXCHANGED`."""

    IDLE = "idle"
    OFFERING = "offering"  # the engine makes our offer
    REOFFERING = "reoffering"  # so it does, but the offer is outdated already
    OFFERED = "offered"
    ACCEPTED = "accepted"  # the engine applies their answer
    ANSWERING = "answering"  # the engine makes our answer
    REANSWERING = "reanswering"  # so it does, but there is a newer offer


class RestartTransition(NamedTuple):
    """Next restart state and what to do on the way."""

    to: RestartState
    actions: tuple[Action, ...] = ()


_R = RestartState
RestartTable = dict[tuple[RestartState, LegEvent], RestartTransition]


def _restart(
    states: Iterable[RestartState], event: LegEvent, to: RestartState, *actions: Action
) -> RestartTable:
    return {(state, event): RestartTransition(to, actions) for state in states}


_FREE = (_R.IDLE, _R.OFFERED)
OWN_OFFER = (_R.OFFERING, _R.REOFFERING, _R.OFFERED, _R.ACCEPTED)
"""Restart states in which our own offer is under way."""

RESTART_TRANSITIONS: Mapping[tuple[RestartState, LegEvent], RestartTransition] = {
    # we offer
    **_restart(_FREE, _E.RESTART_ICE, _R.OFFERING, _A.MAKE_RESTART_OFFER),
    **_restart([_R.IDLE], _E.ICE_RESTART_REQUEST, _R.OFFERING, _A.MAKE_RESTART_OFFER),
    # an offer that they have not answered will do: they gather when they answer
    **_restart([_R.OFFERED], _E.ICE_RESTART_REQUEST, _R.OFFERED, _A.SEND_ICE_RESTART_AGAIN),
    **_restart([_R.OFFERING, _R.REOFFERING], _E.RESTART_ICE, _R.REOFFERING),
    **_restart([_R.OFFERING], _E.OFFER_MADE, _R.OFFERED, _A.SEND_ICE_RESTART),
    **_restart([_R.REOFFERING], _E.OFFER_MADE, _R.OFFERING, _A.MAKE_RESTART_OFFER),
    **_restart([_R.OFFERED], _E.REPEAT_DUE, _R.OFFERED, _A.SEND_ICE_RESTART_AGAIN),
    **_restart([_R.OFFERED], _E.ICE_RESTART_ACCEPT, _R.ACCEPTED, _A.SET_ANSWER),
    **_restart([_R.ACCEPTED], _E.ANSWER_SET, _R.IDLE),
    # they offer; where our own offer is under way, only if it has to give way
    **_restart([_R.IDLE], _E.ASK_FOR_RESTART, _R.IDLE, _A.SEND_ICE_RESTART_REQUEST),
    **_restart([_R.IDLE, *OWN_OFFER], _E.ICE_RESTART, _R.ANSWERING, _A.STORE_OFFER, _A.MAKE_ANSWER),
    **_restart([_R.ANSWERING, _R.REANSWERING], _E.ICE_RESTART, _R.REANSWERING, _A.STORE_OFFER),
    **_restart([_R.ANSWERING], _E.ANSWER_MADE, _R.IDLE, _A.SEND_ICE_RESTART_ACCEPT),
    **_restart([_R.REANSWERING], _E.ANSWER_MADE, _R.ANSWERING, _A.MAKE_ANSWER),
    **_restart([_R.IDLE], _E.ICE_RESTART_AGAIN, _R.IDLE, _A.SEND_ICE_RESTART_ACCEPT_AGAIN),
}
