"""Candidates, ICE states, lost paths, broken descriptions and signals that do not belong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringmesh.calls.config import MAX_CANDIDATES, CallConfig
from ringmesh.calls.effects import (
    AddCandidates,
    CallEvent,
    ClosePeer,
    Ignored,
    IgnoredReason,
    MakeAnswer,
    Notify,
    Send,
)
from ringmesh.calls.transitions import LegState, SessionState
from ringmesh.errors import ConfigurationError
from ringmesh.ice import IceCandidate, IceConnectionState
from ringmesh.signals import (
    Accept,
    Call,
    HangUp,
    IceCandidates,
    Reject,
    Signal,
    Update,
)
from tests.calls.pair import Pair, candidate, events, signals
from tests.calls.simulation import World, connect

ICE = IceConnectionState


class TestCandidates:
    """When candidates may leave, and when they may be applied."""

    def test_ours_wait_for_the_accept(self, pair: Pair) -> None:
        """The offerer's leave in one message after the exchange, later ones one by one."""
        for number in (1, 2, 3):
            assert pair.caller.candidate_gathered(2, candidate(number), 0.5) == []
        pair.caller.receive(Accept(session_id="s", sdp="answer"), 2, 1.0)
        [batch] = signals(pair.caller.answer_set(2, 1.0))
        assert isinstance(batch, IceCandidates)
        assert batch.candidates == tuple(candidate(number) for number in (1, 2, 3))
        [single] = signals(pair.caller.candidate_gathered(2, candidate(4), 1.0))
        assert isinstance(single, IceCandidates)
        assert single.candidates == (candidate(4),)

    def test_ours_follow_our_accept(self, pair: Pair) -> None:
        """The answerer's come after its accept, never before."""
        pair.callee.accept(1.0)
        assert pair.callee.candidate_gathered(1, candidate(1), 1.0) == []
        sent = signals(pair.callee.answer_made(1, "answer", 1.0))
        assert [type(signal) for signal in sent] == [Accept, IceCandidates]

    def test_theirs_wait_for_the_remote_description(self, pair: Pair) -> None:
        """Candidates that overtake the accept, or come while it is applied, are kept in order."""
        early = IceCandidates(session_id="s", candidates=(candidate(1), candidate(2)))
        assert pair.caller.receive(early, 2, 0.5) == []
        pair.caller.receive(Accept(session_id="s", sdp="answer"), 2, 1.0)
        late = IceCandidates(session_id="s", candidates=(candidate(3),))
        assert pair.caller.receive(late, 2, 1.0) == []
        added = pair.caller.answer_set(2, 1.0)
        assert AddCandidates(2, (candidate(1), candidate(2), candidate(3))) in added
        more = IceCandidates(session_id="s", candidates=(candidate(4),))
        assert pair.caller.receive(more, 2, 2.0) == [AddCandidates(2, (candidate(4),))]

    def test_theirs_wait_while_ringing(self, pair: Pair) -> None:
        """An answerer keeps candidates that come before it has accepted."""
        early = IceCandidates(session_id="s", candidates=(candidate(1),))
        assert pair.callee.receive(early, 1, 0.5) == []
        pair.callee.accept(1.0)
        assert AddCandidates(1, (candidate(1),)) in pair.callee.answer_made(1, "answer", 1.0)

    def test_theirs_are_bounded(self, pair: Pair) -> None:
        """A flood of candidates ends at the limit, in the buffer and after it."""
        flood = tuple(candidate(number) for number in range(200))
        for _ in range(5):
            pair.caller.receive(IceCandidates(session_id="s", candidates=flood), 2, 0.5)
        pair.caller.receive(Accept(session_id="s", sdp="answer"), 2, 1.0)
        [added] = [e for e in pair.caller.answer_set(2, 1.0) if isinstance(e, AddCandidates)]
        assert len(added.candidates) == MAX_CANDIDATES
        [ignored] = pair.caller.receive(IceCandidates(session_id="s", candidates=flood), 2, 2.0)
        assert isinstance(ignored, Ignored)
        assert ignored.reason is IgnoredReason.UNUSABLE_CANDIDATES

    def test_ours_are_bounded(self, pair: Pair) -> None:
        """An engine that gathers without end does not flood the opponent."""
        pair.exchange()
        sent = [signals(pair.caller.candidate_gathered(2, candidate(n), 2.0)) for n in range(999)]
        assert sum(map(len, sent)) == MAX_CANDIDATES

    def test_empty_ones_are_dropped(self, pair: Pair) -> None:
        """An end-of-candidates marker is not passed on."""
        pair.exchange()
        marker = IceCandidates(session_id="s", candidates=(IceCandidate(""),))
        [ignored] = pair.caller.receive(marker, 2, 2.0)
        assert isinstance(ignored, Ignored)

    def test_after_the_end(self, pair: Pair) -> None:
        """Engine reports of a closed leg change nothing."""
        pair.exchange()
        pair.caller.hang_up(2.0)
        assert pair.caller.candidate_gathered(2, candidate(1), 2.0) == []
        assert pair.caller.ice_state_changed(2, ICE.CONNECTED, 2.0) == []
        assert pair.caller.answer_set(2, 2.0) == []
        assert pair.caller.peer_failed(2, "late", 2.0) == []
        with pytest.raises(ConfigurationError):
            pair.caller.answer_set(3, 2.0)


