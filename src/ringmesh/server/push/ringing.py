"""Who is being called, and what that means for devices that only a push reaches. Pure.

What the chat sees of call signals goes in, with the time in seconds of any clock; decisions come
out. A ring is one callee of one call:

    call, first     rings; if nothing of the callee's is reachable: `StartRing`
    call, repeated  rings on; if nothing is reachable any more and no push went out: `StartRing`
    accept          over, answered
    reject, hangUp  over, declined or cancelled
    silence         over, timed out

The end of every ring is one `EndRing`. Rings that are over are remembered for a while: SDKs repeat
``call`` once or twice after the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

SILENCE_SECONDS = 20.0
"""Callers repeat ``call`` every few seconds: one who does not calls no more."""

MAX_RINGS = 10_000
MAX_RINGS_OF_CALLER = 50
MAX_SIGNAL = 32 * 1024
"""Bytes of a ``call`` that is kept for devices that come late; a usual one has 4,000 to 12,000."""
REMEMBERED_SECONDS = 120.0


class End(StrEnum):
    """How a ring ended."""

    ANSWERED = "answered"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"

    @property
    def is_missed(self) -> bool:
        """Whether the callee did nothing about it."""
        return self in (End.CANCELLED, End.TIMED_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class RingingCall:
    """One call to one callee."""

    application_id: int
    session_id: str
    caller_id: int
    callee_id: int
    call_type: int
    opponents_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StartRing:
    """Let the callee's devices ring by push.

    Attributes:
        signal: the ``call`` that asked for it.
    """

    call: RingingCall
    signal: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EndRing:
    """The ring is over.

    Attributes:
        pushed: devices may ring because of a push.
        rang_seconds: for how long.
        resource: of the device that answered or declined, where it was one.
    """

    call: RingingCall
    end: End
    pushed: bool
    rang_seconds: float
    resource: str = ""


Decision: TypeAlias = StartRing | EndRing
RingKey: TypeAlias = tuple[int, str, int, int]
"""Application, session, caller, callee."""


@dataclass(slots=True)
class Ring:
    """One callee of one call, as `Rings` minds it.

    Attributes:
        last_at: of the newest ``call``; whoever sees one and nothing else to do may `renew`.
        signal: the newest ``call``; empty if it is too large to be kept.
    """

    call: RingingCall
    first_at: float
    last_at: float
    pushed: bool
    over: bool = False
    signal: bytes = field(default=b"", repr=False)

    def renew(self, signal: bytes, now: float) -> None:
        """The caller sent ``call`` again."""
        self.last_at = now
        self.signal = signal if len(signal) <= MAX_SIGNAL else b""


class Rings:
    """All rings of a server, bounded in number.

    Args:
        ring_seconds: how long a ring lasts at most.
    """

    def __init__(self, ring_seconds: float) -> None:
        self._ring_seconds = ring_seconds
        self._rings: dict[RingKey, Ring] = {}
        self._over: dict[RingKey, float] = {}
        self._of_caller: Counter[tuple[int, int]] = Counter()
        self._of_callee: dict[tuple[int, int], dict[RingKey, Ring]] = {}
        self._posted: dict[tuple[int, str, int], float] = {}

    def __len__(self) -> int:
        return len(self._rings)

    def ring(self, key: RingKey) -> Ring | None:
        """The ring that goes on now."""
        return self._rings.get(key)

    def signals(self, application_id: int, callee_id: int, since: float) -> list[bytes]:
        """The newest ``call`` of each ring of a user that is not older than `since`."""
        rings = self._of_callee.get((application_id, callee_id), {}).values()
        return [ring.signal for ring in rings if ring.signal and ring.last_at >= since]

    def called(
        self, call: RingingCall, signal: bytes, reachable: bool, now: float
    ) -> list[Decision]:
        """The caller sent ``call``."""
        key = _key(call)
        ring = self._rings.get(key)
        if ring is None:
            if self.is_over(key, now) or not self._may_ring(call):
                return []
            posted = self._posted.get(key[:3], 0.0) > now
            ring = self._rings[key] = Ring(call, now, now, posted)
            self._of_caller[call.application_id, call.caller_id] += 1
            callee = call.application_id, call.callee_id
            self._of_callee.setdefault(callee, {})[key] = ring
        ring.renew(signal, now)
        if reachable or ring.pushed:
            return []
        ring.pushed = True
        return [StartRing(call, signal)]

    def posted(
        self,
        application_id: int,
        session_id: str,
        caller_id: int,
        callee_ids: Iterable[int],
        now: float,
    ) -> None:
        """The caller's app asked for a start push by itself."""
        self._trim(self._posted, now)
        self._posted[application_id, session_id, caller_id] = now + REMEMBERED_SECONDS
        for callee_id in callee_ids:
            ring = self._rings.get((application_id, session_id, caller_id, callee_id))
            if ring is not None:
                ring.pushed = True

    def ended(self, key: RingKey, end: End, now: float, resource: str = "") -> list[Decision]:
        """One of the two said so."""
        ring = self._rings.pop(key, None)
        if ring is None:
            return []
        ring.over = True
        owner = ring.call.application_id, ring.call.caller_id
        self._of_caller[owner] -= 1
        if not self._of_caller[owner]:
            del self._of_caller[owner]
        callee = ring.call.application_id, ring.call.callee_id
        del self._of_callee[callee][key]
        if not self._of_callee[callee]:
            del self._of_callee[callee]
        self._trim(self._over, now)
        self._over[key] = now + REMEMBERED_SECONDS
        lasted = max(0.0, min(now, ring.last_at + SILENCE_SECONDS) - ring.first_at)
        return [EndRing(ring.call, end, ring.pushed, lasted, resource)]

    def is_over(self, key: RingKey, now: float) -> bool:
        """Whether this ring has ended not long ago."""
        return self._over.get(key, 0.0) > now

    def tick(self, now: float) -> list[Decision]:
        """What time alone brings; call it about once a second."""
        late = [key for key, ring in self._rings.items() if self._deadline(ring) <= now]
        return [decision for key in late for decision in self.ended(key, End.TIMED_OUT, now)]

    def _deadline(self, ring: Ring) -> float:
        return min(ring.first_at + self._ring_seconds, ring.last_at + SILENCE_SECONDS)

    def _may_ring(self, call: RingingCall) -> bool:
        owner = call.application_id, call.caller_id
        return len(self._rings) < MAX_RINGS and self._of_caller[owner] < MAX_RINGS_OF_CALLER

    @staticmethod
    def _trim(table: dict[RingKey, float] | dict[tuple[int, str, int], float], now: float) -> None:
        """Forget what is too old or too much; the oldest come first."""
        while table:
            oldest = next(iter(table))
            if table[oldest] > now and len(table) < MAX_RINGS:  # type: ignore[index]
                return
            del table[oldest]  # type: ignore[arg-type]


def _key(call: RingingCall) -> RingKey:
    return call.application_id, call.session_id, call.caller_id, call.callee_id
