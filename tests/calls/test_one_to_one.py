"""Calls between two people, told as what each application hears."""

from __future__ import annotations

import pytest

from ringmesh.calls.config import CallConfig
from ringmesh.calls.transitions import EndReason, LegState, SessionState
from ringmesh.errors import ConfigurationError, InvalidStateError
from ringmesh.signals import Accept, Call, CallType, HangUp, IceCandidates
from tests.calls.simulation import Device, Faults, World, connect


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def ann(world: World) -> Device:
    return world.device(1)


@pytest.fixture
def bob(world: World) -> Device:
    return world.device(2)


def test_call_accept_hang_up(world: World, ann: Device, bob: Device) -> None:
    """A whole call: what both hear, in order, and nothing else."""
    call, end = connect(ann, bob)
    assert (call.state, end.state) == (SessionState.CONNECTED, SessionState.CONNECTED)
    world.run(3600)
    ann.hang_up(call)
    world.run(1)
    assert ann.history == [
        "call_accepted_by_user 2",
        "connecting_to_user 2",
        "connected_to_user 2",
        "connection_closed_for_user 2",
        "session_closed hung-up",
    ]
    assert bob.history == [
        "receive_new_session 1",
        "connecting_to_user 1",
        "connected_to_user 1",
        "receive_hung_up_from_user 1",
        "connection_closed_for_user 1",
        "session_closed remote-hung-up",
    ]
    assert world.wire == [
        "1 call 2",
        "2 accept 1",
        "2 iceCandidates 1",
        "2 iceCandidates 1",
        "1 iceCandidates 2",
        "1 hangUp 2",
    ]
    assert world.idle
    assert ann.open_peers == bob.open_peers == 0


def test_states_on_the_way(world: World, ann: Device, bob: Device) -> None:
    """NEW, PENDING, CONNECTED, CLOSED for the caller; a ringing call is NEW."""
    call = ann.create(2)
    assert (call.state, call.is_outgoing, call.is_ringing) == (SessionState.NEW, True, False)
    ann.take(ann.book.dial(call, world.now))
    world.run(1)
    assert (call.state, call.leg_state(2)) == (SessionState.PENDING, LegState.DIALLING)
    ringing = bob.rings[0]
    assert (ringing.state, ringing.is_ringing) == (SessionState.NEW, True)
    assert ringing.leg_state(1) is LegState.RINGING
    bob.accept()
    assert bob.states == [SessionState.CONNECTING]
    world.run(1)
    assert ann.states == bob.states == [SessionState.CONNECTED]
    bob.hang_up(ringing)
    world.run(1)
    assert call.state is SessionState.CLOSED
    assert call.end_reason is EndReason.REMOTE_HUNG_UP


def test_what_the_callee_knows(world: World, ann: Device, bob: Device) -> None:
    """An incoming call carries the caller's facts."""
    call = ann.call(2, call_type=CallType.AUDIO_CALL)
    world.run(1)
    ringing = bob.rings[0]
    assert ringing.session_id == call.session_id
    assert ringing.call_type is CallType.AUDIO_CALL
    assert (ringing.caller_id, ringing.opponents_ids) == (1, (2,))
    assert ringing.members_ids == (1,)


def test_dialling_repeats_the_current_description(world: World, ann: Device, bob: Device) -> None:
    """12 calls in 60 s, the repeats with the candidates gathered so far, and one ring."""
    ann.call(2)
    world.run(59.9)
    sent = ann.sent_calls()
    assert len(sent) == 12
    assert sent[0] == "offer 2"
    assert set(sent[1:]) == {"offer 2 + 2"}
    assert bob.history == ["receive_new_session 1"]


def test_no_answer(world: World, ann: Device, bob: Device) -> None:
    """After 60 s the caller gives up and says so; the callee stops ringing at once."""
    ann.call(2)
    world.run(60.5)
    assert ann.history == ["user_no_answer 2", "session_closed no-answer"]
    assert world.wire == ["1 call 2"] * 12 + ["1 hangUp 2"]
    assert bob.history == [
        "receive_new_session 1",
        "receive_hung_up_from_user 1",
        "session_closed remote-hung-up",
    ]
    assert world.idle