class TestIceStates:
    """ICE states as the application hears them."""

    def test_each_change_is_told_once(self, pair: Pair) -> None:
        """Every state of the engine, some doubled: no repeats, and closed at the end."""
        pair.exchange()
        heard = []
        for state in (
            ICE.NEW,
            ICE.CHECKING,
            ICE.CONNECTED,
            ICE.COMPLETED,
            ICE.DISCONNECTED,
            ICE.DISCONNECTED,
            ICE.CHECKING,
            ICE.CONNECTED,
            ICE.FAILED,
            ICE.FAILED,
            ICE.CHECKING,
            ICE.COMPLETED,
            ICE.CLOSED,
            ICE.CLOSED,
        ):
            heard += events(pair.caller.ice_state_changed(2, state, 2.0))
        assert heard == [
            CallEvent.CONNECTED_TO_USER,
            CallEvent.DISCONNECTED_FROM_USER,
            CallEvent.CONNECTING_TO_USER,
            CallEvent.CONNECTED_TO_USER,
            CallEvent.CONNECTION_FAILED_WITH_USER,
            CallEvent.CONNECTING_TO_USER,
            CallEvent.CONNECTED_TO_USER,
            CallEvent.CONNECTION_CLOSED_FOR_USER,
            CallEvent.SESSION_CLOSED,
        ]

    def test_path_before_answer_set(self, pair: Pair) -> None:
        """The engine may report the path first; candidates flow from then on."""
        pair.caller.candidate_gathered(2, candidate(1), 0.5)
        pair.caller.receive(Accept(session_id="s", sdp="answer"), 2, 1.0)
        effects = pair.caller.ice_state_changed(2, ICE.CONNECTED, 1.0)
        assert [type(signal) for signal in signals(effects)] == [IceCandidates]
        assert pair.caller.answer_set(2, 1.0) == []
        assert pair.caller.leg_state(2) is LegState.CONNECTED

    def test_no_path_at_all(self, pair: Pair) -> None:
        """A call that never connects fails after the connect timeout, without a hangUp."""
        pair.exchange()
        assert pair.caller.deadline() == 31.0
        effects = pair.caller.tick(31.0)
        assert signals(effects) == []
        assert events(effects) == [
            CallEvent.CONNECTION_FAILED_WITH_USER,
            CallEvent.CONNECTION_CLOSED_FOR_USER,
            CallEvent.SESSION_CLOSED,
        ]

    def test_engine_that_never_answers(self, pair: Pair) -> None:
        """An engine that hangs ends the leg by the connect timeout, and the caller is told."""
        pair.callee.accept(1.0)
        effects = pair.callee.tick(31.0)
        assert [type(signal) for signal in signals(effects)] == [HangUp]
        assert ClosePeer(1) in effects

    def test_flapping_gains_no_time(self, pair: Pair) -> None:
        """The grace runs from the first loss until a real connection, through all states."""
        pair.exchange()
        pair.caller.ice_state_changed(2, ICE.CONNECTED, 2.0)
        assert pair.caller.deadline() is None
        for second, state in enumerate((ICE.DISCONNECTED, ICE.CHECKING, ICE.FAILED)):
            pair.caller.ice_state_changed(2, state, 10.0 + second)
            assert pair.caller.deadline() == 40.0
        pair.caller.ice_state_changed(2, ICE.CONNECTED, 20.0)
        pair.caller.ice_state_changed(2, ICE.DISCONNECTED, 50.0)
        assert pair.caller.deadline() == 80.0


