"""Calls of three and four people: every pair has a connection of its own."""

from __future__ import annotations

import itertools

import pytest

from ringmesh.calls.transitions import EndReason, LegState, SessionState
from tests.calls.simulation import Device, World, connect


@pytest.fixture
def world() -> World:
    return World()


def people(world: World, *ids: int) -> list[Device]:
    return [world.device(user_id) for user_id in ids]


def told(device: Device, user_id: int) -> list[str]:
    """What a device heard about a user."""
    return [line.rsplit(" ", 1)[0] for line in device.history if line.endswith(f" {user_id}")]


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_four_people_in_any_order(world: World, order: tuple[int, ...]) -> None:
    """Whoever accepts first: six pairs connect, and the larger id offers within the callees."""
    devices = people(world, 205, 206, 207, 204)
    devices[0].call(206, 207, 204)
    world.run(1)
    for index in order:
        devices[index].accept()
        world.run(3)
    world.run(6)
    for device in devices:
        [call] = device.calls
        legs = {user_id: call.leg_state(user_id) for user_id in call.members_ids}
        assert set(legs.values()) == {LegState.CONNECTED}
        assert len(legs) == 3
    offers = {line for line in world.wire if " call " in line}
    assert offers == {
        "205 call 206",
        "205 call 207",
        "205 call 204",
        "207 call 206",
        "207 call 204",
        "206 call 204",
    }
    world.run(200)
    assert world.idle


def test_stored_offers_are_answered_on_accept(world: World) -> None:
    """Who accepts last answers all at once, without waiting for repeats."""
    ann, bob, cid = people(world, 1, 2, 3)
    ann.call(2, 3)
    world.run(1)
    cid.accept()
    world.run(1)
    bob.accept()
    world.run(0.5)
    assert bob.states == [SessionState.CONNECTED]
    assert world.count("3 call 2") == 1
    assert {"2 accept 1", "2 accept 3"} <= set(world.wire)


def test_member_hangs_up(world: World) -> None:
    """A member who leaves is dropped by all; the others go on."""
    ann, bob, cid = people(world, 1, 2, 3)
    _, bobs, _ = connect(ann, bob, cid)
    bob.hang_up(bobs)
    world.run(1)
    for device, other in ((ann, 3), (cid, 1)):
        assert told(device, 2)[-2:] == ["receive_hung_up_from_user", "connection_closed_for_user"]
        assert device.calls[0].leg_state(other) is LegState.CONNECTED
    cid.hang_up(cid.calls[0])
    world.run(1)
    assert ann.history[-1] == "session_closed remote-hung-up"
    assert world.idle


def test_initiator_hangs_up(world: World) -> None:
    """When the caller leaves, the call is over for everybody."""
    ann, bob, cid = people(world, 1, 2, 3)
    call, *_ = connect(ann, bob, cid)
    ann.hang_up(call)
    world.run(1)
    for device in (bob, cid):
        assert "receive_hung_up_from_user 1" in device.history
        assert device.history[-1] == "session_closed remote-hung-up"
        assert device.open_peers == 0
    assert world.idle


def test_initiator_hangs_up_after_its_leg_was_lost(world: World) -> None:
    """The caller's hangUp ends the call even where only the mesh was left."""
    ann, bob, cid = people(world, 1, 2, 3)
    call, bobs, _ = connect(ann, bob, cid)
    bob.perform(bobs, bobs.peer_failed(1, "gone", world.now))
    assert bobs.leg_state(3) is LegState.CONNECTED
    ann.hang_up(call)
    world.run(1)
    assert bob.calls == cid.calls == []


def test_ringing_stops_when_the_initiator_cancels(world: World) -> None:
    """A callee that has a mesh offer stored stops ringing with the caller's hangUp too."""
    ann, bob, cid = people(world, 1, 2, 3)
    call = ann.call(2, 3)
    world.run(1)
    cid.accept()
    world.run(1)
    ann.hang_up(call)
    world.run(1)
    assert bob.history == [
        "receive_new_session 1",
        "receive_hung_up_from_user 1",
        "session_closed remote-hung-up",
    ]
    assert world.idle


def test_member_rejects(world: World) -> None:
    """A reject goes to everybody; they drop that member only."""
    ann, bob, cid = people(world, 1, 2, 3)
    ann.call(2, 3)
    world.run(1)
    cid.accept()
    world.run(1)
    bob.reject()
    world.run(1)
    assert told(ann, 2) == ["call_rejected_by_user"]
    assert told(cid, 2) == ["call_rejected_by_user"]
    assert ann.states == cid.states == [SessionState.CONNECTED]
    world.run(100)
    assert world.idle
    assert world.count("3 call 2") == 1


def test_reject_before_the_others_accept(world: World) -> None:
    """A member who declined is not offered to by those who accept later."""
    ann, bob, cid = people(world, 1, 2, 3)
    ann.call(2, 3)
    world.run(1)
    bob.reject()
    world.run(1)
    cid.accept()
    world.run(100)
    assert world.count("3 call 2") == 0
    assert cid.calls[0].leg_state(2) is LegState.CLOSED


