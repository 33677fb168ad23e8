"""``/users``: finding people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from ringmesh.errors import RequestError
from ringmesh.server.rest.answers import refusals
from ringmesh.server.rest.shapes import (
    NumberedUserPage,
    OnlineUsers,
    UserAnswer,
    UserCount,
    UserItem,
    UserPage,
    UserShape,
)
from ringmesh.server.rest.state import AnySession, Services, ServicesOf
from ringmesh.server.rest.user_queries import MAX_VALUES, Pairs, v1_query, v2_query
from ringmesh.server.store.contract import Condition, Operator

router = APIRouter(tags=["users"])

# Path -> parameter and field. The JavaScript SDK asks for /users/phone.
_LOOKUPS = {
    "/users/by_login": "login",
    "/users/by_email": "email",
    "/users/by_facebook_id": "facebook_id",
    "/users/by_twitter_id": "twitter_id",
    "/users/by_phone": "phone",
    "/users/phone": "phone",
}


def _described(**parameters: str) -> dict[str, Any]:
    """OpenAPI's description of optional query parameters that a handler reads by itself."""
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "description": text, "schema": _TEXT}
            for name, text in parameters.items()
        ]
    }


_TEXT = {"type": "string"}
_NUMBERED = {"page": "From 1.", "per_page": "At most 100.", "order": "``asc TYPE FIELD``."}
_V2 = _described(
    **{
        "id": "One of the fields to search by.",
        "login[start_with]": "One of the fields, with an operator.",
        "user_tags[nin][]": "One of the fields, with an operator that takes several values.",
        "limit": "At most 100.",
        "offset": "How many to skip.",
        "sort_asc": "A field.",
        "sort_desc": "A field.",
    }
)
_V1 = _described(**_NUMBERED, **{"filter[]": "``TYPE FIELD OPERATOR VALUE``."})
_BY_TAGS = _described(**_NUMBERED, tags="With commas.")


@router.get("/users/v2", responses=refusals(401), openapi_extra=_V2)
async def search(request: Request, live: AnySession, services: ServicesOf) -> UserPage:
    """Search with ``field=value`` and ``field[operator]=value``, ``limit``, ``offset``,
    ``sort_asc`` or ``sort_desc``."""
    query = v2_query(request.query_params.multi_items())
    total, users = await services.accounts.users.find(live.session.application_id, query)
    return UserPage(
        limit=query.limit,
        skip=query.offset,
        total_entries=total,
        items=[UserShape.of(user) for user in users],
    )


@router.get("/users", responses=refusals(401), openapi_extra=_V1)
async def list_users(request: Request, live: AnySession, services: ServicesOf) -> NumberedUserPage:
    """The older search: ``filter[]=TYPE FIELD OPERATOR VALUE``, ``order``, ``page``,
    ``per_page``."""
    return await _numbered_page(services, live, request.query_params.multi_items())


@router.get("/users/by_full_name", responses=refusals(401), openapi_extra=_described(**_NUMBERED))
async def by_full_name(
    full_name: Annotated[str, Query(min_length=1)],
    request: Request,
    live: AnySession,
    services: ServicesOf,
) -> NumberedUserPage:
    """Users whose full name begins like this."""
    test = Condition("full_name", Operator.STARTS_WITH, (full_name,))
    return await _numbered_page(services, live, request.query_params.multi_items(), test)


@router.get("/users/by_tags", responses=refusals(401), openapi_extra=_BY_TAGS)
async def by_tags(request: Request, live: AnySession, services: ServicesOf) -> NumberedUserPage:
    """Users with at least one of these tags: ``tags=a,b`` or ``tags[]=a&tags[]=b``."""
    pairs = request.query_params.multi_items()
    tags = [tag for name, value in pairs if name in ("tags", "tags[]") for tag in value.split(",")]
    wanted = tuple(filter(None, map(str.strip, tags)))
    if not 0 < len(wanted) <= MAX_VALUES:
        raise RequestError(422, {"tags": [f"must be 1 to {MAX_VALUES}"]})
    test = Condition("user_tags", Operator.IN, wanted)
    return await _numbered_page(services, live, pairs, test)


@router.get("/users/online", responses=refusals(401))
async def online(
    live: AnySession,
    services: ServicesOf,
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    count: bool = False,
) -> OnlineUsers | UserCount:
    """Users who have an open chat connection, or with ``count=true`` how many they are."""
    application_id = live.session.application_id
    ids = services.chat.online_users(application_id)
    if count:
        return UserCount(count=len(ids))
    users = await services.accounts.users.with_ids(application_id, ids[offset : offset + limit])
    return OnlineUsers(users=[UserShape.of(user) for user in users])


def _lookup(field: str) -> Callable[..., Awaitable[UserAnswer]]:
    async def by(live: AnySession, services: ServicesOf, value: str) -> UserAnswer:
        user = await services.accounts.users.by(live.session.application_id, field, value)
        if user is None:
            raise RequestError(404, {"base": ["There is no such user"]})
        return UserAnswer(user=UserShape.of(user))

    # An annotation as written could not name `field`: annotations are text, read later.
    by.__annotations__["value"] = Annotated[str, Query(alias=field, min_length=1, max_length=255)]
    by.__doc__ = f"The user with this {field}."
    return by


for _path, _field in _LOOKUPS.items():
    router.add_api_route(
        _path, _lookup(_field), response_model=UserAnswer, responses=refusals(401, 404),
        operation_id=_path.strip("/").replace("/", "_"),
    )  # fmt: skip


async def _numbered_page(
    services: Services, live: AnySession, pairs: Pairs, *tests: Condition
) -> NumberedUserPage:
    page, query = v1_query(pairs, tests)
    total, users = await services.accounts.users.find(live.session.application_id, query)
    return NumberedUserPage(
        current_page=page,
        per_page=query.limit,
        total_entries=total,
        items=[UserItem(user=UserShape.of(user)) for user in users],
    )
