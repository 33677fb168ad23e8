"""Two people who call each other at the same moment get one call, on both sides."""

from __future__ import annotations

import pytest

from ringmesh.calls.config import CallConfig
from ringmesh.calls.transitions import SessionState
from ringmesh.signals import Accept, Call, CallType, Reject, Signal
from tests.calls.simulation import Device, Faults, World


@pytest.fixture
def world() -> World:
    return World()


def assert_one_call(*devices: Device) -> None:
    """All are in one and the same connected call, and nobody has a second one."""
    assert [device.states for device in devices] == [[SessionState.CONNECTED]] * len(devices)
    assert len({device.calls[0].session_id for device in devices}) == 1
    assert [device.open_peers for device in devices] == [1] * len(devices)


def test_both_dial_at_once(world: World) -> None:
    """The session of the smaller id lives; nobody rings; both hear that the other accepted."""
    ann, bob = world.device(1), world.device(2)
    anns, bobs = ann.call(2), bob.call(1)
    world.run(1)
    assert_one_call(ann, bob)
    assert bobs.session_id == anns.session_id
    assert (bobs.caller_id, bobs.opponents_ids, bobs.is_outgoing) == (1, (2,), False)
    assert ann.history == [
        "call_accepted_by_user 2",
        "connecting_to_user 2",
        "connected_to_user 2",
    ]
    assert bob.history == [
        "switched",
        "call_accepted_by_user 1",
        "connecting_to_user 1",
        "connected_to_user 1",
    ]
    assert ann.rings == bob.rings == []
    assert world.count("2 hangUp 1") == 1
    bob.hang_up(bobs)
    world.run(1)
    assert ann.calls == bob.calls == []
    assert world.idle


def test_the_surviving_call_keeps_its_type(world: World) -> None:
    """An audio call that gives way to a video call becomes one."""
    ann, bob = world.device(1), world.device(2)
    ann.call(2)
    bobs = bob.call(1, call_type=CallType.AUDIO_CALL)
    world.run(1)
    assert bobs.call_type is CallType.VIDEO_CALL


@pytest.mark.parametrize("heard", [(1, 2), (2, 1)])
def test_one_direction_is_late(world: World, heard: tuple[int, int]) -> None:
    """Whichever call arrives first, and however late the other is."""
    ann, bob = world.device(1), world.device(2)
    late = (heard[1], heard[0])
    world.lost.add(late)
    ann.call(2)
    bob.call(1)
    world.run(17)
    world.lost.clear()
    world.run(8)
    assert_one_call(ann, bob)
    assert ann.rings == bob.rings == []


def test_slow_engines(world: World) -> None:
    """Glare while the engines still make the offers."""
    world.faults = Faults(engine_delay=(0.3, 0.6))
    ann, bob = world.device(1), world.device(2)
    ann.call(2)
    world.run(0.5)
    bob.call(1)
    world.run(10)
    assert_one_call(ann, bob)


def test_dialling_somebody_who_rings_here(world: World) -> None:
    """Calling back while it rings answers the call; the ringing one is replaced."""
    for caller_id, callee_id in ((1, 2), (4, 3)):
        caller, callee = world.device(caller_id), world.device(callee_id)
        caller.call(callee_id)
        world.run(1)
        back = callee.call(caller_id)
        world.run(1)
        assert_one_call(caller, callee)
        assert not back.is_outgoing
        assert callee.history[1] == "session_closed replaced"
        assert f"{callee_id} call {caller_id}" not in world.wire


def test_a_full_book_still_resolves_glare(world: World) -> None:
    """Glare is not a second call: `max_calls` of one is enough."""
    config = CallConfig(max_calls=1)
    ann, bob = world.device(1, config), world.device(2, config)
    ann.call(2)
    bob.call(1)
    world.run(1)
    assert_one_call(ann, bob)


class Stubborn(Device):
    """An SDK without glare handling: it rings although it is dialling that very person."""

    def receive(self, signal: Signal, sender_id: int, sender: str = "") -> None:
        """Hide our own dialling from the book while it takes a foreign call."""
        own = {k: c for k, c in self.book.calls.items() if c.is_outgoing}
        if isinstance(signal, Call) and signal.session_id not in own:
            for session_id in own:
                del self.book._calls[session_id]
            super().receive(signal, sender_id, sender)
            self.book._calls.update(own)
        else:
            super().receive(signal, sender_id, sender)


def stubborn(world: World, user_id: int) -> Stubborn:
    device = Stubborn(world, user_id, None)
    world.devices.append(device)
    return device


