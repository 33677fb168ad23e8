"""States and transitions of a leg. (Skeleton: the table follows.)"""

from __future__ import annotations

from enum import StrEnum


class SessionState(StrEnum):
    """State of a whole call, derived from its legs."""

    NEW = "new"
    PENDING = "pending"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"


class LegState(StrEnum):
    """State of the way to one opponent."""

    NEW = "new"
    OFFERING = "offering"
    DIALLING = "dialling"
    RINGING = "ringing"
    AWAITING_OFFER = "awaiting-offer"
    ANSWERING = "answering"
    ACCEPTED = "accepted"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    RECONNECTING = "reconnecting"
    FAILED = "failed"
    CLOSED = "closed"


class EndReason(StrEnum):
    """Why a leg or a call ended."""

    HUNG_UP = "hung-up"
    REJECTED = "rejected"
    REMOTE_HUNG_UP = "remote-hung-up"
    REMOTE_REJECTED = "remote-rejected"
    NO_ANSWER = "no-answer"
    CONNECTION_FAILED = "connection-failed"
    CONNECTION_LOST = "connection-lost"
    ANSWERED_ELSEWHERE = "answered-elsewhere"
    REJECTED_ELSEWHERE = "rejected-elsewhere"
    REPLACED = "replaced"
