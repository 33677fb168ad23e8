"""`connect`: from a URL and a login to somebody who can call."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ringmesh.client.chat_connection import CubeChatConnection
from ringmesh.client.client import P2PClient
from ringmesh.client.config import (
    CubeChatConnectionSettings,
    Endpoints,
    RTCConfig,
    RTCMediaConfig,
    check_url,
)
from ringmesh.client.models import CubeSession, CubeUser
from ringmesh.client.network import NetworkWatcher
from ringmesh.client.rest import HttpClient, OnSessionRestore, RestClient
from ringmesh.client.users import Users
from ringmesh.errors import ConfigurationError, ProtocolError, RequestError, RingmeshError

_logger = logging.getLogger(__name__)

DISCOVERY_PATH = ".well-known/ringmesh.json"


class Connection:
    """A signed-in user.

    Attributes:
        user: who we are.
        calls: makes and receives calls.
        chat: the connection that carries their signals.
        rest: the REST session.
        users: looks users up.
    """

    def __init__(
        self, user: CubeUser, calls: P2PClient, chat: CubeChatConnection, rest: RestClient
    ) -> None:
        self.user = user
        self.calls = calls
        self.chat = chat
        self.rest = rest
        self.users = Users(rest)

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
    credentials = _credentials(login, email, password, token, guest)
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
        user = await _sign_in(rest, credentials, token)
        await calls.start()
        await connection.login()
        await network.start()
        yield Connection(user, calls, connection, rest)
    finally:
        network.close()
        await calls.close()
        await connection.destroy()
        await _sign_out(rest, keep=token is not None)


def _credentials(
    login: str | None,
    email: str | None,
    password: str | None,
    token: str | None,
    guest: str | None,
) -> dict[str, str] | None:
    """The ``user`` part of a session request; None when a token is used."""
    if sum(way is not None for way in (login, email, token, guest)) != 1:
        raise ConfigurationError("sign in with one of login, email, token and guest")
    if (password is None) != (login is None and email is None):
        raise ConfigurationError("login and email need a password, token and guest have none")
    if guest is not None:
        return {"guest": "1", "full_name": guest}
    if login is not None:
        return {"login": login, "password": password or ""}
    if email is not None:
        return {"email": email, "password": password or ""}
    return None


async def _sign_in(
    rest: RestClient, credentials: dict[str, str] | None, token: str | None
) -> CubeUser:
    if credentials is not None:
        again = dict(credentials)

        async def restore() -> CubeSession:
            return await rest.create_session(again)

        if rest.on_session_restore is None and "guest" not in credentials:
            rest.on_session_restore = restore
        session = await rest.create_session(credentials)
    else:
        session = await rest.adopt_token(token or "")
    if session.user is not None:
        return session.user
    return await Users(rest).get(session.user_id)


async def _sign_out(rest: RestClient, *, keep: bool) -> None:
    try:
        if not keep:
            await rest.delete_session()
    except RingmeshError as error:
        _logger.info("session not deleted: %s", error)
    finally:
        await rest.aclose()


async def discover(url: str, *, timeout: float = 10.0) -> Endpoints:
    """Ask a server for its endpoints and its application.

    Raises `ConfigurationError` for what is no URL, `ConnectionFailedError` when nobody answers
    there within `timeout` seconds, and `ProtocolError` when it is no Ringmesh server.
    """
    check_url("url", url, "http", "https")
    http = HttpClient(url, timeout=timeout)
    try:
        answer = await http.request("GET", DISCOVERY_PATH)
    except RequestError as error:
        raise ProtocolError(f"{url} is no Ringmesh server: {error}") from error
    finally:
        await http.aclose()
    try:
        return Endpoints(
            app_id=int(answer["application_id"]),
            auth_key=str(answer["auth_key"]),
            api_url=url.rstrip("/"),
            chat_url=str(answer["chat_url"]),
            chat_domain=str(answer["chat_domain"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"{url} is no Ringmesh server: {error!r}") from error
