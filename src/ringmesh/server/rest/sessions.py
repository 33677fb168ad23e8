"""``/session`` and ``/login``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from ringmesh.errors import AuthenticationError, RequestError
from ringmesh.server.accounts.models import Application, User
from ringmesh.server.accounts.signature import is_signed
from ringmesh.server.accounts.user_input import MAX_INTEGER, UserInput
from ringmesh.server.rest.answers import empty, empty_or_refusals, refusals
from ringmesh.server.rest.shapes import SessionAnswer, UserAnswer, UserShape
from ringmesh.server.rest.state import (
    SESSION_REQUIRED,
    AnySession,
    Services,
    ServicesOf,
    StateOf,
)

router = APIRouter(tags=["sessions"])


class SessionUser(UserInput):
    """Who logs in: login or e-mail address with password, or a guest."""

    guest: bool | None = None


class SessionRequest(BaseModel):
    """``POST /session``."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    application_id: Annotated[int, Field(ge=0, le=MAX_INTEGER)]
    auth_key: Annotated[str, Field(max_length=255)]
    user: SessionUser | None = None
    provider: str | None = None
    nonce: str | None = None
    timestamp: str | None = None
    signature: str | None = None


class LoginRequest(UserInput):
    """``POST /login``: the members of ``user``, not nested."""

    provider: str | None = None


@router.post("/session", status_code=201, responses=refusals(401, 403, 429))
async def create_session(
    body: SessionRequest, request: Request, services: ServicesOf, state: StateOf
) -> SessionAnswer:
    """Open a session: of the application alone, of a user, or of a new guest."""
    application = await services.accounts.applications.authorize(body.application_id, body.auth_key)
    _check_signature(services, application, await request.json())
    if body.provider is not None:
        raise _no_providers()
    user = None
    if body.user is not None and body.user.model_fields_set:
        user = await _session_user(services, application, body.user, state.address)
    state.live = await services.accounts.sessions.open(application.id, user)
    nonce = body.nonce or ""
    short = nonce.isascii() and nonce.isdecimal() and len(nonce) < 20
    return SessionAnswer.of(
        state.live, await _reread(services, user), int(nonce) if short else None
    )


@router.get("/session", responses=refusals(401))
async def read_session(live: AnySession, services: ServicesOf) -> SessionAnswer:
    """The session of this token."""
    session = live.session
    user = None
    if session.user_id is not None:
        user = await services.accounts.users.get(session.application_id, session.user_id)
    return SessionAnswer.of(live, user)


@router.delete("/session", responses=empty_or_refusals())
async def delete_session(services: ServicesOf, state: StateOf) -> PlainTextResponse:
    """End this session. Succeeds as well when it had ended already."""
    if state.live is not None:
        await services.accounts.sessions.end(state.live)
        state.live = None
    return empty()


@router.delete("/session/list", responses=empty_or_refusals(401))
async def delete_other_sessions(live: AnySession, services: ServicesOf) -> PlainTextResponse:
    """End all of the user's sessions except this one."""
    await services.accounts.sessions.end_others(live)
    return empty()


@router.delete("/session/{session_id}", responses=empty_or_refusals(401, 404))
async def delete_one_session(
    session_id: int, live: AnySession, services: ServicesOf, state: StateOf
) -> PlainTextResponse:
    """End one of the user's own sessions."""
    if not 0 < session_id <= MAX_INTEGER or not await services.accounts.sessions.end_other(
        live, session_id
    ):
        raise RequestError(404, {"base": ["You have no such session"]})
    if session_id == live.session.id:
        state.live = None
    return empty()


@router.post("/login", status_code=202, responses=refusals(401, 429))
async def login(
    body: LoginRequest, live: AnySession, services: ServicesOf, state: StateOf
) -> UserAnswer:
    """Make this session a user's."""
    if body.provider is not None:
        raise _no_providers()
    user = await services.accounts.sign_in.sign_in(live.session.application_id, body, state.address)
    state.live = await services.accounts.sessions.sign_in(live, user)
    if state.live is None:
        raise AuthenticationError(SESSION_REQUIRED)
    return UserAnswer(user=UserShape.of(user))


@router.delete("/login", responses=empty_or_refusals(401))
async def logout(live: AnySession, services: ServicesOf, state: StateOf) -> PlainTextResponse:
    """Make this session one of the application alone."""
    state.live = await services.accounts.sessions.sign_out(live)
    return empty()


def _check_signature(services: Services, application: Application, body: Any) -> None:
    if body.get("signature") is None:
        if services.settings.require_signature:
            raise RequestError(422, {"signature": ["is required"]})
    elif not is_signed(body, application.secret):
        raise AuthenticationError("Wrong signature")


async def _session_user(
    services: Services, application: Application, given: SessionUser, address: str
) -> User:
    if not given.guest:
        return await services.accounts.sign_in.sign_in(
            application.id, given, address, may_create=True
        )
    if not services.settings.allow_guests:
        raise RequestError(403, {"base": ["This server has no guests"]})
    return await services.accounts.sign_in.admit_guest(application.id, given, address)


async def _reread(services: Services, user: User | None) -> User | None:
    """The user with the time of this request."""
    if user is None:
        return None
    return await services.accounts.users.get(user.application_id, user.id)


def _no_providers() -> RequestError:
    text = "is not supported: this server knows logins, e-mail addresses and guests"
    return RequestError(422, {"provider": [text]})