def test_ringing_ends_by_itself(world: World, ann: Device, bob: Device) -> None:
    """A callee whose caller vanished rings for three repeats that do not come, and no longer."""
    ann.call(2)
    world.run(7)
    world.lost.add((1, 2))
    world.run(14.9)
    assert bob.rings[0].is_ringing
    world.run(0.2)
    assert bob.history == ["receive_new_session 1", "session_closed caller-lost"]
    assert not any(line.startswith("2 ") for line in world.wire)


def test_nobody_there(world: World, ann: Device) -> None:
    """Dialling a user without devices ends with no answer."""
    ann.call(2)
    world.run(61)
    assert ann.history == ["user_no_answer 2", "session_closed no-answer"]


def test_late_callee_still_rings(world: World, ann: Device) -> None:
    """Somebody who comes online while being dialled rings with the next repeat."""
    ann.call(2)
    world.run(21)
    bob = world.device(2)
    world.run(5)
    bob.accept()
    world.run(1)
    assert ann.states == bob.states == [SessionState.CONNECTED]


def test_reject(world: World, ann: Device, bob: Device) -> None:
    """Rejecting ends the call on both sides and stops the dialling."""
    ann.call(2)
    world.run(1)
    bob.reject(reason="later")
    world.run(100)
    assert ann.history == ["call_rejected_by_user 2", "session_closed remote-rejected"]
    assert bob.history == ["receive_new_session 1", "session_closed rejected"]
    assert world.wire == ["1 call 2", "2 reject 1"]


def test_busy(world: World) -> None:
    """Above `max_calls` an incoming call is rejected as busy and does not ring."""
    ann, bob, cid = world.device(1), world.device(2, CallConfig(max_calls=1)), world.device(3)
    connect(ann, bob)
    cid.call(2)
    world.run(1)
    assert cid.history == ["call_rejected_by_user 2", "session_closed remote-rejected"]
    [(_, reject)] = [(to, s) for to, s in bob.sent if to == 3]
    assert reject.user_info == {"busy": "true"}
    assert len(bob.rings) == 1
    with pytest.raises(InvalidStateError, match="1 calls are running"):
        bob.call(3)


def test_cancel(world: World, ann: Device, bob: Device) -> None:
    """Hanging up while dialling stops the ringing."""
    call = ann.call(2)
    world.run(1)
    ann.hang_up(call)
    world.run(1)
    assert ann.history == ["session_closed hung-up"]
    assert bob.history[1:] == ["receive_hung_up_from_user 1", "session_closed remote-hung-up"]


def test_hang_up_of_a_ringing_call_declines_it(world: World, ann: Device, bob: Device) -> None:
    """Hanging up without having accepted is a reject, so that our other devices stop too."""
    ann.call(2)
    world.run(1)
    bob.hang_up(bob.rings[0])
    assert world.wire[-1] == "2 reject 1"


def test_never_dialled(world: World, ann: Device, bob: Device) -> None:
    """A call that is hung up before it was dialled says nothing to anybody."""
    call = ann.create(2)
    ann.hang_up(call)
    assert ann.history == ["session_closed hung-up"]
    assert world.wire == []
    with pytest.raises(InvalidStateError, match="ended: hung-up"):
        ann.book.dial(call, world.now)


def test_misuse_is_an_error(world: World, ann: Device, bob: Device) -> None:
    """Verbs in the wrong state raise InvalidStateError and change nothing."""
    call, end = connect(ann, bob)
    for verb in (call.accept, call.reject, end.accept, end.reject, call.dial, end.dial):
        with pytest.raises(InvalidStateError):
            verb(world.now)
    with pytest.raises(InvalidStateError):
        ann.book.dial(call, world.now)
    with pytest.raises(ConfigurationError):
        call.leg_state(3)
    assert call.state is end.state is SessionState.CONNECTED
    ann.hang_up(call)
    assert call.hang_up(world.now) == []
    with pytest.raises(InvalidStateError, match="hung-up"):
        call.accept(world.now)


