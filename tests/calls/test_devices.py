"""Several devices of one user, stragglers, and what the book remembers of ended calls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringmesh.calls.book import CallBook
from ringmesh.calls.config import CallConfig
from ringmesh.calls.effects import CallEvent, Ignored, IgnoredReason, Notify, Send
from ringmesh.calls.ended import MAX_ENDED
from ringmesh.calls.machine import Elsewhere
from ringmesh.calls.transitions import SessionState
from ringmesh.signals import (
    Accept,
    Call,
    CallType,
    HangUp,
    IceRestart,
    IceRestartRequest,
    Reject,
    Signal,
)
from tests.calls.simulation import Faults, World, connect


@pytest.fixture
def world() -> World:
    return World()


def offer(session_id: str = "s", **fields: object) -> Call:
    """A call of user 1 to user 2."""
    values = {"caller_id": 1, "opponents_ids": (2,), "sdp": "offer", **fields}
    return Call(session_id=session_id, **values)  # type: ignore[arg-type]


def reason(book: CallBook, signal: Signal, sender_id: int, now: float = 0.0) -> IgnoredReason:
    """Why the book ignores a signal; fails when it does not."""
    [result] = book.receive(signal, sender_id, now)
    [ignored] = result.effects
    assert isinstance(ignored, Ignored)
    return ignored.reason


def rings(book: CallBook, signal: Signal, sender_id: int, now: float = 0.0) -> bool:
    """Whether a signal makes the book ring."""
    effects = [e for result in book.receive(signal, sender_id, now) for e in result.effects]
    return any(isinstance(e, Notify) and e.event is CallEvent.RECEIVE_NEW_SESSION for e in effects)


class TestDevices:
    """All devices of a user ring; one takes the call."""

    def test_answered_elsewhere(self, world: World) -> None:
        """The other device stops silently, says why, and is not disturbed by stragglers."""
        ann, phone, desk = world.device(1), world.device(2), world.device(2)
        ann.call(2)
        world.run(1)
        phone.accept()
        world.run(30)
        assert desk.history == ["receive_new_session 1", "session_closed answered-elsewhere"]
        assert desk.sent == []
        assert ann.states == phone.states == [SessionState.CONNECTED]
        assert "iceCandidates from 1: ended-session" in desk.ignored
        assert desk.rings[0].elsewhere == Elsewhere("python", phone.name)

    def test_rejected_elsewhere(self, world: World) -> None:
        """A reject on one device ends the ringing on the other, with nothing sent twice."""
        ann, phone, desk = world.device(1), world.device(2), world.device(2)
        ann.call(2)
        world.run(1)
        phone.reject()
        world.run(1)
        assert desk.history[1:] == ["session_closed rejected-elsewhere"]
        assert world.wire == ["1 call 2", "2 reject 1"]
        assert ann.history[-1] == "session_closed remote-rejected"

    def test_second_device_of_the_caller(self, world: World) -> None:
        """Answers reach all devices of the caller; only the one that calls takes them."""
        ann, tablet, bob = world.device(1), world.device(1), world.device(2)
        connect(ann, bob)
        assert tablet.history == []
        assert set(tablet.ignored) == {
            "accept from 2: unknown-session",
            "iceCandidates from 2: unknown-session",
        }

    def test_giving_way_before_the_answer(self, world: World) -> None:
        """A device that has accepted and has not said so yet gives way to one that has."""
        ann, phone, desk = world.device(1, foreign=True), world.device(2), world.device(2)
        ann.call(2)
        world.run(1)
        phone.accept()
        world.faults = Faults(engine_delay=(3.0, 3.0))
        desk.accept()
        world.faults = Faults()
        world.run(30)
        assert desk.history[-1] == "session_closed answered-elsewhere"
        assert desk.sent == []
        assert desk.open_peers == 0
        assert ann.states == phone.states == [SessionState.CONNECTED]

    def test_both_devices_accept(self, world: World) -> None:
        """The first accept wins; the caller turns the other device away at once."""
        ann, phone, desk = world.device(1), world.device(2), world.device(2)
        ann.call(2)
        world.run(1)
        phone.accept()
        desk.accept()
        world.run(0.1)
        assert ann.states == phone.states == [SessionState.CONNECTED]
        assert desk.history[-1] == "session_closed answered-elsewhere"
        assert desk.calls == []
        assert desk.rings[0].elsewhere == Elsewhere("python", "")

    def test_both_devices_accept_a_foreign_call(self, world: World) -> None:
        """A caller who does not turn devices away: the second finds no path, and does no harm."""
        ann, phone, desk = world.device(1, foreign=True), world.device(2), world.device(2)
        ann.call(2)
        world.run(1)
        phone.accept()
        desk.accept()
        world.run(100)
        assert ann.states == phone.states == [SessionState.CONNECTED]
        assert desk.calls == []

    def test_a_device_that_was_turned_away_ends_nothing(self, world: World) -> None:
        """What it says later is not taken for the winner's word."""
        ann, phone, desk = world.device(1), world.device(2), world.device(2, foreign=True)
        call = ann.call(2)
        world.run(1)
        phone.accept()
        desk.accept()
        world.run(0.03)
        for signal in (HangUp(session_id=call.session_id), Reject(session_id=call.session_id)):
            ann.receive(signal, 2, desk.name)
        assert ann.states == [SessionState.CONNECTED]
        assert ann.ignored[-2:] == ["hangUp from 2: other-device", "reject from 2: other-device"]
        ann.receive(HangUp(session_id=call.session_id), 2, phone.name)
        assert ann.calls == []

    def test_accept_and_reject_at_once(self, world: World) -> None:
        """Accept here, reject there: whichever reaches the caller first holds for all."""
        ann, phone, desk = world.device(1), world.device(2), world.device(2)
        ann.call(2)
        world.run(1)
        phone.reject()
        desk.accept()
        world.run(1)
        assert ann.calls == phone.calls == desk.calls == []
        assert desk.history[-1] == "session_closed remote-hung-up"

    def test_without_carbons(self, world: World) -> None:
        """A device that hears nothing of the accept stops with the caller's hangUp."""
        ann, phone, desk = world.device(1), world.device(2), world.device(2)
        ann.call(2)
        world.run(1)
        world.lost.add((2, 2))
        phone.accept()
        world.run(10)
        ann.hang_up(ann.calls[0])
        world.run(1)
        assert desk.history[-1] == "session_closed remote-hung-up"

    def test_carbon_before_the_call(self) -> None:
        """A call that was taken elsewhere before we heard of it does not ring."""
        for signal in (Accept(session_id="s", sdp="answer"), Reject(session_id="s")):
            book = CallBook(2)
            assert reason(book, signal, 2) is IgnoredReason.OWN_SIGNAL
            assert reason(book, offer(), 1, 1.0) is IgnoredReason.ENDED_SESSION

    def test_own_call(self) -> None:
        """A copy of a call that another device of ours makes does not ring."""
        book = CallBook(1)
        assert reason(book, offer(), 1) is IgnoredReason.OWN_SIGNAL
        assert reason(book, offer(opponents_ids=(1, 2)), 2) is IgnoredReason.INVALID_CALL


