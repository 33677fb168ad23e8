"""`connect`: from a URL and a login to somebody who can call."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from ringmesh.client.chat_connection import CubeChatConnection
from ringmesh.client.client import P2PClient
from ringmesh.client.config import (
    CubeChatConnectionSettings,
    Endpoints,
    RTCConfig,
    RTCMediaConfig,
)
from ringmesh.client.models import CubeUser
from ringmesh.client.rest import OnSessionRestore, RestClient
from ringmesh.client.users import Users


class Connection:
    """A signed-in user.

    Attributes:
        user: who we are.
        calls: makes and receives calls.
        chat: the connection that carries their signals.
        rest: the REST session.
        users: looks users up.
    """

    user: CubeUser
    calls: P2PClient
    chat: CubeChatConnection
    rest: RestClient
    users: Users

    @property
    def id(self) -> int:
        """Our user id."""
        return self.user.id


def connect(
    url: str | None = None,
    *,
    login: str | None = None,
    email: str | None = None,
    password: str | None = None,
    token: str | None = None,
    guest: str | None = None,
    endpoints: Endpoints | None = None,
    app_id: int | None = None,
    auth_key: str | None = None,
    auth_secret: str | None = None,
    rtc: RTCConfig | None = None,
    media: RTCMediaConfig | None = None,
    chat: CubeChatConnectionSettings | None = None,
    timeout: float = 10.0,
    on_session_restore: OnSessionRestore | None = None,
) -> AbstractAsyncContextManager[Connection]:
    """Sign in at a server and be ready to call and to be called: ``async with connect(…) as me``.

    On leaving, running calls are hung up, the chat is logged out and the REST session deleted.

    Args:
        url: the server, for instance ``http://localhost:8080``; it tells where everything else is.
        login: sign in with `login` and `password`, or `email` and `password`, or the `token` of a
            session that exists (which is then not deleted on leaving), or as `guest` of this name.
        endpoints: where the server is, instead of `url`; needs `app_id` and `auth_key` too.
        timeout: seconds for each REST request.
        on_session_restore: makes a new session when the token has expired; by default the
            credentials are used again.

    Raises:
        ConfigurationError: not exactly one way to sign in, or no way to find the server.
        AuthenticationError: the credentials were refused.
        ConnectionFailedError: the server could not be reached.
    """
    raise NotImplementedError
