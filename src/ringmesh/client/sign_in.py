"""Finding a server and signing in there: what everything that connects shares."""

from __future__ import annotations

import logging

from ringmesh.client.config import Endpoints, check_url
from ringmesh.client.models import CubeSession, CubeUser
from ringmesh.client.rest import HttpClient, RestClient
from ringmesh.client.users import Users
from ringmesh.errors import ConfigurationError, ProtocolError, RequestError, RingmeshError

_logger = logging.getLogger(__name__)

DISCOVERY_PATH = ".well-known/ringmesh.json"


def credentials_of(
    login: str | None,
    email: str | None,
    password: str | None,
    token: str | None,
    guest: str | None,
) -> dict[str, str] | None:
    """The ``user`` part of a session request; None when a token is used.

    Raises `ConfigurationError` unless exactly one way to sign in is given.
    """
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


async def sign_in(
    rest: RestClient, credentials: dict[str, str] | None, token: str | None = None
) -> CubeUser:
    """Sign in with credentials, which renew an expired session later, or with a token."""
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


async def sign_out(rest: RestClient, *, keep: bool) -> None:
    """Delete the session, unless it is to be kept, and close the connections."""
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