class TestFirstCall:
    """Which `call` signals ring."""

    @pytest.mark.parametrize(
        ("signal", "sender_id"),
        [
            (offer(caller_id=None), 1),
            (offer(opponents_ids=()), 1),
            (offer(opponents_ids=(3,)), 1),
            (offer(opponents_ids=(1, 2)), 1),
            (offer(), 3),
            (offer(session_id=""), 1),
        ],
        ids=["no caller", "no opponents", "not for us", "caller calls itself", "forged", "no id"],
    )
    def test_impossible_claims(self, signal: Call, sender_id: int) -> None:
        """A call must name us, its sender and a caller who is not among the called."""
        book = CallBook(2)
        assert reason(book, signal, sender_id) is IgnoredReason.INVALID_CALL
        assert book.calls == {}

    def test_too_many_people(self) -> None:
        """A call of more than four does not ring."""
        book = CallBook(2)
        signal = offer(opponents_ids=(2, 3, 4, 5))
        assert reason(book, signal, 1) is IgnoredReason.TOO_MANY_PEOPLE

    def test_doubles_and_missing_type(self) -> None:
        """Doubled opponents count once; a call without a type is a video call."""
        book = CallBook(2)
        assert rings(book, offer(opponents_ids=(2, 3, 2, 3, 2)), 1)
        [call] = book.calls.values()
        assert (call.opponents_ids, call.call_type) == ((2, 3), CallType.VIDEO_CALL)

    def test_one_ring_per_session(self) -> None:
        """Repeats do not ring again."""
        book = CallBook(2)
        assert rings(book, offer(), 1)
        assert not rings(book, offer(), 1, 5.0)
        assert len(book.calls) == 1

    @pytest.mark.parametrize(
        "signal", [Accept(session_id="s", sdp="x"), Reject(session_id="s"), HangUp(session_id="s")]
    )
    def test_unknown_session(self, signal: Signal) -> None:
        """Other signals of unknown sessions do nothing."""
        assert reason(CallBook(2), signal, 1) is IgnoredReason.UNKNOWN_SESSION


