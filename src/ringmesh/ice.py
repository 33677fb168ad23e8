"""ICE in W3C terms: the small vocabulary that calls, media and the wire share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class IceCandidate:
    """One ICE candidate (RFC 8839 section 5.1) as ``RTCIceCandidate`` writes it.

    Attributes:
        candidate: text beginning with ``candidate:``.
        sdp_mid: media identification tag (RFC 5888), if known.
        sdp_mline_index: index of the media description in the SDP, from 0.
    """

    candidate: str
    sdp_mid: str | None = None
    sdp_mline_index: int = 0


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server, as ``RTCIceServer`` has it.

    Attributes:
        urls: ``stun:``, ``turn:`` or ``turns:`` URLs (RFC 7064, RFC 7065).
        username: for TURN.
        credential: password for TURN.
    """

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


class IceConnectionState(StrEnum):
    """``RTCIceConnectionState`` (W3C WebRTC section 5.6.4)."""

    NEW = "new"
    CHECKING = "checking"
    CONNECTED = "connected"
    COMPLETED = "completed"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    CLOSED = "closed"
