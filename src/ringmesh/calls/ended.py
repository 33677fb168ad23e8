"""Memory of calls that are over, so that their stragglers do not ring again."""

from __future__ import annotations

from dataclasses import dataclass

from ringmesh.calls.effects import Effect, Ignored, IgnoredReason, Send
from ringmesh.calls.leg import ANSWERED_ELSEWHERE
from ringmesh.calls.recovery import ANSWER_NUMBER
from ringmesh.signals import (
    Accept,
    Call,
    HangUp,
    IceRestart,
    IceRestartRequest,
    Reject,
    Signal,
)

MAX_ENDED = 1024
"""Calls remembered; the oldest is forgotten first."""


@dataclass(slots=True)
class _Ended:
    members_ids: frozenset[int] | None
    last_word: Reject | HangUp | None
    at: float
    said_at: float


class EndedCalls:
    """Session ids that are over, for a bounded number and time.

    Times are in monotonic seconds.
    """

    def __init__(self, *, keep: float, remind_after: float) -> None:
        """Remember for `keep` seconds; repeat a last word at most every `remind_after` seconds."""
        self._keep = keep
        self._remind_after = remind_after
        self._ended: dict[str, _Ended] = {}

    def __len__(self) -> int:
        return len(self._ended)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._ended

    def remember(
        self,
        session_id: str,
        now: float,
        *,
        members_ids: frozenset[int] | None = None,
        last_word: Reject | HangUp | None = None,
    ) -> None:
        """Keep a session. Only signals of `members_ids` count as its stragglers; None: anybody's.

        `last_word` is what we said at the end, for those who seem not to have heard it.
        """
        self._ended.pop(session_id, None)
        self._ended[session_id] = _Ended(members_ids, last_word, now, now)
        self._forget(now)

    def knows(self, session_id: str, sender_id: int, now: float) -> bool:
        """Whether a signal of this sender for this session is a straggler."""
        self._forget(now)
        ended = self._ended.get(session_id)
        return ended is not None and (ended.members_ids is None or sender_id in ended.members_ids)

    def gave_way(self, session_id: str) -> bool:
        """Whether we took part in it until another device of ours was found to be in it."""
        ended = self._ended.get(session_id)
        return ended is not None and _tells_elsewhere(ended.last_word)

    def answer(self, signal: Signal, sender_id: int, now: float, device: str) -> Effect:
        """Repeat our last word to a straggler that waits for an answer; ignore any other.

        That another device of ours is in the call hears only who answers this one, and can tell it
        from an end of the call: a Ringmesh client.

        A ``call`` that crossed our last word is followed by no other, so only one that comes
        later shows that our word was lost.
        """
        ended = self._ended[signal.session_id]
        late = isinstance(signal, Call) and now - ended.said_at > self._remind_after
        waits = isinstance(signal, Accept | IceRestart | IceRestartRequest)
        word = ended.last_word
        elsewhere = _tells_elsewhere(word)
        if elsewhere:
            waits = isinstance(signal, Accept) and ANSWER_NUMBER in signal.extra
        if word is None or not (waits or (late and not elsewhere)):
            return Ignored(sender_id, signal, IgnoredReason.ENDED_SESSION)
        ended.said_at = now
        return Send(sender_id, word, device if elsewhere else "")

    def _forget(self, now: float) -> None:
        while self._ended:
            session_id, oldest = next(iter(self._ended.items()))
            if len(self._ended) <= MAX_ENDED and now - oldest.at <= self._keep:
                return
            del self._ended[session_id]


def _tells_elsewhere(word: Reject | HangUp | None) -> bool:
    return word is not None and ANSWERED_ELSEWHERE in word.extra
