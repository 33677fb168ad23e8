"""Nobody is recorded without being told."""

from __future__ import annotations

import pytest

from ringmesh.calls.effects import CallEvent, Effect, Ignored, IgnoredReason, Notify, Send
from ringmesh.ice import IceConnectionState
from ringmesh.signals import HangUp, RecordingNotice
from tests.calls.test_connection import Pair


@pytest.fixture
def pair() -> Pair:
    return Pair()


def notice(*, recording: bool, session_id: str = "s") -> RecordingNotice:
    """What the one who records says."""
    return RecordingNotice(session_id=session_id, recording=recording)


def told(effects: list[Effect]) -> list[str]:
    """What the application hears about recordings."""
    return [
        effect.detail["recording"]
        for effect in effects
        if isinstance(effect, Notify) and effect.event is CallEvent.RECORDING_CHANGED
    ]


def test_the_other_is_told_at_once(pair: Pair) -> None:
    """Beginning and ending are told while media flows, each once."""
    pair.exchange()
    assert pair.caller.set_recording(True) == [Send(2, notice(recording=True))]
    assert pair.caller.set_recording(True) == []
    assert pair.caller.set_recording(False) == [Send(2, notice(recording=False))]


def test_who_connects_later_is_told_then(pair: Pair) -> None:
    """A recording that begins while it rings is told when media flows, and again after a loss."""
    assert pair.caller.set_recording(True) == []
    pair.exchange()
    for _ in range(2):
        sent = pair.caller.ice_state_changed(2, IceConnectionState.CONNECTED, 2.0)
        assert Send(2, notice(recording=True)) in sent
        pair.caller.ice_state_changed(2, IceConnectionState.DISCONNECTED, 3.0)


def test_an_end_that_was_missed_is_told_again(pair: Pair) -> None:
    """Who was away while a recording ended learns that on coming back."""
    pair.exchange()
    pair.caller.ice_state_changed(2, IceConnectionState.CONNECTED, 2.0)
    pair.caller.set_recording(True)
    pair.caller.ice_state_changed(2, IceConnectionState.DISCONNECTED, 3.0)
    pair.caller.set_recording(False)
    sent = pair.caller.ice_state_changed(2, IceConnectionState.CONNECTED, 4.0)
    assert Send(2, notice(recording=False)) in sent


def test_nothing_is_said_without_recordings(pair: Pair) -> None:
    """A call that nobody records carries no such message."""
    pair.exchange()
    sent = pair.caller.ice_state_changed(2, IceConnectionState.CONNECTED, 2.0)
    assert not any(isinstance(effect, Send) for effect in sent)


def test_the_application_hears_each_change_once(pair: Pair) -> None:
    """Repeats change nothing, and `recording_users_ids` says how it stands."""
    pair.exchange()
    assert told(pair.callee.receive(notice(recording=True), 1, 2.0)) == ["on"]
    assert told(pair.callee.receive(notice(recording=True), 1, 2.0)) == []
    assert pair.callee.recording_users_ids == {1}
    assert told(pair.callee.receive(notice(recording=False), 1, 3.0)) == ["off"]
    assert pair.callee.recording_users_ids == frozenset()


def test_who_left_records_no_more(pair: Pair) -> None:
    """Leaving ends it, and what somebody says after the call means nothing."""
    pair.exchange()
    pair.callee.receive(notice(recording=True), 1, 2.0)
    pair.callee.receive(HangUp(session_id="s"), 1, 3.0)
    assert pair.callee.recording_users_ids == frozenset()
    late = notice(recording=True)
    assert pair.callee.receive(late, 1, 4.0) == [Ignored(1, late, IgnoredReason.ENDED_SESSION)]


def test_strangers_are_not_believed(pair: Pair) -> None:
    """Only members of the call can say that they record it."""
    pair.exchange()
    forged = notice(recording=True)
    assert pair.callee.receive(forged, 3, 2.0) == [Ignored(3, forged, IgnoredReason.NOT_A_MEMBER)]
