"""Arbitrary inputs in arbitrary order: only documented errors, and effects that make sense."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from ringmesh.calls.book import CallBook, CallEffects
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
from ringmesh.calls.machine import CallMachine
from ringmesh.calls.transitions import SessionState
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
    Reject,
    Signal,
    Update,
)

OWN_ID = 2
USERS = st.integers(1, 5)
SESSIONS = st.sampled_from(["a", "b", "c"])
TEXTS = st.sampled_from(["", "sdp", "other sdp", "\x00<x>"])
CANDIDATES = st.lists(
    st.builds(IceCandidate, st.sampled_from(["", "candidate:1"])), min_size=1, max_size=3
).map(tuple)


def kind(signal: type[Signal], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[Signal]:
    """Signals of one kind, with any claims."""
    return st.builds(
        signal,
        session_id=SESSIONS,
        call_type=st.sampled_from([None, *CallType]),
        caller_id=st.none() | USERS,
        opponents_ids=st.lists(USERS, max_size=5).map(tuple) | st.just((OWN_ID,)),
        **fields,
    )


SIGNALS = st.one_of(
    kind(Call, sdp=TEXTS),
    kind(Accept, sdp=TEXTS),
    kind(Reject),
    kind(HangUp),
    kind(IceCandidates, candidates=CANDIDATES),
    kind(IceRestart, sdp=TEXTS),
    kind(IceRestartAccept, sdp=TEXTS),
    kind(Update, sdp=st.none() | TEXTS),
)


class Judge:
    """Owns a book, and checks every effect against what was asked before."""

    def __init__(self) -> None:
        self.now = 0.0
        self.book = CallBook(OWN_ID, CallConfig(max_calls=2))
        self.calls: list[CallMachine] = []
        self.peers: set[tuple[int, int]] = set()
        self.candidates = 0

    def take(self, results: list[CallEffects]) -> None:
        for result in results:
            if result.call is not None and result.call not in self.calls:
                self.calls.append(result.call)
            self.check(result.call, result.effects)

    def check(self, call: CallMachine | None, effects: list[Effect]) -> None:
        assert len(effects) <= 20
        for position, effect in enumerate(effects):
            if isinstance(effect, Notify) and effect.event is CallEvent.SESSION_CLOSED:
                assert position == len(effects) - 1
                assert call is not None
                assert call.state is SessionState.CLOSED
            if isinstance(effect, Send):
                assert effect.user_id != OWN_ID
                assert effect.signal.caller_id is not None
                assert effect.signal.opponents_ids
                assert effect.signal.call_type is not None
            if isinstance(effect, MakeOffer | MakeAnswer):
                self.peers.add((id(call), effect.user_id))
            if isinstance(effect, AddCandidates):
                self.candidates += len(effect.candidates)
            if isinstance(effect, SetAnswer | AddCandidates | ClosePeer):
                assert (id(call), effect.user_id) in self.peers
            if isinstance(effect, ClosePeer):
                self.peers.remove((id(call), effect.user_id))

    def verb(self, act: Callable[[], list[Effect] | list[CallEffects]], call: CallMachine) -> None:
        try:
            done = act()
        except (InvalidStateError, ConfigurationError):
            return
        self.take([entry for entry in done if isinstance(entry, CallEffects)])
        self.check(call, [entry for entry in done if not isinstance(entry, CallEffects)])

    def step(self, data: st.DataObject) -> None:
        self.now += data.draw(st.sampled_from([0.0, 0.5, 4.0, 31.0]))
        if data.draw(st.booleans()) or not self.calls:
            self.receive_or_dial(data)
        else:
            self.use(data.draw(st.sampled_from(self.calls)), data)
        deadline = self.book.deadline()
        if deadline is not None and deadline <= self.now:
            self.take(self.book.tick(self.now))
        deadline = self.book.deadline()
        assert deadline is None or deadline > self.now
        assert len(self.book.calls) <= 2

    def receive_or_dial(self, data: st.DataObject) -> None:
        if data.draw(st.integers(0, 4)):
            signal = data.draw(SIGNALS)
            self.take(self.book.receive(signal, data.draw(USERS), self.now))
            return
        opponents = data.draw(st.lists(USERS, max_size=4))
        try:
            call = self.book.create_call(data.draw(SESSIONS), CallType.AUDIO_CALL, opponents)
            self.take(self.book.dial(call, self.now))
        except (InvalidStateError, ConfigurationError):
            return

    def use(self, call: CallMachine, data: st.DataObject) -> None:
        now, user_id, sdp = self.now, data.draw(USERS), data.draw(TEXTS)
        state = data.draw(st.sampled_from(IceConnectionState))
        found = IceCandidate("candidate:1")
        acts: list[Callable[[], list[Effect] | list[CallEffects]]] = [
            lambda: call.accept(now),
            lambda: call.accept(now),
            lambda: call.reject(now),
            lambda: call.hang_up(now),
            lambda: call.dial(now),
            lambda: self.book.dial(call, now),
            lambda: call.restart_ice(user_id, now),
            lambda: call.offer_made(user_id, sdp, now),
            lambda: call.offer_made(user_id, sdp, now),
            lambda: call.answer_made(user_id, sdp, now),
            lambda: call.answer_made(user_id, sdp, now),
            lambda: call.answer_set(user_id, now),
            lambda: call.peer_failed(user_id, sdp, now),
            lambda: call.ice_state_changed(user_id, state, now),
            lambda: call.ice_state_changed(user_id, state, now),
            lambda: call.candidate_gathered(user_id, found, now, local_sdp=sdp),
            lambda: call.tick(now),
        ]
        self.verb(data.draw(st.sampled_from(acts)), call)


@settings(max_examples=60)
@given(st.data())
def test_arbitrary_inputs(data: st.DataObject) -> None:
    """Nothing but documented errors, sane effects, bounded calls, timers that end."""
    judge = Judge()
    for _ in range(data.draw(st.integers(5, 40))):
        judge.step(data)
    assert judge.candidates <= MAX_CANDIDATES * 40
    for _ in range(400):
        deadline = judge.book.deadline()
        if deadline is None:
            break
        judge.now = deadline
        judge.take(judge.book.tick(deadline))
    assert judge.book.deadline() is None
    assert all(
        call.state in (SessionState.CONNECTED, SessionState.CLOSED, SessionState.NEW)
        for call in judge.calls
    )
