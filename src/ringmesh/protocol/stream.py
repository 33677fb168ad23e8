"""XMPP streams (RFC 6120) in frames (RFC 7395), both ends, without I/O.

Feed `receive` with each frame; it returns, in order, what follows from it: frames to send and
things to know. Nothing is kept back, so nothing can be forgotten. After `Closed` a machine
answers nothing more.
"""

from ringmesh.protocol.client_stream import ClientStream
from ringmesh.protocol.server_stream import ServerStream
from ringmesh.protocol.stream_events import (
    Acknowledged,
    ActivityChanged,
    AuthenticationFailed,
    AuthenticationRequested,
    Bound,
    CarbonsChanged,
    CaughtUp,
    ClientEvent,
    ClientHandled,
    Closed,
    FrameRefused,
    IqAnswered,
    LastActivityRequested,
    MessageReceived,
    PresenceChanged,
    Resumed,
    ResumeRequested,
    ResumptionRequested,
    ScramAnswered,
    ScramRequested,
    SendFrame,
    ServerEvent,
    TlsRequested,
)

__all__ = [
    "Acknowledged",
    "ActivityChanged",
    "AuthenticationFailed",
    "AuthenticationRequested",
    "Bound",
    "CarbonsChanged",
    "CaughtUp",
    "ClientEvent",
    "ClientHandled",
    "ClientStream",
    "Closed",
    "FrameRefused",
    "IqAnswered",
    "LastActivityRequested",
    "MessageReceived",
    "PresenceChanged",
    "ResumeRequested",
    "Resumed",
    "ResumptionRequested",
    "ScramAnswered",
    "ScramRequested",
    "SendFrame",
    "ServerEvent",
    "ServerStream",
    "TlsRequested",
]
