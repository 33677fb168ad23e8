"""Push subscriptions of this user's devices, and events that reach others' devices."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from ringmesh.client.models import integer_in, object_of, text_in
from ringmesh.client.rest import RestClient, path_segment
from ringmesh.errors import ConfigurationError, ProtocolError

PushChannel: TypeAlias = Literal["gcm", "apns", "apns_voip", "web"]
PushEnvironment: TypeAlias = Literal["development", "production"]

MAX_ENTRIES = 10_000
"""Entries that are read of one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSubscriptionParameters:
    """How a device is reached.

    Attributes:
        platform: ``ios``, ``android`` or ``web``.
        udid: what tells this device from others, such as `CallKit.get_token`.
        push_token: FCM or APNs token; for the channel ``web`` None, with the three fields of the
            browser's PushSubscription instead.
    """

    channel: PushChannel
    platform: Literal["ios", "android", "web"]
    udid: str
    environment: PushEnvironment = "production"
    push_token: str | None = None
    bundle_identifier: str | None = None
    web_endpoint: str | None = None
    web_auth: str | None = None
    web_p256dh: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The body of the request."""
        token = {
            "environment": self.environment,
            "client_identification_sequence": self.push_token,
            "bundle_identifier": self.bundle_identifier,
            "web_endpoint": self.web_endpoint,
            "web_auth": self.web_auth,
            "web_p256dh": self.web_p256dh,
        }
        return {
            "notification_channel": self.channel,
            "device": {"platform": self.platform, "udid": self.udid},
            "push_token": {name: value for name, value in token.items() if value is not None},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEventParams:
    """A push, and who gets it: users by id, by the id of another system, or by tags.

    Attributes:
        parameters: the message. ``message`` is the text to show, the other keys are your own; the
            server translates it for each channel.
        environment: only subscriptions of this environment; None for all.
        users_tags_all: users with all of these; `users_tags_any`: with one of these;
            `users_tags_exclude`: but with none of these.
    """

    parameters: Mapping[str, Any]
    users_ids: Sequence[int] = ()
    external_users_ids: Sequence[str] = ()
    users_tags_any: Sequence[str] = ()
    users_tags_all: Sequence[str] = ()
    users_tags_exclude: Sequence[str] = ()
    environment: PushEnvironment | None = None
    name: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The body of the request. Raises `ConfigurationError` without ``message`` text, without
        anybody to get it, or for parameters that are not JSON."""
        if not isinstance(self.parameters.get("message"), str):
            raise ConfigurationError("the parameters of an event need a text 'message'")
        tags = {
            "any": self.users_tags_any,
            "all": self.users_tags_all,
            "exclude": self.users_tags_exclude,
        }
        user = {
            "ids": list(self.users_ids),
            "tags": {name: list(values) for name, values in tags.items() if values},
        }
        event: dict[str, Any] = {
            "notification_type": "push",
            "event_type": "one_shot",
            "message": self._message(),
            "environment": self.environment,
            "name": self.name,
            "user": {name: value for name, value in user.items() if value},
            "external_user": {"ids": list(self.external_users_ids)},
        }
        if not self.external_users_ids:
            del event["external_user"]
        if not event["user"] and not self.external_users_ids:
            raise ConfigurationError("an event needs somebody to get it")
        return {"event": {name: value for name, value in event.items() if value}}

    def _message(self) -> str:
        try:
            text = json.dumps(dict(self.parameters), ensure_ascii=False)
            return base64.b64encode(text.encode()).decode()
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"the parameters of an event must be JSON: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeSubscription:
    """A device that can be reached.

    Attributes:
        client_identification_sequence: its token, or the endpoint of a browser.
    """

    id: int
    channel: str
    udid: str | None
    platform: str | None
    environment: str | None
    client_identification_sequence: str | None
    bundle_identifier: str | None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Raises `ProtocolError` unless `value` is an entry of a list of subscriptions."""
        data = object_of(object_of(value, "subscription").get("subscription"), "subscription")
        device = object_of(data.get("device"), "device of a subscription")
        return cls(
            id=integer_in(data, "id"),
            channel=_name_in(data, "notification_channel") or "",
            udid=text_in(device, "udid"),
            platform=_name_in(device, "platform"),
            environment=text_in(data, "environment"),
            client_identification_sequence=text_in(data, "client_identification_sequence"),
            bundle_identifier=text_in(data, "bundle_identifier"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeEvent:
    """A push on its way on one channel."""

    id: int
    channel: str
    user_id: int
    name: str | None
    environment: str | None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Raises `ProtocolError` unless `value` is an entry of the answer to an event."""
        data = object_of(object_of(value, "event").get("event"), "event")
        return cls(
            id=integer_in(data, "id"),
            channel=_name_in(data, "notification_channel") or "",
            user_id=integer_in(data, "user_id"),
            name=text_in(data, "name"),
            environment=text_in(data, "environment"),
        )


class PushNotifications:
    """What a signed-in user does with pushes. Every method raises as `RestClient` does."""

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest

    async def create_subscription(
        self, parameters: CreateSubscriptionParameters
    ) -> list[CubeSubscription]:
        """Let a device be reached; replaces what its `udid` had on this channel."""
        answer = await self._rest.request("POST", "subscriptions", body=parameters.to_json())
        return [CubeSubscription.from_json(item) for item in _entries(answer)]

    async def get_subscriptions(self) -> list[CubeSubscription]:
        """All subscriptions of this user."""
        answer = await self._rest.request("GET", "subscriptions")
        return [CubeSubscription.from_json(item) for item in _entries(answer)]

    async def delete_subscription(self, subscription_id: int) -> None:
        """Let a device be reached no more. `RequestError` of status 404 if it is not ours."""
        await self._rest.request("DELETE", f"subscriptions/{path_segment(subscription_id)}")

    async def create_event(self, event: CreateEventParams) -> list[CubeEvent]:
        """Send a push. One entry for each channel on which it goes out: none if nobody who is to
        get it has a device."""
        answer = await self._rest.request("POST", "events", body=event.to_json())
        return [CubeEvent.from_json(item) for item in _entries(answer)]


def _entries(answer: object) -> list[object]:
    if not isinstance(answer, list) or len(answer) > MAX_ENTRIES:
        raise ProtocolError("the server's answer is no list")
    return answer


def _name_in(data: Mapping[str, Any], member: str) -> str | None:
    return text_in(object_of(data.get(member), member), "name")
