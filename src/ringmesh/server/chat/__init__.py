"""The chat: call signals between online users, over WebSocket (RFC 7395) and TCP (RFC 6120)."""

from ringmesh.server.chat.limits import ChatLimits
from ringmesh.server.chat.service import Authenticate, ChatService, LastActivity
from ringmesh.server.chat.tcp_wire import TcpSecurity

__all__ = ["Authenticate", "ChatLimits", "ChatService", "LastActivity", "TcpSecurity"]
