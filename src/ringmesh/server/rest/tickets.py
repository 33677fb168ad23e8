"""``/calls/ticket``: answering a call that a push tells of, without a session."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from ringmesh.errors import AuthenticationError
from ringmesh.server.push.tickets import Ticket, application_of
from ringmesh.server.rest.answers import refusals
from ringmesh.server.rest.calls import MAX_RECIPIENTS, UserId
from ringmesh.server.rest.shapes import Empty, SessionAnswer
from ringmesh.server.rest.state import Services, ServicesOf, StateOf

router = APIRouter(tags=["calls"])


class TicketRequest(BaseModel):
    """A ticket as it came with the push, and the call that it is for."""

    model_config = ConfigDict(extra="ignore")

    ticket: Annotated[str, Field(max_length=256)]
    session_id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[!-~]+$")]


class TicketReject(TicketRequest):
    """Whom to tell that the call is declined."""

    recipient_ids: Annotated[list[UserId], Field(min_length=1, max_length=MAX_RECIPIENTS)]


@router.post("/calls/ticket/session", status_code=201, responses=refusals(401))
async def open_session(body: TicketRequest, services: ServicesOf, state: StateOf) -> SessionAnswer:
    """Open a session of the user who is called, in which to take the call."""
    ticket = _ticket(body, services)
    user = await services.accounts.users.get(ticket.application_id, ticket.user_id)
    if user is None:
        raise _refusal()
    state.live = await services.accounts.sessions.open(ticket.application_id, user)
    return SessionAnswer.of(state.live, user)


@router.post("/calls/ticket/reject", responses=refusals(401))
async def reject_call(body: TicketReject, services: ServicesOf) -> Empty:
    """Decline the call in the name of the user who is called."""
    ticket = _ticket(body, services)
    services.chat.reject_call(
        app_id=ticket.application_id,
        user_id=ticket.user_id,
        session_id=body.session_id,
        recipient_ids=body.recipient_ids,
        platform="web",
        user_info={},
    )
    return Empty()


def _ticket(body: TicketRequest, services: Services) -> Ticket:
    application_id = application_of(body.ticket)
    tickets = None if application_id is None else services.push.tickets(application_id)
    ticket = tickets and tickets.read(body.ticket, body.session_id, services.clock())
    if not ticket:
        raise _refusal()
    return ticket


def _refusal() -> AuthenticationError:
    return AuthenticationError("This ticket is not good, or no longer")
