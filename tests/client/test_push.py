"""Subscriptions and events of the SDK, against the real server."""

from __future__ import annotations

import asyncio

import pytest

from ringmesh import (
    CallType,
    ConfigurationError,
    CreateEventParams,
    CreateSubscriptionParameters,
    CubeEvent,
    CubeSubscription,
    ProtocolError,
    ReceiveNewSession,
    RequestError,
)
from ringmesh.server.app import Server
from ringmesh.signals import Call, HangUp
from tests.client.conftest import SignIn
from tests.interop.people import LIMIT

PHONE = CreateSubscriptionParameters(
    channel="gcm",
    platform="android",
    udid="phone-1",
    push_token="token-1",
    bundle_identifier="org.example.phone",
)


async def test_subscriptions(sign_in: SignIn) -> None:
    """A device subscribes, again in place of what it had, is listed, and is removed."""
    me = await sign_in()
    (made,) = await me.push.create_subscription(PHONE)
    assert (made.channel, made.udid, made.platform) == ("gcm", "phone-1", "android")
    assert (made.environment, made.bundle_identifier) == ("production", "org.example.phone")
    assert made.client_identification_sequence == "token-1"
    await me.push.create_subscription(PHONE)
    (listed,) = await me.push.get_subscriptions()
    await me.push.delete_subscription(listed.id)
    assert await me.push.get_subscriptions() == []
    with pytest.raises(RequestError) as caught:
        await me.push.delete_subscription(listed.id)
    assert caught.value.status == 404


async def test_events(sign_in: SignIn) -> None:
    """An event goes out on the channels of those who get it; on none if nobody has a device."""
    me, other = await sign_in(), await sign_in()
    event = CreateEventParams(
        parameters={"message": "Incoming call", "ios_voip": 1}, users_ids=[other.id], name="ring"
    )
    assert await me.push.create_event(event) == []
    await other.push.create_subscription(PHONE)
    (sent,) = await me.push.create_event(event)
    assert (sent.channel, sent.user_id, sent.name) == ("gcm", me.id, "ring")


async def test_what_the_server_refuses(sign_in: SignIn) -> None:
    """A subscription without its token is refused with the field's name."""
    me = await sign_in()
    with pytest.raises(RequestError) as caught:
        await me.push.create_subscription(
            CreateSubscriptionParameters(channel="gcm", platform="android", udid="x")
        )
    assert "client_identification_sequence" in caught.value.errors


async def test_who_only_listens_does_not_keep_pushes_from_others(
    sign_in: SignIn, server: Server
) -> None:
    """Where a device says that nobody sits at it, the user's phone is pushed as well; where it
    says that somebody does again, it is not."""
    me, other = await sign_in(), await sign_in()
    await other.push.create_subscription(PHONE)
    base = {"call_type": CallType.AUDIO_CALL, "caller_id": me.id, "opponents_ids": (other.id,)}

    async def pushed() -> set[str]:
        log = await server.push.log(None, 100)
        return {entry.tag for entry in log if entry.user_id == other.id and entry.tag}

    for session_id, change in (
        ("awake", None),
        ("away", other.chat.mark_inactive),
        ("back", other.chat.mark_active),
        ("gone", other.chat.mark_inactive),
    ):
        if change is not None:
            change()
            async with me.calls.events() as heard:  # and the server knows by then
                other.chat.send_signal(me.id, HangUp(session_id=f"before {session_id}", **base))
                await anext(heard)
        async with other.calls.events() as events:
            me.chat.send_signal(other.id, Call(session_id=session_id, sdp="v=0", **base))
            async for event in events:
                if isinstance(event, ReceiveNewSession):
                    break
    async with asyncio.timeout(LIMIT):
        while "gone" not in await pushed():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert await pushed() == {"away", "gone"}


@pytest.mark.parametrize(
    "event",
    [
        CreateEventParams(parameters={}, users_ids=[1]),
        CreateEventParams(parameters={"message": 5}, users_ids=[1]),
        CreateEventParams(parameters={"message": "x"}),
        CreateEventParams(parameters={"message": "x", "other": object()}, users_ids=[1]),
    ],
)
def test_events_that_cannot_be_sent(event: CreateEventParams) -> None:
    """No text, nobody to get it, or what is no JSON: said before anything is sent."""
    with pytest.raises(ConfigurationError):
        event.to_json()


@pytest.mark.parametrize("value", [None, {}, {"subscription": 5}, {"event": {"id": "x"}}])
def test_answers_of_unknown_shape(value: object) -> None:
    """What a server answers is checked."""
    with pytest.raises(ProtocolError):
        CubeSubscription.from_json(value)
    with pytest.raises(ProtocolError):
        CubeEvent.from_json(value)
