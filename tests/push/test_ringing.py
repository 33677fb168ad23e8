"""Who is being called, in simulated time."""

from __future__ import annotations

from ringmesh.server.push.contract import Channel
from ringmesh.server.push.ringer import end_message, start_message, to_cancel
from ringmesh.server.push.ringing import (
    MAX_RINGS_OF_CALLER,
    MAX_SIGNAL,
    REMEMBERED_SECONDS,
    SILENCE_SECONDS,
    Decision,
    End,
    EndRing,
    RingingCall,
    Rings,
    StartRing,
)
from tests.push.values import subscription

SIGNAL = b"<message/>"
KEY = (1, "session", 1, 2)


def call(callee: int = 2, session: str = "session", caller: int = 1) -> RingingCall:
    """A video call."""
    return RingingCall(
        application_id=1, session_id=session, caller_id=caller, callee_id=callee, call_type=1,
        opponents_ids=(2, 3),
    )  # fmt: skip


def rung(rings: Rings, now: float, *, reachable: bool, callee: int = 2) -> list[Decision]:
    """The caller sends ``call``."""
    return rings.called(call(callee), SIGNAL, reachable, now)


def test_unreachable() -> None:
    """The first call rings by push, its repeats do not; the end is told once."""
    rings = Rings(60)
    assert rung(rings, 0, reachable=False) == [StartRing(call(), SIGNAL)]
    assert rung(rings, 5, reachable=False) == []
    assert rings.ended(KEY, End.CANCELLED, 7) == [EndRing(call(), End.CANCELLED, True, 7)]
    assert rings.ended(KEY, End.CANCELLED, 7) == []


def test_reachable() -> None:
    """Nothing is pushed to somebody whose device rings; the missed call is noticed all the same."""
    rings = Rings(60)
    assert rung(rings, 0, reachable=True) == []
    assert rung(rings, 5, reachable=True) == []
    assert rings.ended(KEY, End.CANCELLED, 8) == [EndRing(call(), End.CANCELLED, False, 8)]


def test_going_offline_during_a_ring() -> None:
    """The next repeat rings by push."""
    rings = Rings(60)
    assert rung(rings, 0, reachable=True) == []
    assert rung(rings, 5, reachable=False) == [StartRing(call(), SIGNAL)]


def test_what_rings_now() -> None:
    """The newest call of each caller who still calls; nothing that is over, old or huge."""
    rings = Rings(60)
    rings.called(call(), b"first", True, 0)
    rings.called(call(session="other", caller=3), b"other", True, 1)
    rings.called(call(callee=3), b"not his", True, 1)
    rings.called(call(), b"repeated", True, 5)
    assert rings.signals(1, 2, since=0) == [b"repeated", b"other"]
    assert rings.signals(1, 2, since=4) == [b"repeated"]
    assert rings.signals(2, 2, since=0) == []
    rings.called(call(), bytes(MAX_SIGNAL + 1), True, 10)
    assert rings.signals(1, 2, since=0) == [b"other"]
    rings.ended((1, "other", 3, 2), End.ANSWERED, 11)
    assert rings.signals(1, 2, since=0) == []


def test_repeats_after_the_end() -> None:
    """They start no new ring for two minutes."""
    rings = Rings(60)
    rung(rings, 0, reachable=False)
    rings.ended(KEY, End.ANSWERED, 3, "phone")
    assert rung(rings, 4, reachable=False) == []
    assert rings.is_over(KEY, 4)
    assert rung(rings, 3 + REMEMBERED_SECONDS, reachable=False) == [StartRing(call(), SIGNAL)]


def test_silence() -> None:
    """A caller who repeats no more calls no more; a ring has an end in any case."""
    rings = Rings(60)
    rung(rings, 0, reachable=True)
    rung(rings, 5, reachable=True)
    assert rings.tick(5 + SILENCE_SECONDS - 0.1) == []
    (end,) = rings.tick(5 + SILENCE_SECONDS)
    assert isinstance(end, EndRing)
    assert (end.end, end.rang_seconds) == (End.TIMED_OUT, 25)
    rings = Rings(60)
    for now in range(0, 60, 5):
        rung(rings, now, reachable=True)
        assert rings.tick(now) == []
    assert [decision.call for decision in rings.tick(60)] == [call()]
    assert len(rings) == 0


def test_an_app_that_posts_by_itself() -> None:
    """Then the server starts nothing, before or after, but sees to the end."""
    rings = Rings(60)
    rings.posted(1, "session", 1, [2], 0)
    assert rung(rings, 1, reachable=False) == []
    assert [
        end.pushed for end in rings.ended(KEY, End.CANCELLED, 2) if isinstance(end, EndRing)
    ] == [True]
    rings = Rings(60)
    rung(rings, 0, reachable=True)
    rings.posted(1, "session", 1, [2], 1)
    assert rung(rings, 2, reachable=False) == []


def test_callees_are_apart() -> None:
    """One answers; the others ring on."""
    rings = Rings(60)
    rung(rings, 0, reachable=False)
    rung(rings, 0, reachable=False, callee=3)
    assert len(rings.ended(KEY, End.ANSWERED, 1)) == 1
    assert len(rings) == 1
    assert not rings.is_over((1, "session", 1, 3), 1)


def test_a_caller_who_calls_everybody() -> None:
    """Only so many rings of one caller are minded at once."""
    rings = Rings(60)
    for callee in range(2, 200):
        rings.called(call(callee), SIGNAL, False, 0)
    assert len(rings) == MAX_RINGS_OF_CALLER
    assert rings.called(call(2, caller=9), SIGNAL, False, 0)
    rings.tick(100)
    assert rings.called(call(2, session="next"), SIGNAL, False, 100)


def test_messages() -> None:
    """The start has what call kits need, numbers as numbers; the end says nothing aloud to somebody
    who did not miss the call."""
    start = start_message(StartRing(call(), SIGNAL), None).values
    assert start["call_type"] == 1
    assert start["caller_id"] == 1
    assert start["call_opponents"] == "2,3"
    assert start["signal_type"] == "startCall"
    missed = end_message(EndRing(call(), End.CANCELLED, True, 3), None).values
    assert missed["message"] == "Missed video call from Unknown"
    answered = end_message(EndRing(call(), End.ANSWERED, True, 3), None).values
    assert "message" not in answered
    assert answered["signal_type"] == "endCall"


def test_which_devices_are_told() -> None:
    """All, but never the one that answered: its call kit would end the call."""
    phone = subscription(Channel.GCM, udid="3f2a99")
    tablet = subscription(Channel.GCM, udid="77bb01")
    tab = subscription(Channel.WEB, udid="browser")
    rang = [phone, tablet, tab]
    assert to_cancel(EndRing(call(), End.CANCELLED, True, 3), rang) == rang
    elsewhere = EndRing(call(), End.ANSWERED, True, 3, "flutter_3f2a99")
    assert to_cancel(elsewhere, rang) == [tablet, tab]
    unknown = EndRing(call(), End.ANSWERED, True, 3, "f00d")
    assert to_cancel(unknown, rang) == [tab]
