"""What an event asks for: kind, tag, time to live, and which subscriptions get it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ringmesh.errors import RequestError
from ringmesh.server.push.contract import Channel, Kind, Message, Subscription
from ringmesh.server.push.messages import choose, expiration_of, translate

LONGEST_SECONDS = 28 * 86_400
"""As long as FCM keeps a message; the others keep none longer."""

USUAL_SECONDS = 86_400

_MAX_TAG = 128
_KINDS = {"startCall": Kind.START, "endCall": Kind.CANCEL, "rejectCall": Kind.CANCEL}
_BEST_FIRST = (Channel.APNS_VOIP, Channel.APNS, Channel.GCM, Channel.WEB)


def kind_of(message: Message) -> tuple[Kind, str | None]:
    """What a message does about which call, by the names of the mobile SDKs or of the web's."""
    values = message.values
    kind = _KINDS.get(_text(values, "signal_type"))
    tag = _text(values, "session_id")
    if kind is None and "signal_type" not in values and "initiatorId" in values:
        kind, tag = Kind.START, _text(values, "uuid")
    if kind is None or not tag or len(tag) > _MAX_TAG or not tag.isprintable():
        return Kind.OTHER, None
    return kind, tag


def expiry(message: Message, kind: Kind, now: int, ring_seconds: int) -> int:
    """When a message loses its sense, in seconds since 1970.

    What is about a ring never outlives it. 0, which some SDKs send for calls, leaves it to us.
    """
    asked = expiration_of(message) or 0
    longest = LONGEST_SECONDS if kind is Kind.OTHER else ring_seconds
    usual = USUAL_SECONDS if kind is Kind.OTHER else ring_seconds
    return now + usual if asked <= 0 else min(asked, now + longest)


def recipients(
    message: Message, kind: Kind, channel: Channel | None, subscriptions: Iterable[Subscription]
) -> list[Subscription]:
    """Which subscriptions get a message. What is about a ring goes to each device once.

    Raises:
        RequestError: 422, the message cannot be sent on one of their channels.
    """
    if channel is None:
        chosen = choose(message, subscriptions)
    else:
        chosen = [one for one in subscriptions if one.channel is channel]
    if kind is not Kind.OTHER:
        chosen = _one_per_device(chosen)
    for used in {one.channel for one in chosen}:
        translate(message, used)
    if not chosen:
        _check(message, channel)
    return chosen


def _check(message: Message, channel: Channel | None) -> None:
    """Refuse a message that nobody could get, whoever they are."""
    if channel is not None:
        translate(message, channel)
        return
    problems = []
    for each in (Channel.GCM, Channel.APNS, Channel.WEB):
        try:
            translate(message, each)
        except RequestError as error:
            problems.append(error)
    if len(problems) == 3:
        raise problems[0]


def _one_per_device(subscriptions: Iterable[Subscription]) -> list[Subscription]:
    best: dict[tuple[int, str], Subscription] = {}
    for one in sorted(subscriptions, key=lambda each: _BEST_FIRST.index(each.channel)):
        best.setdefault((one.user_id, one.udid), one)
    return list(best.values())


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
