"""Ringmesh: peer-to-peer audio and video calls that you host yourself.

The public names of the SDK, and nothing else. Each is imported when it is first used, so that the
server does not load the media libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringmesh.callkit.call_event import CallEvent, CallState
    from ringmesh.callkit.call_kit import CallKit
    from ringmesh.calls.transitions import EndReason, LegState, SessionState
    from ringmesh.client.chat_connection import CubeChatConnection, CubeChatConnectionState
    from ringmesh.client.client import P2PClient
    from ringmesh.client.config import (
        DEFAULT_DIALING_TIME_INTERVAL,
        DEFAULT_NO_ANSWER_TIMEOUT,
        CubeChatConnectionSettings,
        Endpoints,
        RTCConfig,
        RTCMediaConfig,
    )
    from ringmesh.client.connection import Connection, connect
    from ringmesh.client.events import (
        CallAcceptedByUser,
        CallRejectedByUser,
        ConnectedToUser,
        ConnectingToUser,
        ConnectionClosedForUser,
        ConnectionFailedWithUser,
        DeviceLost,
        DeviceRestored,
        DevicesChanged,
        DisconnectedFromUser,
        Event,
        EventStream,
        InvalidEvent,
        LocalStreamReceived,
        QualityChanged,
        ReceiveHungUpFromUser,
        ReceiveNewSession,
        RecordingChanged,
        RemoteStreamReceived,
        RemoteStreamRemoved,
        ScreenSharingEnded,
        SessionClosed,
        UserNoAnswer,
        UserRinging,
    )
    from ringmesh.client.models import CubeSession, CubeUser, MissedCall
    from ringmesh.client.push import (
        CreateEventParams,
        CreateSubscriptionParameters,
        CubeEvent,
        CubeSubscription,
        PushNotifications,
    )
    from ringmesh.client.recording import CallRecording
    from ringmesh.client.report import CallReport
    from ringmesh.client.rest import RestClient
    from ringmesh.client.screen_sharing import list_capture_sources
    from ringmesh.client.session import P2PSession
    from ringmesh.client.session_events import RTCSessionStateCallback
    from ringmesh.client.sign_in import discover
    from ringmesh.client.statistics import CubeStatsReport
    from ringmesh.client.stats_manager import (
        CubeMicLevelEvent,
        CubeStatsReportsManager,
        CubeVideoBitrateEvent,
    )
    from ringmesh.client.users import Users
    from ringmesh.errors import (
        AuthenticationError,
        ConfigurationError,
        ConnectionFailedError,
        InvalidStateError,
        MediaError,
        NotSupportedError,
        ProtocolError,
        RequestError,
        RingmeshError,
        SignalError,
        StanzaError,
    )
    from ringmesh.ice import IceServer
    from ringmesh.media.devices.model import CameraPosition, MediaDevice, MediaDeviceKind
    from ringmesh.media.devices.processing import AudioProcessing
    from ringmesh.media.frames import AudioFrame, VideoFrame
    from ringmesh.media.media_stream import MediaStream, Subscription
    from ringmesh.media.quality import MediaDirection, Quality, QualityCause, QualityLevel
    from ringmesh.media.recorder import Recorder, Recording
    from ringmesh.media.screen.grabber import CaptureKind, CaptureSource
    from ringmesh.media.sources import PushAudioSource, PushVideoSource
    from ringmesh.media.stats import PathStats, PeerStats, ReceivedStats, SentStats
    from ringmesh.media.streams import LocalStream, RemoteStream
    from ringmesh.signals import CallType, UserInfo

_MODULES = {
    "ringmesh.calls.transitions": (
        "EndReason",
        "LegState",
        "SessionState",
    ),
    "ringmesh.callkit.call_event": (
        "CallEvent",
        "CallState",
    ),
    "ringmesh.callkit.call_kit": ("CallKit",),
    "ringmesh.client.chat_connection": (
        "CubeChatConnection",
        "CubeChatConnectionState",
    ),
    "ringmesh.client.client": ("P2PClient",),
    "ringmesh.client.config": (
        "DEFAULT_DIALING_TIME_INTERVAL",
        "DEFAULT_NO_ANSWER_TIMEOUT",
        "CubeChatConnectionSettings",
        "Endpoints",
        "RTCConfig",
        "RTCMediaConfig",
    ),
    "ringmesh.client.connection": (
        "Connection",
        "connect",
    ),
    "ringmesh.client.events": (
        "CallAcceptedByUser",
        "CallRejectedByUser",
        "ConnectedToUser",
        "ConnectingToUser",
        "ConnectionClosedForUser",
        "ConnectionFailedWithUser",
        "DeviceLost",
        "DeviceRestored",
        "DevicesChanged",
        "DisconnectedFromUser",
        "Event",
        "EventStream",
        "InvalidEvent",
        "LocalStreamReceived",
        "QualityChanged",
        "ReceiveHungUpFromUser",
        "ReceiveNewSession",
        "RecordingChanged",
        "RemoteStreamReceived",
        "RemoteStreamRemoved",
        "ScreenSharingEnded",
        "SessionClosed",
        "UserNoAnswer",
        "UserRinging",
    ),
    "ringmesh.client.models": (
        "CubeSession",
        "CubeUser",
        "MissedCall",
    ),
    "ringmesh.client.recording": ("CallRecording",),
    "ringmesh.client.report": ("CallReport",),
    "ringmesh.client.push": (
        "CreateEventParams",
        "CreateSubscriptionParameters",
        "CubeEvent",
        "CubeSubscription",
        "PushNotifications",
    ),
    "ringmesh.client.rest": ("RestClient",),
    "ringmesh.client.screen_sharing": ("list_capture_sources",),
    "ringmesh.client.session": ("P2PSession",),
    "ringmesh.client.session_events": ("RTCSessionStateCallback",),
    "ringmesh.client.sign_in": ("discover",),
    "ringmesh.client.statistics": ("CubeStatsReport",),
    "ringmesh.client.stats_manager": (
        "CubeMicLevelEvent",
        "CubeStatsReportsManager",
        "CubeVideoBitrateEvent",
    ),
    "ringmesh.client.users": ("Users",),
    "ringmesh.errors": (
        "AuthenticationError",
        "ConfigurationError",
        "ConnectionFailedError",
        "InvalidStateError",
        "MediaError",
        "NotSupportedError",
        "ProtocolError",
        "RequestError",
        "RingmeshError",
        "SignalError",
        "StanzaError",
    ),
    "ringmesh.ice": ("IceServer",),
    "ringmesh.media.devices.model": (
        "CameraPosition",
        "MediaDevice",
        "MediaDeviceKind",
    ),
    "ringmesh.media.devices.processing": ("AudioProcessing",),
    "ringmesh.media.frames": (
        "AudioFrame",
        "VideoFrame",
    ),
    "ringmesh.media.quality": (
        "MediaDirection",
        "Quality",
        "QualityCause",
        "QualityLevel",
    ),
    "ringmesh.media.media_stream": (
        "MediaStream",
        "Subscription",
    ),
    "ringmesh.media.recorder": (
        "Recorder",
        "Recording",
    ),
    "ringmesh.media.screen.grabber": (
        "CaptureKind",
        "CaptureSource",
    ),
    "ringmesh.media.sources": (
        "PushAudioSource",
        "PushVideoSource",
    ),
    "ringmesh.media.stats": (
        "PathStats",
        "PeerStats",
        "ReceivedStats",
        "SentStats",
    ),
    "ringmesh.media.streams": (
        "LocalStream",
        "RemoteStream",
    ),
    "ringmesh.signals": (
        "CallType",
        "UserInfo",
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "DEFAULT_DIALING_TIME_INTERVAL",
    "DEFAULT_NO_ANSWER_TIMEOUT",
    "AudioFrame",
    "AudioProcessing",
    "AuthenticationError",
    "CallAcceptedByUser",
    "CallEvent",
    "CallKit",
    "CallRecording",
    "CallRejectedByUser",
    "CallReport",
    "CallState",
    "CallType",
    "CameraPosition",
    "CaptureKind",
    "CaptureSource",
    "ConfigurationError",
    "ConnectedToUser",
    "ConnectingToUser",
    "Connection",
    "ConnectionClosedForUser",
    "ConnectionFailedError",
    "ConnectionFailedWithUser",
    "CreateEventParams",
    "CreateSubscriptionParameters",
    "CubeChatConnection",
    "CubeChatConnectionSettings",
    "CubeChatConnectionState",
    "CubeEvent",
    "CubeMicLevelEvent",
    "CubeSession",
    "CubeStatsReport",
    "CubeStatsReportsManager",
    "CubeSubscription",
    "CubeUser",
    "CubeVideoBitrateEvent",
    "DeviceLost",
    "DeviceRestored",
    "DevicesChanged",
    "DisconnectedFromUser",
    "EndReason",
    "Endpoints",
    "Event",
    "EventStream",
    "IceServer",
    "InvalidEvent",
    "InvalidStateError",
    "LegState",
    "LocalStream",
    "LocalStreamReceived",
    "MediaDevice",
    "MediaDeviceKind",
    "MediaDirection",
    "MediaError",
    "MediaStream",
    "MissedCall",
    "NotSupportedError",
    "P2PClient",
    "P2PSession",
    "PathStats",
    "PeerStats",
    "ProtocolError",
    "PushAudioSource",
    "PushNotifications",
    "PushVideoSource",
    "Quality",
    "QualityCause",
    "QualityChanged",
    "QualityLevel",
    "RTCConfig",
    "RTCMediaConfig",
    "RTCSessionStateCallback",
    "ReceiveHungUpFromUser",
    "ReceiveNewSession",
    "ReceivedStats",
    "Recorder",
    "Recording",
    "RecordingChanged",
    "RemoteStream",
    "RemoteStreamReceived",
    "RemoteStreamRemoved",
    "RequestError",
    "RestClient",
    "RingmeshError",
    "ScreenSharingEnded",
    "SentStats",
    "SessionClosed",
    "SessionState",
    "SignalError",
    "StanzaError",
    "Subscription",
    "UserInfo",
    "UserNoAnswer",
    "UserRinging",
    "Users",
    "VideoFrame",
    "connect",
    "discover",
    "list_capture_sources",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