def test_every_signal_carries_the_base_fields(world: World, ann: Device, bob: Device) -> None:
    """Call type, caller and opponents are in each signal of both sides."""
    call, end = connect(ann, bob)
    ann.restart_ice(call, 2)
    world.run(1)
    bob.hang_up(end)
    world.run(1)
    other = ann.call(2)
    world.run(1)
    bob.reject()
    world.run(1)
    kinds = set()
    for device in (ann, bob):
        for _, signal in device.sent:
            kinds.add(type(signal).__name__)
            assert signal.session_id in (call.session_id, other.session_id)
            assert (signal.call_type, signal.caller_id) == (CallType.VIDEO_CALL, 1)
            assert (signal.opponents_ids, signal.platform) == ((2,), "python")
    assert kinds == {
        "Call",
        "Accept",
        "Reject",
        "HangUp",
        "IceCandidates",
        "IceRestart",
        "IceRestartAccept",
    }


def test_user_info_travels(world: World, ann: Device, bob: Device) -> None:
    """The application's data goes with call (and its repeats), accept and hangUp."""
    call = ann.create(2)
    ann.take(ann.book.dial(call, world.now, {"name": "Ann"}))
    world.run(6)
    end = bob.rings[0]
    bob.perform(end, end.accept(world.now, {"name": "Bob"}))
    world.run(1)
    bob.perform(end, end.hang_up(world.now, {"why": "tea"}))
    sent = [(type(s), s.user_info) for _, s in ann.sent + bob.sent]
    assert sent == [
        (Call, {"name": "Ann"}),
        (Call, {"name": "Ann"}),
        (IceCandidates, {}),
        (Accept, {"name": "Bob"}),
        (IceCandidates, {}),
        (IceCandidates, {}),
        (HangUp, {"why": "tea"}),
    ]


def test_slow_engine(world: World, ann: Device, bob: Device) -> None:
    """A path that the engine finds before it says that the answer is set counts at once."""
    world.faults = Faults(engine_delay=(0.5, 0.5))
    connect(ann, bob)
    world.run(3)
    assert ann.states == bob.states == [SessionState.CONNECTED]
    assert ann.history[-2:] == ["connecting_to_user 2", "connected_to_user 2"]


def test_hang_up_while_the_offer_is_made(world: World, ann: Device, bob: Device) -> None:
    """A call that ends before its first offer leaves nothing behind."""
    world.faults = Faults(engine_delay=(1, 1))
    call = ann.call(2)
    world.run(0.5)
    ann.hang_up(call)
    world.run(10)
    assert (bob.history, ann.open_peers, world.idle) == ([], 0, True)


def test_settings_change_the_times(world: World) -> None:
    """Dialling interval and no-answer timeout come from the configuration."""
    ann = world.device(1, CallConfig(no_answer_timeout=10, dialing_time_interval=3))
    ann.call(2)
    world.run(11)
    assert world.wire == ["1 call 2"] * 4 + ["1 hangUp 2"]


@pytest.mark.parametrize(
    "setting",
    [
        {"dialing_time_interval": 2.9},
        {"dialing_time_interval": float("nan")},
        {"no_answer_timeout": 0},
        {"no_answer_timeout": float("inf")},
        {"disconnect_time_interval": -1},
        {"connect_timeout": float("nan")},
        {"max_calls": 0},
    ],
)
def test_settings_out_of_range(setting: dict[str, float]) -> None:
    """Impossible settings are refused by name."""
    [name] = setting
    with pytest.raises(ConfigurationError, match=name):
        CallConfig(**setting)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("opponents", "text"),
    [
        ((), "empty"),
        ((2, 3, 4, 5), "at most 4 people"),
        ((1, 2), "your own id 1"),
        ((2, 2), "different"),
        ((0,), "positive"),
    ],
)
def test_wrong_opponents(ann: Device, opponents: tuple[int, ...], text: str) -> None:
    """Nobody, a fifth person, ourselves or doubles cannot be called."""
    with pytest.raises(ConfigurationError, match=text):
        ann.create(*opponents)


def test_session_ids_are_used_once(world: World, ann: Device, bob: Device) -> None:
    """A session id that is in use cannot name another call."""
    call = ann.book.create_call("one", CallType.AUDIO_CALL, [2])
    twin = ann.book.create_call("one", CallType.AUDIO_CALL, [3])
    ann.take(ann.book.dial(call, world.now))
    with pytest.raises(ConfigurationError, match="session_id"):
        ann.book.dial(twin, world.now)
    for session_id in ("one", ""):
        with pytest.raises(ConfigurationError, match="session_id"):
            ann.book.create_call(session_id, CallType.AUDIO_CALL, [2])