def test_one_does_not_answer(world: World) -> None:
    """Caller and mesh offerer give up on a silent member, each after its own 60 s."""
    ann, bob, cid = people(world, 1, 2, 3)
    ann.call(2, 3)
    world.run(10)
    cid.accept()
    world.run(100)
    assert told(ann, 2) == told(cid, 2) == ["user_no_answer"]
    assert ann.states == cid.states == [SessionState.CONNECTED]
    assert bob.history[-1] == "session_closed remote-hung-up"
    assert world.count("1 hangUp 2") == world.count("3 hangUp 2") == 1
    assert world.idle


@pytest.mark.parametrize(("rang", "waits"), [(5, 55), (50, 30)])
def test_waiting_for_a_larger_id(world: World, rang: int, waits: int) -> None:
    """Who must be offered to waits 60 s less its own ringing, which counts at most half."""
    ann, bob = people(world, 1, 2)
    ann.call(2, 3)
    world.run(rang)
    bob.accept()
    bobs = bob.calls[0]
    assert bobs.leg_state(3) is LegState.AWAITING_OFFER
    world.run(waits - 1)
    assert bobs.leg_state(3) is LegState.AWAITING_OFFER
    world.run(2)
    assert told(bob, 3) == ["user_no_answer"]
    assert world.count("2 hangUp 3") == 1
    assert bob.states == [SessionState.CONNECTED]


def test_nobody_answers(world: World) -> None:
    """The call ends when the last opponent has not answered."""
    ann, *_ = people(world, 1, 2, 3, 4)
    ann.call(2, 3, 4)
    world.run(61)
    assert ann.history == [
        "user_no_answer 2",
        "user_no_answer 3",
        "user_no_answer 4",
        "session_closed no-answer",
    ]
    assert world.idle


def test_mesh_offer_before_the_callers(world: World) -> None:
    """A member who comes online late may hear a mesh offer first: it rings, once, and connects."""
    ann, cid = people(world, 1, 3)
    ann.call(2, 3)
    world.run(4)
    cid.accept()
    world.run(3)
    bob = world.device(2)
    world.lost.add((1, 2))
    world.run(3)
    assert bob.history == ["receive_new_session 3"]
    assert bob.rings[0].caller_id == 1
    bob.accept()
    assert bob.rings[0].leg_state(1) is LegState.AWAITING_OFFER
    world.lost.clear()
    world.run(6)
    legs = [bob.rings[0].leg_state(user_id) for user_id in (1, 3)]
    assert legs == [LegState.CONNECTED, LegState.CONNECTED]
    assert len(bob.rings) == 1


def test_lost_hang_up_of_a_member(world: World) -> None:
    """Somebody who missed a hangUp and goes on dialling hears it again."""
    ann, bob, cid = people(world, 1, 2, 3)
    ann.call(2, 3)
    world.run(1)
    world.lost.add((2, 3))
    bobs = bob.accept()
    world.run(1)
    cid.accept()
    bob.hang_up(bobs)
    world.run(1)
    world.lost.clear()
    world.run(12)
    assert told(cid, 2)[-1] == "receive_hung_up_from_user"
    assert cid.calls[0].leg_state(1) is LegState.CONNECTED


def test_member_who_answers_too_late(world: World) -> None:
    """Who missed our hangUp and accepts, or dials within the mesh, hears it again."""
    ann, bob = people(world, 1, 2)
    ann.call(2, 3)
    world.run(1)
    bob.accept()
    world.run(50)
    cid = world.device(3)
    world.run(8)
    assert cid.history == ["receive_new_session 1"]
    world.lost |= {(1, 3), (2, 3)}
    world.run(2)
    assert told(ann, 3) == told(bob, 3) == ["user_no_answer"]
    world.lost = {(1, 3)}
    cid.accept()
    world.run(7)
    assert told(cid, 2) == ["receive_hung_up_from_user"]
    world.lost.clear()
    ann.receive(cid.sent[0][1], 3)
    world.run(1)
    assert world.count("1 hangUp 3") == 3
    assert cid.calls == []
    assert ann.states == bob.states == [SessionState.CONNECTED]


def test_broken_member_does_not_disturb(world: World) -> None:
    """One leg that fails leaves the others alone."""
    ann, bob, cid = people(world, 1, 2, 3)
    _, bobs, _ = connect(ann, bob, cid)
    bob.perform(bobs, bobs.peer_failed(3, "out of memory", world.now))
    world.run(1)
    assert told(bob, 3)[-2:] == ["connection_failed_with_user", "connection_closed_for_user"]
    assert told(cid, 2)[-2:] == ["receive_hung_up_from_user", "connection_closed_for_user"]
    assert [device.states for device in (ann, bob, cid)] == [[SessionState.CONNECTED]] * 3


def test_restart_inside_the_mesh(world: World) -> None:
    """Between two callees the one with the larger id may restart ICE."""
    ann, bob, cid = people(world, 1, 2, 3)
    _, bobs, cids = connect(ann, bob, cid)
    assert (bobs.can_restart_ice(3), cids.can_restart_ice(2)) == (False, True)
    cid.restart_ice(cids, 2)
    world.run(1)
    assert {"3 iceRestart 2", "2 iceRestartAccept 3"} <= set(world.wire)


def test_end_reason_of_a_group(world: World) -> None:
    """The reason of the last leg is the reason of the call."""
    ann, bob, cid = people(world, 1, 2, 3)
    call = ann.call(2, 3)
    world.run(1)
    bob.reject()
    world.run(60)
    assert call.end_reason is EndReason.NO_ANSWER
    assert cid.calls == []
