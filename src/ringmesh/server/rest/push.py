"""``/subscriptions`` and ``/events``."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from ringmesh.errors import RequestError
from ringmesh.server.accounts.user_input import MAX_INTEGER
from ringmesh.server.push.input import EventRequest, SubscriptionInput
from ringmesh.server.rest.answers import empty, empty_or_refusals, refusals
from ringmesh.server.rest.push_shapes import EventItem, SubscriptionItem
from ringmesh.server.rest.state import ServicesOf, SignedIn

router = APIRouter(tags=["push"])


@router.post("/subscriptions", status_code=201, responses=refusals(401, 403))
async def create_subscription(
    body: SubscriptionInput, me: SignedIn, services: ServicesOf
) -> list[SubscriptionItem]:
    """Let a device be reached. Replaces the subscription of the same device and channel; whoever
    had the token before has it no longer."""
    return [SubscriptionItem.of(await services.push.subscribe(me, body))]


@router.get("/subscriptions", responses=refusals(401, 403))
async def list_subscriptions(me: SignedIn, services: ServicesOf) -> list[SubscriptionItem]:
    """One's own subscriptions."""
    return [SubscriptionItem.of(one) for one in await services.push.subscriptions(me)]


@router.delete("/subscriptions/{subscription_id}", responses=empty_or_refusals(401, 403, 404))
async def delete_subscription(
    subscription_id: int, me: SignedIn, services: ServicesOf
) -> PlainTextResponse:
    """Remove one of one's own subscriptions."""
    if not 0 < subscription_id <= MAX_INTEGER:
        raise RequestError(404, {"base": ["There is no such subscription of yours"]})
    await services.push.unsubscribe(me, subscription_id)
    return empty()


@router.post("/events", status_code=201, responses=refusals(401, 403, 429))
async def create_event(body: EventRequest, me: SignedIn, services: ServicesOf) -> list[EventItem]:
    """Send a push to users of the application. It is safe in the outbox when this answers; the
    list has an entry for each channel on which it goes out, so it may be empty."""
    posted = await services.push.post(me, body.event)
    return [EventItem.of(posted, body.event, channel) for channel in posted.channels]
