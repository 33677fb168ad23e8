"""JSON of subscriptions, events and missed calls as the SDKs read it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from ringmesh.server.push.contract import Channel, Subscription
from ringmesh.server.push.input import EventInput
from ringmesh.server.push.messages import formed_text
from ringmesh.server.push.records import MissedCall
from ringmesh.server.push.service import Posted
from ringmesh.server.rest.shapes import iso_time


class Named(BaseModel):
    """An object that is only a name."""

    name: str


class DeviceShape(BaseModel):
    """The device of a subscription. Older mobile SDKs look here for the token, newer ones beside
    it."""

    udid: str
    platform: Named
    client_identification_sequence: str | None
    bundle_identifier: str | None
    environment: str


class SubscriptionShape(BaseModel):
    """A subscription."""

    id: int
    notification_channel: Named
    device: DeviceShape
    client_identification_sequence: str | None
    bundle_identifier: str | None
    environment: str


class SubscriptionItem(BaseModel):
    """One entry of a list of subscriptions."""

    subscription: SubscriptionShape

    @classmethod
    def of(cls, one: Subscription) -> SubscriptionItem:
        """The shape of a subscription; the keys of browsers stay here."""
        token: dict[str, Any] = {
            "client_identification_sequence": one.token or one.web_endpoint,
            "bundle_identifier": one.bundle_identifier,
            "environment": one.environment.value,
        }
        device = DeviceShape(udid=one.udid, platform=Named(name=one.platform), **token)
        channel = Named(name=one.channel)
        return cls(
            subscription=SubscriptionShape(
                id=one.id, notification_channel=channel, device=device, **token
            )
        )


class EventShape(BaseModel):
    """An event on one channel. ``message`` is in the channel's form."""

    id: int
    event_type: str
    message: str
    date: int
    period: int
    name: str | None
    occured_count: int
    created_at: str
    updated_at: str
    end_date: int | None
    active: bool
    application_id: int
    user_id: int
    kind: str
    environment: str | None
    tag_query: str | None
    notification_channel: Named


class EventItem(BaseModel):
    """One entry of the answer to an event."""

    event: EventShape

    @classmethod
    def of(cls, posted: Posted, request: EventInput, channel: Channel) -> EventItem:
        """The shape of an event on a channel."""
        event = posted.event
        seconds = event.created_ms // 1000
        return cls(
            event=EventShape(
                id=posted.id,
                event_type=request.event_type,
                message=formed_text(event.message, channel),
                date=seconds,
                period=0,
                name=request.name,
                occured_count=0,
                created_at=iso_time(seconds),
                updated_at=iso_time(seconds),
                end_date=None,
                active=True,
                application_id=event.application_id,
                user_id=event.user_id,
                kind="API",
                environment=request.environment,
                tag_query=None,
                notification_channel=Named(name=channel),
            )
        )


class MissedCallShape(BaseModel):
    """A call that was neither answered nor declined. ``call_type`` is 1 for video, 2 for audio."""

    id: int
    session_id: str
    caller_id: int
    call_type: int
    opponents_ids: list[int]
    called_at: str
    rang_seconds: int

    @classmethod
    def of(cls, call: MissedCall) -> MissedCallShape:
        """The shape of a missed call."""
        return cls(
            id=call.id,
            session_id=call.session_id,
            caller_id=call.caller_id,
            call_type=call.call_type,
            opponents_ids=list(call.opponents_ids),
            called_at=iso_time(call.called_at),
            rang_seconds=call.rang_seconds,
        )


class MissedCallPage(BaseModel):
    """A page of missed calls."""

    limit: int
    has_more: bool
    items: list[MissedCallShape]
