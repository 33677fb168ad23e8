"""Who records a call, and telling the others: nobody is recorded without being told."""

from __future__ import annotations

from ringmesh.calls.effects import CallEvent, Effect, Notify, Send
from ringmesh.calls.leg import CallFacts, Leg
from ringmesh.calls.transitions import EXCHANGED
from ringmesh.signals import RecordingNotice


class Consent:
    """What one device knows of recordings of its call. A new call is recorded by nobody."""

    def __init__(self) -> None:
        self.recording = False
        self._spoken = False
        self._others: set[int] = set()

    def others(self, legs: dict[int, Leg]) -> frozenset[int]:
        """Who of the people still in the call records it."""
        return frozenset(user_id for user_id in self._others if legs[user_id].is_live)

    def change(self, recording: bool, legs: dict[int, Leg], facts: CallFacts) -> list[Effect]:
        """We begin or end recording: tell everybody with whom media flows or soon will."""
        if recording is self.recording:
            return []
        self.recording, self._spoken = recording, True
        exchanged = [leg.user_id for leg in legs.values() if leg.state in EXCHANGED]
        return [effect for user_id in exchanged for effect in self.connected(user_id, facts)]

    def connected(self, user_id: int, facts: CallFacts) -> list[Effect]:
        """Somebody is connected, perhaps again: tell him what he has missed."""
        if not self._spoken:
            return []
        notice = RecordingNotice(session_id=facts.session_id, recording=self.recording)
        return [Send(user_id, notice)]

    def told(self, notice: RecordingNotice, leg: Leg) -> list[Effect] | None:
        """Somebody tells of himself; None when he is not in the call any more."""
        if not leg.is_live:
            return None
        if notice.recording is (leg.user_id in self._others):
            return []
        (self._others.add if notice.recording else self._others.discard)(leg.user_id)
        detail = {"recording": "on" if notice.recording else "off"}
        return [Notify(CallEvent.RECORDING_CHANGED, leg.user_id, detail=detail)]
