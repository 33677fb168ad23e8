"""The chat service: what the rest of the server sees of the chat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from prometheus_client.metrics_core import Metric

from ringmesh.server.bus import Bus
from ringmesh.server.chat.limits import ChatLimits

Authenticate: TypeAlias = Callable[[int, int, str, str], Awaitable[object]]
"""``authenticate_chat(app_id, user_id, password_or_token, peer_address)``.

Raises `ringmesh.errors.AuthenticationError` when refused; the result is not used.
"""

LastActivity: TypeAlias = Callable[[int, int], Awaitable[datetime | None]]
"""``last_activity(app_id, user_id)``: when an offline user was last seen; None: never, or no such user."""


class ChatService:
    """Owns every chat connection of this node.

    Pass `websocket` to uvicorn as ``ws=``; call `start` before serving and `close` after.

    Args:
        domain: the domain of the addresses it hands out.
        authenticate: decides on logins.
        last_activity: answers for users who are offline.
        bus: reaches users on other nodes.
        limits: bounds on what one client may use.
    """

    def __init__(
        self,
        *,
        domain: str,
        authenticate: Authenticate,
        bus: Bus,
        last_activity: LastActivity | None = None,
        limits: ChatLimits | None = None,
    ) -> None: ...

    def websocket(self, config: Any, server_state: Any, app_state: Any) -> asyncio.BaseProtocol:
        """Make the protocol object that takes over an upgraded connection (uvicorn's ``ws=``)."""
        raise NotImplementedError

    async def start(self) -> None:
        """Join the bus and begin to watch over connections."""

    async def close(self) -> None:
        """Close every stream and socket, within `ChatLimits.close_seconds`."""

    def online_users(self, app_id: int) -> list[int]:
        """Ids of the users of an application that are online on this node, ascending."""
        raise NotImplementedError

    def is_online(self, app_id: int, user_id: int) -> bool:
        """Whether the user has at least one device online on this node."""
        raise NotImplementedError

    def reject_call(
        self,
        *,
        app_id: int,
        user_id: int,
        session_id: str,
        recipient_ids: list[int],
        platform: str,
        user_info: Mapping[str, object],
    ) -> None:
        """Send a ``reject`` signal in the name of `user_id` (``POST /calls/reject``).

        It goes to every device of each recipient, which is looked up in `app_id` only, and as a
        carbon to the rejecting user's own devices, so that they stop ringing. Who called and with
        what media is taken from the ``call`` signals seen for `session_id`; unknown calls are
        reported as video calls by the recipient.
        """
        raise NotImplementedError

    def disconnect_user(self, app_id: int, user_id: int) -> None:
        """Close every connection of a user, who was deleted or lost the right to be here."""

    def collect(self) -> Iterator[Metric]:
        """Metrics for a `prometheus_client` registry (``registry.register(chat)``)."""
        raise NotImplementedError
