"""`connect`: from a URL and a login to somebody who can call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ringmesh.client.chat_connection import CubeChatConnection
from ringmesh.client.client import P2PClient
from ringmesh.client.config import (
    CubeChatConnectionSettings,
    Endpoints,
    RTCConfig,
    RTCMediaConfig,
)
from ringmesh.client.models import CubeUser
from ringmesh.client.network import NetworkWatcher
from ringmesh.client.push import PushNotifications
from ringmesh.client.rest import OnSessionRestore, RestClient
from ringmesh.client.sign_in import credentials_of, discover, sign_in, sign_out
from ringmesh.client.users import Users
from ringmesh.errors import ConfigurationError


class Connection:
    """A signed-in user.

    Attributes:
        user: who we are.
        calls: makes and receives calls.
        chat: the connection that carries their signals.
        rest: the REST session.
        users: looks users up.
        push: subscribes devices to pushes, and sends them.
    """

    def __init__(
        self, user: CubeUser, calls: P2PClient, chat: CubeChatConnection, rest: RestClient
    ) -> None:
        self.user = user
        self.calls = calls
        self.chat = chat
        self.rest = rest
        self.users = Users(rest)
        self.push = PushNotifications(rest)

    @property
    def id(self) -> int:
        """Our user id."""
        return self.user.id


@asynccontextmanager
async def connect(
    url: str | None = None,
    *,
    login: str | None = None,
    email: str | None = None,
    password: str | None = None,
    token: str | None = None,
    guest: str | None = None,
    endpoints: Endpoints | None = None,
    auth_secret: str | None = None,
    rtc: RTCConfig | None = None,
    media: RTCMediaConfig | None = None,
    chat: CubeChatConnectionSettings | None = None,
    timeout: float = 10.0,
    on_session_restore: OnSessionRestore | None = None,
) -> AsyncIterator[Connection]:
    """Sign in at a server and be ready to call and to be called: ``async with connect(…) as me``.

    On leaving, running calls are hung up, the chat is logged out and the REST session deleted.

    Args:
        url: the server, for instance ``http://localhost:8080``; it tells where everything else is.
        login: sign in with `login` and `password`, or `email` and `password`, or the `token` of a
            session that exists (which is then not deleted on leaving), or as `guest` of this name.
        endpoints: instead of `url`: where everything is, without asking.
        auth_secret: the application's secret, where the server wants signed requests.
        timeout: seconds for each REST request.
        on_session_restore: makes a new session when the token has expired; by default the
            credentials are used again.

    Raises:
        ConfigurationError: not exactly one way to sign in, or no way to find the server.
        AuthenticationError: the credentials were refused.
        ConnectionFailedError: the server could not be reached.
    """
    credentials = credentials_of(login, email, password, token, guest)
    if (url is None) == (endpoints is None):
        raise ConfigurationError("give either url or endpoints")
    if endpoints is None:
        endpoints = await discover(url or "", timeout=timeout)
    rest = RestClient(
        endpoints.api_url,
        app_id=endpoints.app_id,
        auth_key=endpoints.auth_key,
        auth_secret=auth_secret,
        timeout=timeout,
        on_session_restore=on_session_restore,
    )
    connection = CubeChatConnection(rest, endpoints, chat or CubeChatConnectionSettings())
    calls = P2PClient(connection, rest, rtc, media)
    network = NetworkWatcher(endpoints.chat_url, lambda moved: calls.network_changed(moved=moved))
    try:
        user = await sign_in(rest, credentials, token)
        await calls.start()
        await connection.login()
        await network.start()
        yield Connection(user, calls, connection, rest)
    finally:
        network.close()
        await calls.close()
        await connection.destroy()
        await sign_out(rest, keep=token is not None)
