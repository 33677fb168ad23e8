"""Call signals as typed values: the vocabulary that the call logic, the SDK and the wire share.

There is no XML here (`ringmesh.protocol.signal_xml` reads and writes it) and no behaviour
(`ringmesh.calls` has it). `docs/protocol.md` describes each signal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from ringmesh.ice import IceCandidate

UserInfo: TypeAlias = Mapping[str, "str | UserInfo | None"]
"""Application data carried by a signal. Leaves are text; an empty element reads as None.

Send it flat, with text values and keys that are XML names: mobile SDKs read nothing else.
"""


class CallType(IntEnum):
    """What a call carries; the wire value of ``callType``."""

    VIDEO_CALL = 1
    AUDIO_CALL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What every call signal carries.

    Signals that we write carry all of it. Some SDKs leave fields out of some signals, so on
    received ones `call_type` and `caller_id` may be None and `opponents_ids` empty.

    Attributes:
        session_id: identifies the call; opaque text, a UUID in calls that we start.
        call_type: audio or video.
        caller_id: the user who created the call.
        opponents_ids: the users called, without the caller, in the caller's order.
        platform: the sender's kind, for information only.
        user_info: application data.
        extra: other text elements under ``extraParams``, kept as they came.
    """

    session_id: str
    call_type: CallType | None = None
    caller_id: int | None = None
    opponents_ids: tuple[int, ...] = ()
    platform: str = "python"
    user_info: UserInfo = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Signal):
    """``call``: an offer. It rings, and is repeated until it is answered."""

    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept(Signal):
    """``accept``: the answer to a `Call`."""

    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject(Signal):
    """``reject``: declines a call; ``user_info["busy"] == "true"`` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp(Signal):
    """``hangUp``: leaves or cancels a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IceCandidates(Signal):
    """``iceCandidates``: one or more trickled candidates (RFC 8838)."""

    candidates: tuple[IceCandidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IceRestart(Signal):
    """``iceRestart``: an offer with new ICE credentials for a running call."""

    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IceRestartAccept(Signal):
    """``iceRestartAccept``: the answer to an `IceRestart`."""

    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ringing(Signal):
    """``ringing``: a device of the called user rings. Between Ringmesh clients only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IceRestartRequest(Signal):
    """``iceRestartRequest``: asks the side that made the offer for an `IceRestart`.

    Between Ringmesh clients only.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(Signal):
    """``update``: renegotiation, sent by newer mobile SDKs.

    Attributes:
        sdp_type: ``offer``, ``answer`` or None where the sender gave none.
    """

    sdp: str | None = None
    sdp_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingNotice(Signal):
    """The sender records this call, or does no longer. On the wire a system message, which
    carries nothing but the session id: the call logic of other SDKs never sees it.
    """

    recording: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenNotice(Signal):
    """The sender shows a screen in place of the camera, or does no longer; a system message, too.
    It is sent only: whoever draws pictures wants to know, and this SDK draws none.
    """

    sharing: bool
