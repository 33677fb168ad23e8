"""Who may open a chat stream. The chat server asks here once per SASL exchange."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol


class ChatLogin(Enum):
    """The answer to a chat login.

    RATE_LIMITED means that too many attempts failed lately, and says nothing about this one.
    """

    ACCEPTED = auto()
    REFUSED = auto()
    RATE_LIMITED = auto()


class ChatAuthenticator(Protocol):
    """What the chat server needs of the accounts."""

    async def authenticate_chat(
        self, application_id: int, user_id: int, secret: str, address: str
    ) -> ChatLogin:
        """Check a user's password or one of the user's live session tokens.

        Args:
            secret: password or token, as the SASL PLAIN message carried it.
            address: the client's address without port, for rate limiting
                (see `ringmesh.server.client_address`).
        """