def test_short_loss_is_survived() -> None:
    """A path that comes back within the grace time goes on."""
    world = World()
    ann, bob = world.device(1), world.device(2)
    call, _ = connect(ann, bob)
    ann.history.clear()
    ann.peer(call, 2).become(ICE.DISCONNECTED)
    world.run(1.9)
    ann.peer(call, 2).become(ICE.CONNECTED)
    world.run(100)
    assert "1 iceRestart 2" not in world.wire
    assert ann.history == [
        "disconnected_from_user 2",
        "connected_to_user 2",
    ]
    assert world.idle


def test_crashed_opponent_is_dropped() -> None:
    """A peer that disappears without a word is dropped after the grace time, silently."""
    world = World()
    ann, bob = world.device(1, CallConfig(disconnect_time_interval=20)), world.device(2)
    connect(ann, bob)
    ann.history.clear()
    world.devices.remove(bob)
    bob.peer(bob.rings[0], 1).close()
    world.run(20.8)
    assert ann.states == [SessionState.CONNECTING]
    world.run(0.2)
    assert ann.history == [
        "disconnected_from_user 2",
        "connection_failed_with_user 2",
        "connection_closed_for_user 2",
        "session_closed connection-lost",
    ]
    assert "1 hangUp 2" not in world.wire
    assert world.idle


def test_broken_offer() -> None:
    """A description that the engine refuses ends the leg on both sides."""
    world = World()
    ann, bob = world.device(1), world.device(2)
    ann.call(2)
    world.run(1)
    world.peers.clear()
    bob.accept()
    world.run(1)
    assert bob.history[1:] == [
        "connecting_to_user 1",
        "connection_failed_with_user 1",
        "connection_closed_for_user 1",
        "session_closed connection-failed",
    ]
    assert ann.history == ["receive_hung_up_from_user 2", "session_closed remote-hung-up"]


def test_broken_answer(pair: Pair) -> None:
    """An answer that cannot be applied: failed with the engine's reason, and a hangUp."""
    pair.caller.receive(Accept(session_id="s", sdp="rubbish"), 2, 1.0)
    effects = pair.caller.peer_failed(2, "line 1 makes no sense", 1.0)
    assert effects == [
        *[effect for effect in effects if isinstance(effect, Send)],
        Notify(
            CallEvent.CONNECTION_FAILED_WITH_USER, 2, detail={"reason": "line 1 makes no sense"}
        ),
        ClosePeer(2),
        Notify(CallEvent.CONNECTION_CLOSED_FOR_USER, 2),
        Notify(CallEvent.SESSION_CLOSED, detail={"reason": "connection-failed"}),
    ]
    assert [type(signal) for signal in signals(effects)] == [HangUp]


