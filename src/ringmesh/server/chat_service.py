"""The chat server as the rest of the server sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

from ringmesh.server.accounts.chat_login import ChatAuthenticator
from ringmesh.server.settings import Settings
from ringmesh.signals import UserInfo


class ChatService(Protocol):
    """Live chat streams of this node. Made by `ringmesh.server.app`, closed by it."""

    @property
    def websocket_protocol(self) -> Callable[..., asyncio.Protocol]:
        """Made by uvicorn for each WebSocket upgrade, as its ``ws=`` protocol class is:
        ``(*, config, server_state, app_state)``, then ``connection_made`` with the transport and
        ``data_received`` with the complete request head. It owns the connection from then on and
        itself refuses other paths than ``/chat``.
        """

    def online_users(self, application_id: int) -> Collection[int]:
        """The users with at least one bound resource."""

    def connection_count(self) -> int:
        """Open chat connections, bound or not."""

    def reject_call(
        self,
        application_id: int,
        user_id: int,
        recipient_ids: Collection[int],
        session_id: str,
        platform: str,
        user_info: UserInfo,
    ) -> None:
        """Send a ``reject`` signal in a user's name, and a copy to the user's own devices."""

    def disconnect_user(self, application_id: int, user_id: int) -> None:
        """Close all streams of a user whose account is gone or whose password changed."""

    async def close(self) -> None:
        """Close every stream properly; returns when the sockets are closed. Idempotent."""


class ChatFactory(Protocol):
    """How `ringmesh.server.app` makes the chat server."""

    def __call__(self, settings: Settings, authenticator: ChatAuthenticator) -> ChatService:
        """Called once, on the running event loop."""
