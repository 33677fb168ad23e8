"""What the call machine asks its owner to do: plain values, which `ringmesh.client` performs.

Perform the effects of one list in order. `MakeOffer`, `MakeAnswer` and `SetAnswer` may take time:
report their result when it is there (`peer_failed` when the engine refuses), and report nothing
about a peer after `ClosePeer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from ringmesh.ice import IceCandidate
from ringmesh.signals import Signal, UserInfo


@dataclass(frozen=True, slots=True)
class Send:
    """Send a signal to all devices of a user, or to one of them.

    Attributes:
        device: as `CallBook.receive` was told it; empty: all devices.
    """

    user_id: int
    signal: Signal
    device: str = ""


@dataclass(frozen=True, slots=True)
class MakeOffer:
    """Create the peer if there is none, make an offer, then report `offer_made`."""

    user_id: int
    ice_restart: bool = False


@dataclass(frozen=True, slots=True)
class MakeAnswer:
    """Create the peer if there is none, answer this offer, then report `answer_made`."""

    user_id: int
    offer: str


@dataclass(frozen=True, slots=True)
class SetAnswer:
    """Apply the remote answer, then report `answer_set`."""

    user_id: int
    answer: str


@dataclass(frozen=True, slots=True)
class AddCandidates:
    """Add remote candidates to the peer; its remote description is set."""

    user_id: int
    candidates: tuple[IceCandidate, ...]


@dataclass(frozen=True, slots=True)
class ClosePeer:
    """Close the peer connection to this user, if there is one."""

    user_id: int


@dataclass(frozen=True, slots=True)
class SwitchSession:
    """The call goes on under another session id, caller, opponents and call type.

    Two users called each other at the same moment and the other's session is the one that lives:
    read the new values from the `CallMachine`.
    """

    old_session_id: str
    session_id: str


class IgnoredReason(StrEnum):
    """Why a received signal had no effect."""

    UNKNOWN_SESSION = "unknown-session"
    ENDED_SESSION = "ended-session"
    NOT_A_MEMBER = "not-a-member"
    OWN_SIGNAL = "own-signal"
    INVALID_CALL = "invalid-call"
    TOO_MANY_PEOPLE = "too-many-people"
    WRONG_STATE = "wrong-state"
    UNUSABLE_CANDIDATES = "unusable-candidates"
    UNSUPPORTED = "unsupported"
    GLARE = "glare"
    OUTDATED = "outdated"
    TOO_OFTEN = "too-often"
    OTHER_DEVICE = "other-device"


@dataclass(frozen=True, slots=True)
class Ignored:
    """A received signal had no effect. Nothing to do but log it, without SDP."""

    user_id: int
    signal: Signal
    reason: IgnoredReason


class CallEvent(StrEnum):
    """What the application is told. Values are the names of the callbacks."""

    RECEIVE_NEW_SESSION = "on_receive_new_session"
    USER_RINGING = "on_user_ringing"
    USER_NO_ANSWER = "on_user_no_answer"
    CALL_ACCEPTED_BY_USER = "on_call_accepted_by_user"
    CALL_REJECTED_BY_USER = "on_call_rejected_by_user"
    RECEIVE_HUNG_UP_FROM_USER = "on_receive_hung_up_from_user"
    RECORDING_CHANGED = "on_recording_changed"
    CONNECTING_TO_USER = "on_connecting_to_user"
    CONNECTED_TO_USER = "on_connected_to_user"
    DISCONNECTED_FROM_USER = "on_disconnected_from_user"
    CONNECTION_FAILED_WITH_USER = "on_connection_failed_with_user"
    CONNECTION_CLOSED_FOR_USER = "on_connection_closed_for_user"
    SESSION_CLOSED = "on_session_closed"


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the application.

    Attributes:
        user_id: whom it is about; None for `CallEvent.SESSION_CLOSED`.
        user_info: what the signal behind it carried.
        detail: extra facts: ``{"reason": …}`` on a failure and on `CallEvent.SESSION_CLOSED`
            (a value of `ringmesh.calls.transitions.EndReason`); there also ``platform`` and
            ``device`` when another device of ours settled the call; ``{"recording": "on"}`` or
            ``"off"`` on `CallEvent.RECORDING_CHANGED`.
    """

    event: CallEvent
    user_id: int | None = None
    user_info: UserInfo = field(default_factory=dict)
    detail: Mapping[str, str] = field(default_factory=dict)


Effect: TypeAlias = (
    Send
    | MakeOffer
    | MakeAnswer
    | SetAnswer
    | AddCandidates
    | ClosePeer
    | SwitchSession
    | Ignored
    | Notify
)
