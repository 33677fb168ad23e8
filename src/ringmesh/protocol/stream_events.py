"""What follows from a frame: the events that the stream machines return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ringmesh.protocol.element import Element
from ringmesh.protocol.jid import JID


@dataclass(frozen=True, slots=True)
class SendFrame:
    """Send this: over WebSocket as one text frame, over TCP as it is, in one write."""

    frame: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The stream is over. Send what came before this, then close the WebSocket or the connection.

    Attributes:
        condition: None after an orderly close, else the stream error's condition
            (RFC 6120 section 4.9.3), ours or theirs.
        detail: more about it, for a log.
    """

    condition: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """The stream is ready: this is the device's full address."""

    jid: JID


# --- at the server


@dataclass(frozen=True, slots=True)
class AuthenticationRequested:
    """Check these, then call `authentication_succeeded` or `authentication_failed`."""

    local_part: str
    password: str

    def __repr__(self) -> str:
        return f"AuthenticationRequested(local_part={self.local_part!r}, password=...)"


@dataclass(frozen=True, slots=True)
class ScramRequested:
    """Look up the keys of this user's secrets, then call `ServerStream.challenge`.

    Attributes:
        hash_name: of the hash function for the keys, ``sha1`` or ``sha256``.
    """

    local_part: str
    hash_name: str


@dataclass(frozen=True, slots=True)
class ScramAnswered:
    """The client answered the challenge: call `authentication_succeeded` or
    `authentication_failed`; the first only if the answer is `right`."""

    local_part: str
    right: bool


@dataclass(frozen=True, slots=True)
class TlsRequested:
    """Begin TLS after what was sent, then call `ServerStream.secured`.

    What the client sent in clear text after this must not be read (RFC 6120 section 5.4.3.3).
    """


@dataclass(frozen=True, slots=True)
class ResumptionRequested:
    """The device wants to be able to resume: answer with `ServerStream.enable_management`."""


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """Answer with `ServerStream.resumed` or `ServerStream.resume_failed`.

    Attributes:
        stream_id: of the stream that is to go on.
        handled: stanzas that the client got on it; None where that makes no sense.
    """

    stream_id: str
    handled: int | None


@dataclass(frozen=True, slots=True)
class ClientHandled:
    """The client has handled this many of our stanzas, modulo 2**32."""

    count: int


@dataclass(frozen=True, slots=True)
class CarbonsChanged:
    """The device wants, or no longer wants, copies of what its user's other devices send.

    Attributes:
        verbatim: it asks in the way of SDKs that read whatever JavaScript SDKs write; see
            `ringmesh.protocol.dialect` for what others need.
    """

    enabled: bool
    verbatim: bool = False


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """The device said that it is available or not."""

    available: bool


@dataclass(frozen=True, slots=True)
class ActivityChanged:
    """The app went to the background (active False) or came back: XEP-0352, or an older word."""

    active: bool


@dataclass(frozen=True, slots=True)
class LastActivityRequested:
    """Answer with `ServerStream.last_activity`.

    Attributes:
        iq_id: pass it back.
        jid: the user asked about.
    """

    iq_id: str
    jid: JID


# --- at the client


@dataclass(frozen=True, slots=True)
class AuthenticationFailed:
    """Credentials were refused; the stream stays open for another `authenticate`.

    Attributes:
        condition: SASL error condition (RFC 6120 section 6.5), ``not-authorized`` mostly.
    """

    condition: str


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A message for this device. Carbons are not unwrapped: see `ringmesh.protocol.carbons`."""

    message: Element


@dataclass(frozen=True, slots=True)
class IqAnswered:
    """The answer to an iq that this client sent, for instance a ping; `iq` has its type."""

    iq_id: str
    iq: Element


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The server has handled these sent stanzas (XEP-0198), oldest first."""

    frames: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resumed:
    """The stream before goes on here. What was not `Acknowledged` by then did not arrive.

    Until `CaughtUp`, what comes has waited at the server.
    """

    jid: JID


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All that had waited at the server has come."""


@dataclass(frozen=True, slots=True)
class FrameRefused:
    """A frame that could not be read was dropped; the stream goes on."""

    detail: str


ServerEvent: TypeAlias = (
    SendFrame
    | Closed
    | Bound
    | AuthenticationRequested
    | ScramRequested
    | ScramAnswered
    | TlsRequested
    | ResumptionRequested
    | ResumeRequested
    | ClientHandled
    | CarbonsChanged
    | PresenceChanged
    | ActivityChanged
    | LastActivityRequested
)
ClientEvent: TypeAlias = (
    SendFrame
    | Closed
    | Bound
    | AuthenticationFailed
    | MessageReceived
    | IqAnswered
    | Acknowledged
    | Resumed
    | CaughtUp
    | FrameRefused
)
