"""ICE restarts that happen by themselves: when, by whom, with which offers, how often."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ringmesh.calls.config import CallConfig
from ringmesh.calls.effects import Effect, Ignored, IgnoredReason, MakeAnswer, MakeOffer, Send
from ringmesh.calls.machine import CallMachine
from ringmesh.calls.recovery import BURST, REPEAT_AFTER, Recovery
from ringmesh.calls.transitions import LegEvent, LegState, RestartState, SessionState
from ringmesh.signals import IceRestart, IceRestartAccept, IceRestartRequest, Signal
from tests.calls.simulation import Device, World, connect


@pytest.fixture
def world() -> World:
    return World()


def talk(world: World, *, foreign: Iterable[int] = ()) -> tuple[Device, Device, CallMachine]:
    """User 1 has called user 2."""
    ann, bob = (world.device(number, foreign=number in foreign) for number in (1, 2))
    call, _ = connect(ann, bob)
    world.wire.clear()
    ann.history.clear()
    bob.history.clear()
    return ann, bob, call


def restarts(world: World) -> list[str]:
    """The restart signals that were sent."""
    return [line for line in world.wire if "Restart" in line]


def sent(effects: list[Effect]) -> list[Signal]:
    return [effect.signal for effect in effects if isinstance(effect, Send)]


def why(effects: list[Effect]) -> IgnoredReason:
    [ignored] = effects
    assert isinstance(ignored, Ignored)
    return ignored.reason


@pytest.mark.parametrize("mover", [0, 1])
def test_a_new_address(world: World, mover: int) -> None:
    """Whoever moves: one offer, one answer, and media flows as soon as signals do."""
    devices = talk(world)
    devices[mover].move()
    world.run(0.5)
    expected = ["1 iceRestart 2", "2 iceRestartAccept 1"]
    assert restarts(world) == (["2 iceRestartRequest 1"] if mover else []) + expected
    assert devices[0].states == devices[1].states == [SessionState.CONNECTED]
    world.run(100)
    assert world.idle
    assert len(restarts(world)) == 2 + mover


@pytest.mark.parametrize("mover", [1, 2])
def test_another_sdk_that_answered(world: World, mover: int) -> None:
    """It gets nothing but restarts."""
    ann, bob, _ = talk(world, foreign=[2])
    (ann, bob)[mover - 1].move()
    world.run(10)
    assert restarts(world)[0] == "1 iceRestart 2"
    assert ann.states == bob.states == [SessionState.CONNECTED]
    assert not any("Request" in line for line in world.wire)


@pytest.mark.parametrize("mover", [1, 2])
def test_another_sdk_that_offered(world: World, mover: int) -> None:
    """It cannot answer an offer of ours, so it gets none; when its application restarts ICE the
    call goes on."""
    ann, bob, call = talk(world, foreign=[1])
    (ann, bob)[mover - 1].move()
    world.run(30)
    assert restarts(world) == []
    assert call.leg_state(2) is LegState.FAILED
    ann.restart_ice(call, 2)
    world.run(1)
    assert restarts(world) == ["1 iceRestart 2", "2 iceRestartAccept 1"]
    assert ann.states == bob.states == [SessionState.CONNECTED]


def test_short_cut(world: World) -> None:
    """A short one heals without an offer; both applications hear the truth within a second."""
    ann, bob, call = talk(world)
    ann.lose_network()
    world.run(1.0)
    assert ann.history == ["disconnected_from_user 2"]
    assert bob.history == ["disconnected_from_user 1"]
    ann.regain_network()
    world.run(0.5)
    assert ann.history[-1:] == ["connected_to_user 2"]
    assert bob.history[-1:] == ["connected_to_user 1"]
    assert restarts(world) == []
    assert call.state is SessionState.CONNECTED


@pytest.mark.parametrize("seconds", [20, 40])
@pytest.mark.parametrize("victim", [0, 1])
def test_long_cut(world: World, seconds: int, victim: int) -> None:
    """A long one heals within a second after the network is back, with a bounded effort."""
    devices = talk(world)
    devices[victim].lose_network()
    world.run(seconds)
    devices[victim].regain_network()
    world.run(1.0)
    for device in devices[:2]:
        assert device.states == [SessionState.CONNECTED]
        assert device.history[-1].startswith("connected_to_user")
    assert len(restarts(world)) <= 25
    world.run(100)
    assert world.idle


@pytest.mark.parametrize(
    ("seconds", "event"), [(0.5, LegEvent.REPEAT_DUE), (20.0, LegEvent.RESTART_ICE)]
)
def test_offers_that_waited(seconds: float, event: LegEvent) -> None:
    """When signals come through again, an offer of just now will do; an older one is made anew,
    since no STUN or TURN server was in reach."""
    recovery = Recovery(automatic=True)
    recovery.lost(0.0, offerer=True, hopeless=True)
    recovery.offering(0.0)
    recovery.attempted(0.0, LegState.DISCONNECTED)
    recovery.hurry(seconds, RestartState.OFFERED)
    assert recovery.event(LegState.DISCONNECTED, RestartState.OFFERED, offerer=True) is event


def test_nobody_comes_back(world: World) -> None:
    """Attempts end with the leg."""
    ann, bob, _ = talk(world)
    bob.crash()
    world.run(62)
    assert ann.history[-1] == "session_closed connection-lost"
    assert world.idle
    assert len(restarts(world)) <= 12


def test_network_changes_while_dialling(world: World) -> None:
    """What was offered before is answered, and mended right after."""
    ann, bob = world.device(1), world.device(2)
    call = ann.call(2)
    world.run(1)
    ann.move()
    bob.accept()
    world.run(2)
    assert ann.states == bob.states == [SessionState.CONNECTED]
    assert ann.peer(call, 2).network == ann.network


def test_switched_off(world: World) -> None:
    """Without automatic restarts nothing happens by itself."""
    config = CallConfig(automatic_ice_restart=False)
    ann, bob = world.device(1, config), world.device(2, config)
    connect(ann, bob)
    ann.move()
    world.run(30)
    assert restarts(world) == []
    assert ann.states == [SessionState.CONNECTING]


class TestNumbers:
    """Late offers and answers confuse nobody."""

    def test_late_answer(self, world: World) -> None:
        """An answer to an offer that was replaced is not taken for that of the new one."""
        ann, _, call = talk(world)
        now = world.now
        ann.perform(call, call.restart_ice(2, now))
        world.run(0)
        late = IceRestartAccept(session_id=call.session_id, sdp="x", extra={"answerNumber": "1"})
        assert why(call.receive(late, 2, now)) is IgnoredReason.OUTDATED
        world.run(1)
        assert call.leg_state(2) is LegState.CONNECTED

    def test_answer_without_a_number(self, world: World) -> None:
        """From a Ringmesh client it is none of ours."""
        ann, _, call = talk(world)
        ann.perform(call, call.restart_ice(2, world.now))
        world.run(0)
        bare = IceRestartAccept(session_id=call.session_id, sdp="x")
        assert why(call.receive(bare, 2, world.now)) is IgnoredReason.OUTDATED

    def test_old_and_repeated_offers(self, world: World) -> None:
        """An overtaken offer is ignored; a repeat of the last is answered with the same answer."""
        _, bob, _ = talk(world)
        end, now = bob.rings[0], world.now

        def offer(number: int) -> IceRestart:
            extra = {"offerNumber": str(number)}
            return IceRestart(session_id=end.session_id, sdp=f"offer {number}", extra=extra)

        assert end.receive(offer(3), 1, now) == [MakeAnswer(1, "offer 3")]
        [answer, *_] = sent(end.answer_made(1, "answer 3", now))
        assert answer.extra == {"answerNumber": "3"}
        assert why(end.receive(offer(2), 1, now)) is IgnoredReason.OUTDATED
        assert why(end.receive(offer(3), 1, now)) is IgnoredReason.WRONG_STATE  # at once
        assert sent(end.receive(offer(3), 1, now + 2)) == [answer]

    def test_newer_offer_while_answering(self, world: World) -> None:
        """The newest offer is answered, once the engine is free."""
        _, bob, _ = talk(world)
        end, now = bob.rings[0], world.now
        for number in (2, 3):
            extra = {"offerNumber": str(number)}
            signal = IceRestart(session_id=end.session_id, sdp=f"offer {number}", extra=extra)
            end.receive(signal, 1, now)
        assert end.answer_made(1, "answer 2", now) == [MakeAnswer(1, "offer 3")]
        [answer, *_] = sent(end.answer_made(1, "answer 3", now))
        assert answer.extra == {"answerNumber": "3"}


class TestStorm:
    """A peer cannot keep us busy."""

    def test_offers(self, world: World) -> None:
        """Beyond the burst offers are ignored until there is credit again."""
        _, bob, _ = talk(world)
        end, now = bob.rings[0], world.now
        reasons = []
        for number in range(2, 100):
            extra = {"offerNumber": str(number)}
            signal = IceRestart(session_id=end.session_id, sdp="offer", extra=extra)
            effects = end.receive(signal, 1, now)
            end.answer_made(1, "answer", now)
            reasons += [e.reason for e in effects if isinstance(e, Ignored)]
        assert reasons == [IgnoredReason.TOO_OFTEN] * (98 - BURST)
        signal = IceRestart(session_id=end.session_id, sdp="offer", extra={"offerNumber": "200"})
        assert end.receive(signal, 1, now + 2.0) == [MakeAnswer(1, "offer")]

    def test_requests(self, world: World) -> None:
        """So are requests; an offer under way answers them all."""
        _, _, call = talk(world)
        request, now = IceRestartRequest(session_id=call.session_id), world.now
        assert call.receive(request, 2, now) == [MakeOffer(2, ice_restart=True)]
        for _ in range(50):
            assert why(call.receive(request, 2, now)) is IgnoredReason.WRONG_STATE
        offers = 1
        for number in range(2, 50):
            call.offer_made(2, "offer", now)
            assert not any(isinstance(e, Send) for e in call.receive(request, 2, now))
            extra = {"answerNumber": str(number)}
            call.receive(
                IceRestartAccept(session_id=call.session_id, sdp="answer", extra=extra), 2, now
            )
            call.answer_set(2, now)
            offers += MakeOffer(2, ice_restart=True) in call.receive(request, 2, now)
        assert offers == BURST

    def test_request_beside_an_offer(self, world: World) -> None:
        """An offer that they have not answered is sent again, not made anew."""
        _, _, call = talk(world)
        request, now = IceRestartRequest(session_id=call.session_id), world.now
        call.receive(request, 2, now)
        [offer] = call.offer_made(2, "offer", now)
        assert why(call.receive(request, 2, now)) is IgnoredReason.WRONG_STATE
        assert offer in call.receive(request, 2, now + REPEAT_AFTER)

    def test_clock_jumps(self, world: World) -> None:
        """A clock that leaps ahead makes one attempt, not all that were missed."""
        ann, _, call = talk(world)
        ann.lose_network()
        world.run(1)
        effects = call.tick(world.now + 30.0)
        assert [type(effect) for effect in effects] == [MakeOffer]
        assert call.tick(world.now + 30.0) == []


def test_ringing_is_told_by_devices_that_ring(world: World) -> None:
    """Once per person, and never by other SDKs."""
    ann, bob, carl = world.device(1), world.device(2), world.device(3, foreign=True)
    call = ann.call(2, 3)
    world.run(20)
    assert len(bob.rings) == len(carl.rings) == 1
    assert ann.heard_ringing == [(call.session_id, 2)]
