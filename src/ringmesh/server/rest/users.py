"""``/users``: reading and changing accounts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from ringmesh.errors import RequestError
from ringmesh.server.accounts.models import User
from ringmesh.server.accounts.user_input import MAX_INTEGER, UserInput
from ringmesh.server.rest.answers import empty, empty_or_refusals, refusals
from ringmesh.server.rest.shapes import UserAnswer, UserShape
from ringmesh.server.rest.state import (
    SESSION_REQUIRED,
    AnySession,
    Services,
    ServicesOf,
    SignedIn,
    StateOf,
)

router = APIRouter(tags=["users"])

_NO_MAIL = "This server sends no e-mail: ask its administrator for a new password"


class UserRequest(BaseModel):
    """A user object to write."""

    user: UserInput


@router.post("/users", status_code=201, responses=refusals(401, 403, 429))
async def create_user(
    body: UserRequest,
    services: ServicesOf,
    state: StateOf,
    auth_key: Annotated[str | None, Header(alias="CB-AuthKey")] = None,
) -> UserAnswer:
    """Sign up. Any live token authorises it, or the application's key without a token."""
    if not services.settings.allow_registration:
        raise RequestError(403, {"base": ["Only the administrator makes users on this server"]})
    if state.live is not None:
        application_id = state.live.session.application_id
    elif auth_key is not None:
        application_id = (await services.accounts.applications.with_key(auth_key)).id
    else:
        raise RequestError(401, {"base": [SESSION_REQUIRED]})
    user = await services.accounts.sign_in.sign_up(application_id, body.user, state.address)
    return UserAnswer(user=UserShape.of(user))


@router.put("/users", responses=refusals(404))
async def update_nobody() -> None:
    """Always refused: some SDKs send this when nobody is logged in."""
    raise RequestError(404, {"base": ["Say whom to change: PUT /users/{id}"]})


@router.put("/users/{user_id}", responses=refusals(401, 403, 404, 429))
async def update_user(
    user_id: int, body: UserRequest, me: SignedIn, services: ServicesOf, state: StateOf
) -> UserAnswer:
    """Change one's own account. A new password needs the old one, if there is one, and ends other
    sessions."""
    _only_oneself(me, user_id)
    if body.user.password is not None:
        await _check_old_password(services, me, body.user, state.address)
    user, password_changed = await services.accounts.users.update(me, body.user)
    if password_changed and state.live is not None:
        await services.accounts.sessions.end_others(state.live)
    return UserAnswer(user=UserShape.of(user))


@router.delete("/users/{user_id}", responses=empty_or_refusals(401, 403, 404))
async def delete_user(
    user_id: int, me: SignedIn, services: ServicesOf, state: StateOf
) -> PlainTextResponse:
    """Remove one's own account, with all sessions and chat connections."""
    _only_oneself(me, user_id)
    return await _remove(services, state, me)


@router.delete("/users/external/{external_id}", responses=empty_or_refusals(401, 403))
async def delete_external_user(
    external_id: str, me: SignedIn, services: ServicesOf, state: StateOf
) -> PlainTextResponse:
    """Remove one's own account by its id in another system."""
    if external_id not in (me.external_id, str(me.external_user_id)):
        raise RequestError(403, {"base": ["Only your own account"]})
    return await _remove(services, state, me)


@router.get("/users/external/{external_id}", responses=refusals(401, 404))
async def read_external_user(
    external_id: str, live: AnySession, services: ServicesOf
) -> UserAnswer:
    """The user with this id in another system."""
    users, application_id = services.accounts.users, live.session.application_id
    user = await users.by(application_id, "external_id", external_id)
    if user is None and external_id.isascii() and external_id.isdecimal() and len(external_id) < 19:
        user = await users.by(application_id, "external_user_id", int(external_id))
    return _found(user)


@router.post("/users/password/reset", responses=refusals())
@router.get("/users/password/reset", responses=refusals())
async def reset_password() -> None:
    """Always refused, since there is no mail service to prove an address with."""
    raise RequestError(422, {"base": [_NO_MAIL]})


@router.get("/users/{user_id}", responses=refusals(401, 404))
async def read_user(user_id: int, live: AnySession, services: ServicesOf) -> UserAnswer:
    """The user with this id."""
    if not 0 < user_id <= MAX_INTEGER:
        return _found(None)
    return _found(await services.accounts.users.get(live.session.application_id, user_id))


def _found(user: User | None) -> UserAnswer:
    if user is None:
        raise RequestError(404, {"base": ["There is no such user"]})
    return UserAnswer(user=UserShape.of(user))


def _only_oneself(me: User, user_id: int) -> None:
    if me.id != user_id:
        raise RequestError(403, {"base": ["Only your own account"]})


async def _check_old_password(
    services: Services, me: User, changes: UserInput, address: str
) -> None:
    if changes.old_password is None:
        if not me.is_guest and not await services.accounts.sign_in.has_password(me):
            return
        raise RequestError(422, {"old_password": ["is required to change the password"]})
    if not await services.accounts.sign_in.knows_password(me, changes.old_password, address):
        raise RequestError(422, {"old_password": ["is wrong"]})


async def _remove(services: Services, state: StateOf, me: User) -> PlainTextResponse:
    await services.accounts.users.remove(me)
    services.chat.disconnect_user(me.application_id, me.id)
    state.live = None
    return empty()
