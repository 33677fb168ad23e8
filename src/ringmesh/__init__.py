"""Ringmesh: peer-to-peer audio and video calls that you host yourself.

The public names of the SDK, and nothing else. Each is imported when it is first used, so that the
server does not load the media libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringmesh.client.chat_connection import CubeChatConnection, CubeChatConnectionState
    from ringmesh.client.client import P2PClient
    from ringmesh.client.config import (
        CubeChatConnectionSettings,
        Endpoints,
        RTCConfig,
        RTCMediaConfig,
    )
    from ringmesh.client.connection import Connection, connect, discover
    from ringmesh.client.models import CubeSession, CubeUser
    from ringmesh.client.session import P2PSession, RTCSessionStateCallback
    from ringmesh.signals import CallType

_MODULES = {
    "ringmesh.client.chat_connection": ("CubeChatConnection", "CubeChatConnectionState"),
    "ringmesh.client.client": ("P2PClient",),
    "ringmesh.client.config": (
        "CubeChatConnectionSettings",
        "Endpoints",
        "RTCConfig",
        "RTCMediaConfig",
    ),
    "ringmesh.client.connection": ("Connection", "connect", "discover"),
    "ringmesh.client.models": ("CubeSession", "CubeUser"),
    "ringmesh.client.session": ("P2PSession", "RTCSessionStateCallback"),
    "ringmesh.signals": ("CallType",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "CallType",
    "Connection",
    "CubeChatConnection",
    "CubeChatConnectionSettings",
    "CubeChatConnectionState",
    "CubeSession",
    "CubeUser",
    "Endpoints",
    "P2PClient",
    "P2PSession",
    "RTCConfig",
    "RTCMediaConfig",
    "RTCSessionStateCallback",
    "connect",
    "discover",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