def test_winner_against_an_sdk_that_says_busy(world: World) -> None:
    """Rejected with its own session, the smaller id takes the other's call instead."""
    ann, bob = world.device(1), stubborn(world, 2)
    bob.on_ring = lambda call: bob.reject(call, busy="true")
    anns, bobs = ann.call(2), bob.call(1)
    world.run(1)
    assert_one_call(ann, bob)
    assert anns.session_id == bobs.session_id
    assert ann.history[:2] == ["switched", "call_accepted_by_user 2"]


def test_winner_against_an_sdk_that_rings(world: World) -> None:
    """Accepted over there, our call lives and theirs is refused, so that its dialling stops."""
    ann, bob = world.device(1), stubborn(world, 2)
    ann.call(2)
    bob.call(1)
    world.run(3)
    bob.accept()
    world.run(1)
    assert_one_call(ann, bob)
    assert "call_rejected_by_user 1" in bob.history
    assert ann.rings == []


def test_loser_against_an_sdk_that_rings(world: World) -> None:
    """The larger id answers and takes its own call back: the other side stops ringing."""
    ann, bob = stubborn(world, 1), world.device(2)
    ann.call(2)
    bob.call(1)
    world.run(1)
    assert_one_call(ann, bob)
    assert ann.history[-1] == "connected_to_user 2"
    assert "session_closed remote-hung-up" in ann.history


def test_other_devices_ring_and_stop(world: World) -> None:
    """Idle devices of both users ring for a moment and end as answered or cancelled."""
    ann, bob = world.device(1), world.device(2)
    tablet, phone = world.device(1), world.device(2)
    ann.call(2)
    bob.call(1)
    world.run(1)
    assert_one_call(ann, bob)
    assert tablet.history == [
        "receive_new_session 2",
        "receive_hung_up_from_user 2",
        "session_closed remote-hung-up",
    ]
    assert phone.history == ["receive_new_session 1", "session_closed answered-elsewhere"]


def test_other_device_takes_the_other_call(world: World) -> None:
    """The user answers on another device: the dialling one gives up and cancels its call."""
    ann, tablet, bob = world.device(1), world.device(1), stubborn(world, 2)
    ann.call(2)
    bob.call(1)
    world.run(1)
    tablet.accept()
    world.run(1)
    assert_one_call(tablet, bob)
    assert ann.history == ["session_closed answered-elsewhere"]
    assert ann.calls == []


def test_other_device_took_a_call_we_never_saw(world: World) -> None:
    """The same when the other's call itself never reached the dialling device."""
    ann = world.device(1)
    ann.call(2)
    accept = Accept(session_id="theirs", caller_id=2, opponents_ids=(1,), sdp="answer")
    ann.receive(accept, 1)
    assert ann.history == ["session_closed answered-elsewhere"]
    assert world.wire[-1] == "1 hangUp 2"


def test_other_device_rejects_the_other_call(world: World) -> None:
    """A reject of the other's call on another device leaves our own dialling alone."""
    ann, bob = world.device(1), stubborn(world, 2)
    ann.call(2)
    bobs = bob.call(1)
    world.run(1)
    ann.receive(Reject(session_id=bobs.session_id), 1)
    bob.hang_up(bobs)
    world.run(1)
    assert ann.states == [SessionState.PENDING]


def test_cancelling_while_the_others_call_waits(world: World) -> None:
    """Who cancels own dialling hears the other ring, if the other really still dials."""
    ann, bob = world.device(1), stubborn(world, 2)
    anns = ann.call(2)
    bob.call(1)
    world.run(1)
    ann.hang_up(anns)
    world.run(5)
    assert [call.caller_id for call in ann.rings] == [2]


def test_signals_lost_for_ever(world: World) -> None:
    """When nothing arrives any more both give up, and nothing is left."""
    for lost in ({(1, 2)}, {(2, 1)}, {(1, 2), (2, 1)}):
        ann, bob = world.device(1), world.device(2)
        world.lost |= lost
        ann.call(2)
        bob.call(1)
        world.run(200)
        assert ann.calls == bob.calls == []
        assert world.idle
        world.lost.clear()
        world.devices.clear()


def test_group_calls_are_not_glare(world: World) -> None:
    """A group call rings although we dial its caller: other people are in it."""
    ann, bob = world.device(1), world.device(2)
    bob.call(1)
    ann.call(2, 3)
    world.run(1)
    assert [call.caller_id for call in bob.rings] == [1]
    assert [call.caller_id for call in ann.rings] == [2]
