"""The chat: call signals between online users, over WebSocket (RFC 7395)."""

from ringmesh.server.chat.limits import ChatLimits
from ringmesh.server.chat.service import Authenticate, ChatService, LastActivity

__all__ = ["Authenticate", "ChatLimits", "ChatService", "LastActivity"]
