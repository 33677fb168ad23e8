"""Pushes for tests."""

from __future__ import annotations

import time
from typing import Any

from ringmesh.server.push.contract import (
    Channel,
    Environment,
    Kind,
    Message,
    Platform,
    Push,
    Subscription,
)

SESSION = "0b5ac0a7-9d8c-4f0e-8a6e-3b9f3f0a1c2d"
CALL = {
    "message": "Incoming Video call",
    "ios_voip": 1,
    "signal_type": "startCall",
    "session_id": SESSION,
    "call_type": 1,
    "caller_id": 4001,
    "caller_name": "Ada",
    "call_opponents": "4002,4003",
}


def subscription(channel: Channel = Channel.APNS, **changes: Any) -> Subscription:
    """A device of user 4002."""
    values: dict[str, Any] = {
        "id": 1,
        "application_id": 777,
        "user_id": 4002,
        "channel": channel,
        "platform": Platform.IOS,
        "udid": "device",
        "environment": Environment.PRODUCTION,
        **changes,
    }
    return Subscription(**values)


def push(target: Subscription, values: dict[str, Any] | None = None, **changes: Any) -> Push:
    """The start of a call, good for half a minute."""
    given: dict[str, Any] = {
        "id": 1,
        "subscription": target,
        "message": Message(CALL if values is None else values),
        "expires_at": int(time.time()) + 30,
        "kind": Kind.START,
        "tag": SESSION,
        **changes,
    }
    return Push(**given)
