"""``/calls`` and ``/ice_servers``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ringmesh.errors import ProtocolError, RequestError
from ringmesh.server.accounts.user_input import MAX_INTEGER
from ringmesh.server.ice import ice_servers
from ringmesh.server.rest.answers import refusals
from ringmesh.server.rest.push_shapes import MissedCallPage, MissedCallShape
from ringmesh.server.rest.shapes import Empty, IceServersAnswer, IceServerShape
from ringmesh.server.rest.state import ServicesOf, SignedIn

router = APIRouter(tags=["calls"])

MAX_RECIPIENTS = 20


def _as_list(value: object) -> object:
    """One id, a list of ids, or text with commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return value if isinstance(value, list) else [value]


UserId = Annotated[int, Field(ge=1, le=MAX_INTEGER)]


class RejectRequest(BaseModel):
    """``POST /calls/reject``. ``recipientId`` may be one id, a list, or text with commas."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    session_id: Annotated[
        str, Field(alias="sessionID", min_length=1, max_length=128, pattern=r"^[!-~]+$")
    ]
    recipient_ids: Annotated[
        list[UserId],
        BeforeValidator(_as_list, json_schema_input_type=int | str | list[int]),
        Field(alias="recipientId", min_length=1, max_length=MAX_RECIPIENTS),
    ]
    platform: Annotated[str, Field(max_length=32, pattern=r"^[A-Za-z0-9_.-]*$")] = "web"
    user_info: Annotated[dict[str, Any] | None, Field(alias="userInfo")] = None


@router.post("/calls/reject", responses=refusals(401, 403))
async def reject_call(body: RejectRequest, me: SignedIn, services: ServicesOf) -> Empty:
    """Decline a call without a chat connection, for instance from a push notification."""
    try:
        services.chat.reject_call(
            app_id=me.application_id,
            user_id=me.id,
            session_id=body.session_id,
            recipient_ids=body.recipient_ids,
            platform=body.platform.lower(),
            user_info=body.user_info or {},
        )
    except ProtocolError as error:  # all else has been checked
        raise RequestError(422, {"userInfo": [f"cannot be sent: {error}"]}) from None
    return Empty()


@router.get("/calls", responses=refusals(401, 403))
async def read_missed_calls(
    me: SignedIn,
    services: ServicesOf,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[int | None, Query(ge=1, le=MAX_INTEGER)] = None,
) -> MissedCallPage:
    """One's own missed calls, the newest first; the next page is ``before`` the last one's id."""
    found = await services.push.missed_calls(me, limit + 1, before)
    items = [MissedCallShape.of(call) for call in found[:limit]]
    return MissedCallPage(limit=limit, items=items, has_more=len(found) > limit)


@router.get("/ice_servers", responses=refusals(401, 403), response_model_exclude_none=True)
async def read_ice_servers(me: SignedIn, services: ServicesOf) -> IceServersAnswer:
    """STUN and TURN servers for this user's calls."""
    servers = ice_servers(services.settings, me.application_id, me.id, int(services.clock()))
    return IceServersAnswer(
        ice_servers=[
            IceServerShape(
                urls=list(server.urls), username=server.username, credential=server.credential
            )
            for server in servers
        ],
        ttl=services.settings.turn_credential_lifetime_seconds,
    )
