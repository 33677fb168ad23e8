"""What one request carries from the middleware to its handler, and who may call what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from ringmesh.errors import RequestError
from ringmesh.server.accounts.models import User
from ringmesh.server.accounts.service import Accounts
from ringmesh.server.accounts.sessions import LiveSession
from ringmesh.server.chat import ChatService
from ringmesh.server.metrics import Metrics
from ringmesh.server.push.service import PushService
from ringmesh.server.settings import Settings

SESSION_REQUIRED = "Required session does not exist"
"""SDKs compare this text to find out that they have to log in again."""

SCOPE_KEY = "ringmesh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the handlers work with."""

    accounts: Accounts
    chat: ChatService
    push: PushService
    settings: Settings
    metrics: Metrics
    clock: Callable[[], float]


@dataclass(slots=True, kw_only=True)
class RequestState:
    """One request.

    Attributes:
        address: the client's, without port.
        direct: neither a proxy nor a web page stood between.
        base_url: by which the client reached the server, without trailing slash.
        live: the session of the request's token, or the one that the handler has just made.
    """

    address: str
    direct: bool
    base_url: str
    live: LiveSession | None = None


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _state(request: Request) -> RequestState:
    state: RequestState = request.scope[SCOPE_KEY]
    return state


ServicesOf = Annotated[Services, Depends(_services)]
StateOf = Annotated[RequestState, Depends(_state)]


async def _live(request: Request) -> LiveSession:
    state: RequestState = request.scope[SCOPE_KEY]
    if state.live is None:
        raise RequestError(401, {"base": [SESSION_REQUIRED]})
    return state.live


AnySession = Annotated[LiveSession, Depends(_live)]
"""A live session, be it a user's or an application's."""


async def _signed_in(request: Request) -> User:
    live = await _live(request)  # not as a dependency of its own: each costs about 0.1 ms
    if live.session.user_id is None:
        raise RequestError(403, {"base": ["Log in as a user to do this"]})
    if live.user is None:
        raise RequestError(401, {"base": [SESSION_REQUIRED]})
    return live.user


SignedIn = Annotated[User, Depends(_signed_in)]
"""The user whose session this is."""