class TestRepeats:
    """Signals that come more often than needed."""

    def test_call_repeats_are_answered_once(self, pair: Pair) -> None:
        """Repeats within one dialling interval after the accept crossed it; later ones did not."""
        call = Call(session_id="s", caller_id=1, opponents_ids=(2,), sdp="offer")
        pair.callee.accept(1.0)
        assert isinstance(pair.callee.receive(call, 1, 1.0)[0], Ignored)
        [first] = signals(pair.callee.answer_made(1, "answer", 1.1))
        assert pair.callee.receive(call, 1, 5.0) == []
        assert signals(pair.callee.receive(call, 1, 10.0)) == [first]
        assert pair.callee.receive(call, 1, 15.0) == []

    def test_no_reminder_once_connected(self, pair: Pair) -> None:
        """A connection proves that the accept arrived."""
        pair.exchange()
        pair.callee.ice_state_changed(1, ICE.CONNECTED, 2.0)
        call = Call(session_id="s", caller_id=1, opponents_ids=(2,), sdp="offer")
        [ignored] = pair.callee.receive(call, 1, 100.0)
        assert isinstance(ignored, Ignored)

    def test_newer_offer_replaces_the_stored_one(self, pair: Pair) -> None:
        """While ringing, a repeat brings more candidates: the last one is answered."""
        call = Call(session_id="s", caller_id=1, opponents_ids=(2,), sdp="offer with more")
        assert pair.callee.receive(call, 1, 5.0) == []
        assert MakeAnswer(1, "offer with more") in pair.callee.accept(6.0)

    def test_second_accept(self, pair: Pair) -> None:
        """A doubled accept, or one of another device, changes nothing."""
        pair.exchange()
        [ignored] = pair.caller.receive(Accept(session_id="s", sdp="other"), 2, 2.0)
        assert isinstance(ignored, Ignored)
        assert ignored.reason is IgnoredReason.WRONG_STATE

    def test_reject_after_accept(self, pair: Pair) -> None:
        """Another device that rejects too late does not end the call."""
        pair.exchange()
        [ignored] = pair.caller.receive(Reject(session_id="s"), 2, 2.0)
        assert isinstance(ignored, Ignored)

    def test_sleeping_computer(self, pair: Pair) -> None:
        """After a long pause one repeat goes out, not all that were missed."""
        assert len(signals(pair.caller.tick(31.0))) == 1
        assert pair.caller.deadline() == 36.0


class TestForeignSignals:
    """Signals that do not belong to the call."""

    @pytest.mark.parametrize(
        "signal",
        [
            Accept(session_id="s", sdp="forged"),
            Reject(session_id="s"),
            HangUp(session_id="s"),
            IceCandidates(session_id="s", candidates=(candidate(1),)),
            Call(session_id="s", caller_id=3, opponents_ids=(1,), sdp="forged"),
        ],
    )
    def test_sender_is_not_a_member(self, pair: Pair, signal: Signal) -> None:
        """Somebody who knows the session id but is not in the call changes nothing."""
        forged = replace(signal, caller_id=3, opponents_ids=(1, 2))
        assert pair.caller.receive(forged, 3, 0.5) == [
            Ignored(3, forged, IgnoredReason.NOT_A_MEMBER)
        ]
        assert pair.caller.leg_state(2) is LegState.DIALLING

    def test_a_later_call_changes_no_facts(self, pair: Pair) -> None:
        """Only the first call says who is in it."""
        claims = Call(session_id="s", caller_id=7, opponents_ids=(2, 8, 9), sdp="offer")
        pair.callee.receive(claims, 1, 5.0)
        assert (pair.callee.caller_id, pair.callee.opponents_ids) == (1, (2,))

    def test_update_is_ignored(self, pair: Pair) -> None:
        """Renegotiation of newer mobile SDKs is not part of this protocol."""
        pair.exchange()
        [ignored] = pair.caller.receive(Update(session_id="s", sdp="offer"), 2, 2.0)
        assert isinstance(ignored, Ignored)
        assert ignored.reason is IgnoredReason.UNSUPPORTED

    def test_offer_against_the_direction(self, pair: Pair) -> None:
        """A callee that sends an offer into the caller's dialling is ignored."""
        wrong = Call(session_id="s", caller_id=1, opponents_ids=(2,), sdp="offer")
        assert isinstance(pair.caller.receive(wrong, 2, 0.5)[0], Ignored)

    def test_our_other_device(self, pair: Pair) -> None:
        """Own signals matter only while the call rings."""
        pair.exchange()
        for signal in (Accept(session_id="s", sdp="x"), Reject(session_id="s")):
            [ignored] = pair.callee.receive(signal, 2, 2.0)
            assert isinstance(ignored, Ignored)
            assert ignored.reason is IgnoredReason.OWN_SIGNAL
