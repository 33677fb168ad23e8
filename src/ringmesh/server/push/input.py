"""What clients may say in ``POST /subscriptions`` and ``POST /events``."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any, NoReturn

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from ringmesh.errors import RequestError
from ringmesh.server.accounts.user_input import MAX_INTEGER, Line, Tags
from ringmesh.server.push.contract import Channel, Environment, Platform, Subscription
from ringmesh.server.push.endpoints import check_endpoint
from ringmesh.server.push.webpush import subscription_keys

MAX_RECIPIENTS = 10_000
"""Users of one event."""

_APNS_TOKEN = re.compile(r"[0-9A-Fa-f]{16,400}")
_FCM_TOKEN = re.compile(r"[!-~]{1,4096}")
_MOBILE = (Channel.APNS, Channel.APNS_VOIP, Channel.GCM)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _only_one(value: object) -> object:
    one = value[0] if isinstance(value, list) and len(value) == 1 else value
    return _lower(one)


def _list(value: object) -> object:
    """One value, a list, or text with commas; without empty ones."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    return [one for one in value if one != ""] if isinstance(value, list) else [value]


class _Request(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class DeviceInput(_Request):
    """The device of a subscription."""

    platform: Annotated[Platform, BeforeValidator(_lower)]
    udid: Annotated[Line, Field(min_length=1)]


class PushTokenInput(_Request):
    """How the device is reached: a token, or for browsers an endpoint with two keys."""

    environment: Annotated[Environment, BeforeValidator(_lower)]
    client_identification_sequence: str | None = None
    bundle_identifier: Line | None = None
    web_endpoint: str | None = None
    web_auth: str | None = None
    web_p256dh: str | None = None


class SubscriptionInput(_Request):
    """``POST /subscriptions``."""

    notification_channel: Annotated[
        Channel,
        BeforeValidator(_only_one),
        Field(validation_alias=AliasChoices("notification_channel", "notification_channels")),
    ]
    device: DeviceInput
    push_token: PushTokenInput

    def subscription(
        self, application_id: int, user_id: int, allowed_hosts: Collection[str]
    ) -> Subscription:
        """The subscription, without an id yet.

        Raises:
            RequestError: 422 naming what is missing or wrong.
        """
        token = self.push_token
        values: dict[str, Any] = {
            "id": 0,
            "application_id": application_id,
            "user_id": user_id,
            "channel": self.notification_channel,
            "platform": self.device.platform,
            "udid": self.device.udid,
            "environment": token.environment,
            "bundle_identifier": token.bundle_identifier or None,
        }
        if self.notification_channel in _MOBILE:
            values["token"] = _token(token.client_identification_sequence, self)
        else:
            values |= _web_keys(token, allowed_hosts)
        return Subscription(**values)


def _token(token: str | None, request: SubscriptionInput) -> str:
    if not token:
        _refuse("client_identification_sequence", "is required")
    if request.notification_channel is Channel.GCM:
        if not _FCM_TOKEN.fullmatch(token):
            _refuse("client_identification_sequence", "is not an FCM token")
    elif not _APNS_TOKEN.fullmatch(token):
        _refuse("client_identification_sequence", "must be an APNs token in hexadecimal digits")
    return token


def _web_keys(token: PushTokenInput, allowed_hosts: Collection[str]) -> dict[str, str]:
    if not token.web_endpoint:
        _refuse("web_endpoint", "is required")
    try:
        check_endpoint(token.web_endpoint, allowed_hosts)
    except ValueError as error:
        _refuse("web_endpoint", str(error))
    for name, text in (("web_auth", token.web_auth), ("web_p256dh", token.web_p256dh)):
        if not text:
            _refuse(name, "is required: it is in the member keys of the browser's PushSubscription")
    keys = {"web_auth": _plain(token.web_auth), "web_p256dh": _plain(token.web_p256dh)}
    try:
        subscription_keys(keys["web_p256dh"], keys["web_auth"])
    except ValueError as error:
        name, _, text = str(error).partition(" ")
        _refuse(name, text)
    return {"web_endpoint": token.web_endpoint, **keys}


def _plain(text: str | None) -> str:
    """Base64 in the URL's alphabet and without padding, as RFC 8291 has it."""
    return (text or "").strip().rstrip("=").translate(_TO_URL_ALPHABET)


_TO_URL_ALPHABET = str.maketrans("+/", "-_")


def _refuse(field: str, text: str) -> NoReturn:
    raise RequestError(422, {field: [text]})


UserIds = Annotated[
    list[Annotated[int, Field(ge=1, le=MAX_INTEGER)]],
    BeforeValidator(_list, json_schema_input_type=int | str | list[int]),
    Field(max_length=MAX_RECIPIENTS),
]
ExternalIds = Annotated[
    list[Annotated[Line, Field(min_length=1)]],
    BeforeValidator(_list, json_schema_input_type=str | list[str]),
    Field(max_length=MAX_RECIPIENTS),
]


class TagsInput(_Request):
    """Users by their tags: with all of `all`, one of `any`, and none of `exclude`."""

    any: Tags = ()
    all: Tags = ()
    exclude: Tags = ()


class RecipientsInput(_Request):
    """Who gets an event."""

    ids: UserIds | None = None
    tags: TagsInput | None = None


class ExternalRecipientsInput(_Request):
    """Who gets an event, by ids of another system."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    ids: ExternalIds | None = None


def _push(value: object) -> object:
    if value != "push":
        raise ValueError("must be push: this server sends no e-mail")
    return value


def _one_shot(value: object) -> object:
    if value not in (None, "", "one_shot"):
        raise ValueError("must be one_shot: events are sent at once, and once")
    return "one_shot"


class EventInput(_Request):
    """The member ``event`` of ``POST /events``."""

    notification_type: Annotated[str, BeforeValidator(_push)] = "push"
    push_type: Annotated[Channel | None, BeforeValidator(lambda v: _lower(v) or None)] = None
    environment: Annotated[Environment | None, BeforeValidator(lambda v: _lower(v) or None)] = None
    event_type: Annotated[str, BeforeValidator(_one_shot)] = "one_shot"
    message: Annotated[str, Field(min_length=1, max_length=32_768)]
    name: Line | None = None
    user: RecipientsInput | None = None
    external_user: ExternalRecipientsInput | None = None


class EventRequest(_Request):
    """``POST /events``."""

    event: EventInput
