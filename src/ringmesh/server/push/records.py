"""What the outbox is made of: plain frozen values that go into its store and come out of it.

Times are milliseconds since 1970 where the name ends in ``_ms``, whole seconds otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ringmesh.server.push.contract import Channel, Kind, Message, Push


class State(StrEnum):
    """The life of a push: queued, claimed, and then one of the ends, or queued once more."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    DELIVERED = "delivered"
    DEAD_TOKEN = "dead_token"
    REJECTED = "rejected"
    NOT_CONFIGURED = "not_configured"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One message for many subscriptions.

    Attributes:
        user_id: in whose name: the author of the request, or the caller of a ring.
        by_server: whether the server itself made it.
    """

    application_id: int
    user_id: int
    message: Message = field(repr=False)
    kind: Kind
    tag: str | None
    created_ms: int
    expires_at: int
    by_server: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """A push that nobody else will send until it is noted what came of it.

    Attributes:
        attempts: this one included.
    """

    push: Push
    attempts: int
    created_ms: int


@dataclass(frozen=True, slots=True)
class Added:
    """An event that is in the outbox.

    Attributes:
        pushes: how many there are of it.
        claimed: those of them that whoever added it is to send now.
        waiting: channels of the others.
    """

    event_id: int
    pushes: int
    claimed: list[Claimed]
    waiting: frozenset[Channel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What came of an attempt.

    Attributes:
        state: `State.QUEUED` to try again at `due_ms`.
        dead_token: removes the subscription if it still has this token.
    """

    push_id: int
    state: State
    reason: str
    now_ms: int
    due_ms: int = 0
    subscription_id: int = 0
    dead_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One push as `ringmesh push log` shows it."""

    id: int
    event_id: int
    application_id: int
    user_id: int
    channel: Channel
    kind: Kind
    tag: str | None
    by_server: bool
    state: State
    attempts: int
    reason: str
    created_ms: int
    done_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedCall:
    """A call that its callee neither answered nor declined.

    Attributes:
        opponents_ids: everybody who was called.
        rang_seconds: from the first ring to the end.
    """

    id: int = 0
    application_id: int
    user_id: int
    session_id: str
    caller_id: int
    call_type: int
    opponents_ids: tuple[int, ...]
    called_at: int
    rang_seconds: int
