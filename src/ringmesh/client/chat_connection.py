"""The chat connection as the application sees it: kept up for as long as it is wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import Enum


class CubeChatConnectionState(Enum):
    """What the chat connection is doing."""

    IDLE = "idle"
    CONNECTING = "connecting"
    READY = "ready"
    RECONNECTING = "reconnecting"
    AUTHENTICATION_FAILURE = "authentication-failure"
    FORCE_CLOSED = "force-closed"
    CLOSED = "closed"


class CubeChatConnection:
    """Carries call signals and comes back by itself after it was lost."""

    @property
    def state(self) -> CubeChatConnectionState:
        """What it is doing now."""
        raise NotImplementedError

    @property
    def connection_state_stream(self) -> AsyncIterator[CubeChatConnectionState]:
        """The state now and each one after it."""
        raise NotImplementedError

    def is_authenticated(self) -> bool:
        """Whether signals can be sent at this moment."""
        raise NotImplementedError

    async def login(self) -> None:
        """Connect. Raises `AuthenticationError` or `ConnectionFailedError` if that fails."""
        raise NotImplementedError

    async def relogin(self) -> None:
        """Drop the connection and make a new one at once."""
        raise NotImplementedError

    async def logout(self) -> None:
        """Close it in order. `login` opens it again."""
        raise NotImplementedError

    async def destroy(self) -> None:
        """Close it for good."""
        raise NotImplementedError
