"""Why a chat connection ended, and what the client is told."""

from __future__ import annotations

from enum import Enum

from picows import WSCloseCode


class CloseReason(Enum):
    """A label for logs and metrics, a stream error (RFC 6120 section 4.9.3), a WebSocket code.

    Without a stream error the stream is closed in order; who is cut off is told nothing.
    """

    CLIENT = ("client", None, WSCloseCode.OK)
    LOST = ("lost", None, WSCloseCode.OK)
    SHUTDOWN = ("shutdown", None, WSCloseCode.GOING_AWAY)
    REMOVED = ("removed", "not-authorized", WSCloseCode.POLICY_VIOLATION)
    LOGIN_TIMEOUT = ("login-timeout", "connection-timeout", WSCloseCode.POLICY_VIOLATION)
    TOO_MANY_DEVICES = ("too-many-devices", "resource-constraint", WSCloseCode.POLICY_VIOLATION)
    FLOOD = ("flood", "policy-violation", WSCloseCode.POLICY_VIOLATION)
    TOO_LONG = ("too-long", "policy-violation", WSCloseCode.MESSAGE_TOO_BIG)
    NOT_TEXT = ("not-text", "unsupported-encoding", WSCloseCode.UNSUPPORTED_DATA)
    STREAM_ERROR = ("stream-error", "policy-violation", WSCloseCode.POLICY_VIOLATION)
    WEBSOCKET_ERROR = ("websocket-error", None, WSCloseCode.PROTOCOL_ERROR)
    TOO_SLOW = ("too-slow", None, WSCloseCode.ABNORMAL_CLOSURE)
    REPLACED = ("replaced", None, WSCloseCode.ABNORMAL_CLOSURE)
    SILENT = ("silent", None, WSCloseCode.ABNORMAL_CLOSURE)

    @property
    def may_resume(self) -> bool:
        """Whether the client may not have wanted this, and can come back (XEP-0198)."""
        return self in (CloseReason.LOST, CloseReason.SILENT, CloseReason.TOO_SLOW)

    def __init__(self, label: str, condition: str | None, code: WSCloseCode) -> None:
        self.label = label
        self.condition = condition
        self.code = code
