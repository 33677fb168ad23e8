"""ICE restarts that the application asks for, one step at a time."""

from __future__ import annotations

import pytest

from ringmesh.calls.effects import (
    AddCandidates,
    Ignored,
    MakeAnswer,
    MakeOffer,
    SetAnswer,
)
from ringmesh.calls.transitions import LegState, SessionState
from ringmesh.errors import ConfigurationError, InvalidStateError
from ringmesh.ice import IceConnectionState
from ringmesh.signals import (
    HangUp,
    IceCandidates,
    IceRestart,
    IceRestartAccept,
    IceRestartRequest,
)
from tests.calls.pair import Pair, candidate, signals
from tests.calls.simulation import World, connect

ICE = IceConnectionState


class TestRestart:
    """ICE restarts, which the offerer starts."""

    def test_both_sides(self) -> None:
        """A restart runs through both sides, and the call goes on."""
        world = World()
        ann, bob = world.device(1), world.device(2)
        call, end = connect(ann, bob)
        world.wire.clear()
        assert (call.can_restart_ice(2), end.can_restart_ice(1)) == (True, False)
        ann.restart_ice(call, 2)
        assert not call.can_restart_ice(2)
        world.run(1)
        assert world.wire[0] == "1 iceRestart 2"
        assert set(world.wire[1:]) == {
            "2 iceRestartAccept 1",
            "1 iceCandidates 2",
            "2 iceCandidates 1",
        }
        assert ann.states == bob.states == [SessionState.CONNECTED]
        assert ann.early_candidates == bob.early_candidates == 0
        assert call.can_restart_ice(2)

    def test_only_the_offerer(self, pair: Pair) -> None:
        """The answerer asks for one; before the exchange is finished nobody can."""
        with pytest.raises(InvalidStateError):
            pair.caller.restart_ice(2, 0.5)
        with pytest.raises(InvalidStateError):
            pair.callee.restart_ice(1, 0.5)
        pair.exchange()
        [request] = signals(pair.callee.restart_ice(1, 2.0))
        assert isinstance(request, IceRestartRequest)
        assert pair.caller.receive(request, 2, 2.0) == [MakeOffer(2, ice_restart=True)]
        with pytest.raises(ConfigurationError):
            pair.caller.restart_ice(3, 2.0)

    def test_candidates_of_the_new_generation(self, pair: Pair) -> None:
        """The offerer's follow its offer; the other side keeps them until it has answered."""
        pair.exchange()
        assert pair.caller.restart_ice(2, 2.0) == [MakeOffer(2, ice_restart=True)]
        assert pair.caller.candidate_gathered(2, candidate(1), 2.0) == []
        restart, batch = signals(pair.caller.offer_made(2, "offer 2", 2.0))
        assert isinstance(restart, IceRestart)
        assert isinstance(batch, IceCandidates)
        assert batch.candidates == (candidate(1),)
        assert pair.callee.receive(restart, 1, 2.0) == [MakeAnswer(1, "offer 2")]
        theirs = IceCandidates(session_id="s", candidates=(candidate(2),))
        assert pair.callee.receive(theirs, 1, 2.0) == []
        effects = pair.callee.answer_made(1, "answer 2", 2.0)
        assert AddCandidates(1, (candidate(2),)) in effects
        [accept] = signals(effects)
        assert isinstance(accept, IceRestartAccept)
        assert pair.caller.receive(accept, 2, 2.0) == [SetAnswer(2, "answer 2")]
        assert pair.caller.answer_set(2, 2.0) == []

    def test_unanswered_restart_can_be_tried_again(self, pair: Pair) -> None:
        """SDKs without ICE restart stay silent; another try makes a new offer."""
        pair.exchange()
        pair.caller.restart_ice(2, 2.0)
        with pytest.raises(InvalidStateError, match="one restart at a time"):
            pair.caller.restart_ice(2, 2.0)
        pair.caller.offer_made(2, "offer 2", 2.0)
        assert pair.caller.restart_ice(2, 9.0) == [MakeOffer(2, ice_restart=True)]

    def test_restart_gains_no_time(self, pair: Pair) -> None:
        """A lost path ends the leg after the grace, whatever was tried meanwhile."""
        pair.exchange()
        pair.caller.ice_state_changed(2, ICE.FAILED, 10.0)
        pair.caller.restart_ice(2, 35.0)
        assert pair.caller.leg_state(2) is LegState.FAILED
        pair.caller.tick(40.0)
        assert pair.caller.leg_state(2) is LegState.CLOSED

    def test_restart_of_the_answerer_is_answered(self, pair: Pair) -> None:
        """Some SDKs let the answerer start one: answered, unless ours is under way."""
        pair.exchange()
        restart = IceRestart(session_id="s", sdp="offer 2")
        assert pair.caller.receive(restart, 2, 2.0) == [MakeAnswer(2, "offer 2")]
        pair.caller.answer_made(2, "answer 2", 2.0)
        pair.caller.restart_ice(2, 3.0)
        pair.caller.offer_made(2, "offer 3", 3.0)
        assert isinstance(pair.caller.receive(restart, 2, 3.0)[0], Ignored)

    def test_out_of_place(self, pair: Pair) -> None:
        """Restart signals before the exchange, and answers to no offer, are ignored."""
        stray = [
            IceRestart(session_id="s", sdp="offer"),
            IceRestartAccept(session_id="s", sdp="answer"),
        ]
        for signal in stray:
            assert isinstance(pair.caller.receive(signal, 2, 0.5)[0], Ignored)
        pair.exchange()
        assert isinstance(pair.caller.receive(stray[1], 2, 2.0)[0], Ignored)

    def test_broken_restart_ends_the_leg(self, pair: Pair) -> None:
        """A restart offer that the engine refuses ends the leg with a hangUp."""
        pair.exchange()
        pair.callee.receive(IceRestart(session_id="s", sdp="rubbish"), 1, 2.0)
        effects = pair.callee.peer_failed(1, "rubbish", 2.0)
        assert [type(signal) for signal in signals(effects)] == [HangUp]
        assert pair.callee.state is SessionState.CLOSED
