"""What recent ``call`` signals said, for rejecting a call over REST."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from ringmesh.protocol.dialect import BaseFields
from ringmesh.protocol.signal_xml import MAX_OPPONENTS

_SESSION_ID = b"<sessionID>"
_LONGEST_SESSION_ID = 128
_CALLER_ID = re.compile(rb"<callerID[^>]*>\s*(\d{1,18})\s*<")
_OPPONENT_ID = re.compile(rb"<opponentID[^>]*>\s*(\d{1,18})\s*<")
_CALL_TYPE = re.compile(rb"<callType[^>]*>\s*([12])\s*<")


@dataclass(frozen=True, slots=True)
class RememberedCall:
    """Who started a call and what it carries."""

    app_id: int
    caller_id: int
    call_type: int
    opponents_ids: tuple[int, ...]
    at: float


class CallMemory:
    """Remembers the newest calls, bounded in number and age.

    A call is remembered only as its caller sent it, so nobody can put a name to another's call.

    Args:
        capacity: number of calls.
        lifetime: seconds that a call is remembered after its first signal.
        clock: seconds since whenever.
    """

    def __init__(
        self,
        capacity: int = 10_000,
        lifetime: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._lifetime = lifetime
        self._clock = clock
        self._calls: dict[bytes, RememberedCall] = {}

    def base_fields(self, app_id: int, stanza: bytes) -> BaseFields | None:
        """What is remembered of the call that a checked signal belongs to."""
        call = self._of(app_id, session_id_of(stanza))
        if call is None:
            return None
        return BaseFields(call.caller_id, call.call_type, call.opponents_ids)

    def remember(self, stanza: bytes, app_id: int, sender_id: int) -> bytes:
        """Read a checked ``call`` signal; its session id if the call is remembered, else nothing.
        Repeats and signals of mesh members change nothing."""
        session_id = session_id_of(stanza)
        if session_id in self._calls:
            return session_id
        caller_id = _CALLER_ID.search(stanza)
        if caller_id is None or int(caller_id[1]) != sender_id:
            return b""
        if not 0 < len(session_id) <= _LONGEST_SESSION_ID:
            return b""
        call_type = _CALL_TYPE.search(stanza)
        now = self._clock()
        self._forget_old(now)
        self._calls[session_id] = RememberedCall(
            app_id,
            sender_id,
            int(call_type[1]) if call_type else 1,
            tuple(map(int, _OPPONENT_ID.findall(stanza)[:MAX_OPPONENTS])),
            now,
        )
        return session_id

    def find(self, app_id: int, session_id: str) -> RememberedCall | None:
        """The call with this id in this application, if it is remembered."""
        return self._of(app_id, session_id.encode())

    def _of(self, app_id: int, session_id: bytes) -> RememberedCall | None:
        call = self._calls.get(session_id)
        if call is None or call.app_id != app_id or self._clock() - call.at > self._lifetime:
            return None
        return call

    def _forget_old(self, now: float) -> None:
        """Drop what is too old or too much; the oldest come first in the table."""
        while self._calls:
            oldest = next(iter(self._calls))
            too_old = now - self._calls[oldest].at > self._lifetime
            if not too_old and len(self._calls) < self._capacity:
                return
            del self._calls[oldest]


def session_id_of(stanza: bytes) -> bytes:
    """The session id of a checked signal; empty if it has none."""
    start = stanza.find(_SESSION_ID)
    if start < 0:
        return b""
    start += len(_SESSION_ID)
    return stanza[start : stanza.find(b"<", start)]