class TestStragglers:
    """Signals of calls that have ended."""

    def test_late_repeats_do_not_ring(self, world: World) -> None:
        """A call that crosses our reject is not a new call."""
        world.device(1).call(2)
        bob = world.device(2)
        world.run(6)
        repeat = world.devices[0].sent[0][1]
        bob.reject()
        for _ in range(3):
            bob.receive(repeat, 1)
            world.run(1)
        assert len(bob.rings) == 1
        assert world.count("2 reject 1") == 1

    def test_lost_reject_is_repeated(self, world: World) -> None:
        """A caller who goes on dialling after our reject did not hear it."""
        ann, bob = world.device(1), world.device(2)
        ann.call(2)
        world.run(1)
        world.lost.add((2, 1))
        bob.reject()
        world.run(1)
        world.lost.clear()
        world.run(12)
        assert ann.history == ["call_rejected_by_user 2", "session_closed remote-rejected"]
        assert world.count("2 reject 1") == 2

    def test_lost_busy_is_repeated(self, world: World) -> None:
        """The same holds for a call refused as busy."""
        book = CallBook(2)
        for number in range(CallConfig().max_calls):
            assert rings(book, offer(f"s{number}"), 1)
        [busy] = book.receive(offer("one more"), 1, 1.0)
        assert isinstance(busy.effects[0], Send)
        assert reason(book, offer("one more"), 1, 5.0) is IgnoredReason.ENDED_SESSION
        [again] = book.receive(offer("one more"), 1, 7.0)
        assert again.effects == busy.effects

    def test_lost_hang_up_is_repeated(self, world: World) -> None:
        """Who accepts a call that was cancelled hears so at once."""
        ann, bob = world.device(1), world.device(2)
        call = ann.call(2)
        world.run(1)
        world.lost.add((1, 2))
        ann.hang_up(call)
        world.run(1)
        world.lost.clear()
        bob.accept()
        world.run(1)
        assert bob.history[-1] == "session_closed remote-hung-up"

    @pytest.mark.parametrize(
        "revival", [IceRestart(session_id="", sdp="offer"), IceRestartRequest(session_id="")]
    )
    def test_restart_of_an_ended_call(self, world: World, revival: Signal) -> None:
        """Who tries to revive a call that is over for us hears so."""
        ann, bob = world.device(1), world.device(2)
        call, end = connect(ann, bob)
        world.lost.add((2, 1))
        bob.hang_up(end)
        world.run(1)
        world.lost.clear()
        bob.receive(replace(revival, session_id=call.session_id), 1)
        world.run(1)
        assert ann.history[-1] == "session_closed remote-hung-up"

    def test_device_that_took_no_part_keeps_silent(self, world: World) -> None:
        """A device whose ringing ended elsewhere never hangs up for the user."""
        ann, phone, desk = world.device(1), world.device(2), world.device(2)
        connect(ann, phone)
        repeat = ann.sent[0][1]
        world.run(20)
        desk.receive(repeat, 1)
        desk.receive(Accept(session_id=repeat.session_id, sdp="x"), 1)
        assert desk.sent == []

    def test_strangers_get_no_answer(self, world: World) -> None:
        """Only members of the ended call hear our last word."""
        ann, bob = world.device(1), world.device(2)
        call, _ = connect(ann, bob)
        ann.hang_up(call)
        world.wire.clear()
        ann.receive(Accept(session_id=call.session_id, sdp="x"), 3)
        assert world.wire == []

    def test_hang_up_that_overtakes_its_call(self) -> None:
        """A call that arrives after its own hangUp does not ring; a stranger cannot stop it."""
        book = CallBook(2)
        book.receive(HangUp(session_id="s"), 1, 0.0)
        book.receive(HangUp(session_id="t"), 3, 0.0)
        assert reason(book, offer("s"), 1, 1.0) is IgnoredReason.ENDED_SESSION
        assert rings(book, offer("t"), 1, 1.0)

    def test_a_stranger_cannot_erase_the_memory(self, world: World) -> None:
        """Foreign hangUps for an ended session leave what is remembered."""
        book = CallBook(2)
        rings(book, offer("s"), 1)
        book.calls["s"].reject(1.0)
        book.receive(HangUp(session_id="s"), 3, 2.0)
        assert reason(book, offer("s"), 1, 3.0) is IgnoredReason.ENDED_SESSION

    def test_memory_is_bounded(self) -> None:
        """Twice the no-answer timeout, and a fixed number."""
        book = CallBook(2)
        book.receive(HangUp(session_id="s"), 1, 0.0)
        assert not rings(book, offer("s"), 1, 119.0)
        assert rings(book, offer("s"), 1, 121.0)
        for number in range(MAX_ENDED + 1):
            book.receive(HangUp(session_id=f"n{number}"), 1, 200.0)
        assert rings(book, offer("n0"), 1, 200.0)
        assert not rings(book, offer("n1"), 1, 200.0)
        assert book.deadline() is not None
        assert book.tick(400.0)
        assert book.deadline() is None
