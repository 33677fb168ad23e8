"""``/events`` over a whole server: from the request to the providers."""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import unquote

from ringmesh.server.push.contract import Channel, Kind
from ringmesh.server.push.records import State
from tests.push.host import Person, World, apns_token, encoded, world
from tests.push.values import CALL, SESSION
from tests.server.api_client import SESSION_REQUIRED, errors_of

HELLO = {"message": "hello", "chat": "7"}


async def phone(running: World, person: Person, **more: Any) -> str:
    """An Android phone that Google knows."""
    token = f"fcm-{person.id}-{len(running.fcm.tokens)}"
    running.fcm.tokens.add(token)
    await person.subscribe("gcm", token, **more)
    return token


async def iphone(running: World, person: Person, channel: str, **more: Any) -> str:
    """An iPhone that Apple knows."""
    token = apns_token()
    running.apns.devices.add(token)
    await person.subscribe(channel, token, **more)
    return token


async def test_every_channel(running: World) -> None:
    """A universal message gets to phones and browsers, each in its own form; the answer has an
    entry for each channel."""
    ada, bob = await running.person("ada"), await running.person("bob")
    await phone(running, bob)
    await iphone(running, bob, "apns")
    browser = await running.browser()
    await bob.subscribe_browser(browser)
    answer = await ada.post([bob.id], HELLO)
    entries = await running.settled(3)
    assert {entry.state for entry in entries} == {State.DELIVERED}
    assert running.fcm.messages[0]["data"] == HELLO
    assert running.apns.payloads == [{"aps": {"alert": {"body": "hello"}}, "chat": "7"}]
    assert running.web.received[0].content["data"] == HELLO
    assert [event["notification_channel"]["name"] for event in answer] == ["apns", "gcm", "web"]


async def test_answer(running: World) -> None:
    """All members are there, and the message has the form that old mobile SDKs decode."""
    ada, bob = await running.person("ada"), await running.person("bob")
    await phone(running, bob)
    await iphone(running, bob, "apns")
    apns, gcm = await ada.post(str(bob.id), HELLO, name="greeting", environment="production")
    assert gcm["kind"] == "API"
    assert (gcm["application_id"], gcm["user_id"], gcm["name"]) == (1, ada.id, "greeting")
    assert (gcm["event_type"], gcm["environment"]) == ("one_shot", "production")
    pairs = dict(part.split("=", 1) for part in gcm["message"].split("&"))
    decoded = {k: unquote(base64.b64decode(v).decode()) for k, v in pairs.items()}
    assert decoded == {"data.message": "hello", "data.chat": "7"}
    payload = json.loads(base64.b64decode(apns["message"].removeprefix("payload=")))
    assert payload["aps"]["alert"]["body"] == "hello"


async def test_ids(running: World) -> None:
    """Recipients come as a list, as text with commas, or as one number."""
    ada, bob, eve = [await running.person(name) for name in ("ada", "bob", "eve")]
    for person in (bob, eve):
        await phone(running, person)
    await ada.post([bob.id, eve.id], HELLO)
    await ada.post(f"{bob.id}, {eve.id}", HELLO)
    await ada.post(bob.id, HELLO)
    got = [entry.user_id for entry in await running.settled(5)]
    assert [set(got[:2]), set(got[2:4]), set(got[4:])] == [{bob.id, eve.id}] * 2 + [{bob.id}]


async def test_other_ways_to_say_who(running: World) -> None:
    """Ids of another system, and tags: any, all, exclude."""
    ada, bob, eve = [await running.person(name) for name in ("ada", "bob", "eve")]
    changes: list[tuple[Person, dict[str, Any]]] = [
        (bob, {"external_id": "ext-b", "tag_list": "red,round"}),
        (eve, {"external_user_id": 77, "tag_list": "red"}),
    ]
    for person, values in changes:
        await phone(running, person)
        await person.api.put(f"/users/{person.id}", {"user": values})

    async def reached(**who: Any) -> set[int]:
        before = len(await running.log())
        event = {"notification_type": "push", "message": encoded(HELLO), **who}
        response = await ada.api.post("/events", {"event": event})
        assert response.status_code == 201, response.text
        return {entry.user_id for entry in (await running.log())[before:]}

    assert await reached(external_user={"ids": "ext-b,77"}) == {bob.id, eve.id}
    assert await reached(external_user={"ids": [77]}) == {eve.id}
    assert await reached(user={"tags": {"any": "red,blue"}}) == {bob.id, eve.id}
    assert await reached(user={"tags": {"all": ["red", "round"]}}) == {bob.id}
    assert await reached(user={"tags": {"any": "red", "exclude": "round"}}) == {eve.id}
    assert await reached(user={"ids": [bob.id], "tags": {"any": "blue"}}) == {bob.id}


async def test_environment(running: World) -> None:
    """An event reaches the subscriptions of its environment; without one, all."""
    ada, bob = await running.person("ada"), await running.person("bob")
    await phone(running, bob, environment="development")
    await iphone(running, bob, "apns")
    assert await ada.post(bob.id, HELLO, environment="development")
    await ada.post(bob.id, HELLO, environment="production")
    await ada.post(bob.id, HELLO)
    channels = [entry.channel for entry in await running.settled(4)]
    assert channels[:2] == [Channel.GCM, Channel.APNS]
    assert sorted(channels[2:]) == [Channel.APNS, Channel.GCM]


async def test_one_channel_in_its_own_form(running: World) -> None:
    """With ``push_type`` a message goes to that channel alone, as it was formed."""
    ada, bob = await running.person("ada"), await running.person("bob")
    await phone(running, bob)
    await iphone(running, bob, "apns")
    payload = {"aps": {"alert": "raw", "badge": 3}, "x": 1}
    message = "payload=" + base64.b64encode(json.dumps(payload).encode()).decode()
    await running_post(ada, bob, message, "apns")
    data = "data.message=" + base64.b64encode(b"hi%20there").decode()
    await running_post(ada, bob, data, "gcm")
    await running.settled(2)
    assert running.apns.payloads == [payload]
    assert [message["data"] for message in running.fcm.messages] == [{"message": "hi there"}]


async def running_post(sender: Person, receiver: Person, message: str, push_type: str) -> None:
    """An event for one channel."""
    event = {"message": message, "push_type": push_type, "user": {"ids": [receiver.id]}}
    response = await sender.api.post("/events", {"event": {"notification_type": "push", **event}})
    assert response.status_code == 201, response.text


async def test_a_ring(running: World) -> None:
    """The start of a call rings by VoIP push where there is one, expires with the ring, and
    reaches each device once for each call, however often it is asked for."""
    ada, bob = await running.person("ada"), await running.person("bob")
    voip = await iphone(running, bob, "apns_voip", udid="iphone")
    await iphone(running, bob, "apns", udid="iphone")
    await phone(running, bob)
    values = {**CALL, "caller_id": ada.id, "expiration": 0}
    await ada.post(bob.id, values)
    await ada.post(bob.id, values)
    entries = await running.settled(2)
    assert sorted(entry.channel for entry in entries) == [Channel.APNS_VOIP, Channel.GCM]
    assert {(entry.kind, entry.tag) for entry in entries} == {(Kind.START, SESSION)}
    (request,) = running.apns.requests
    assert request.path.endswith(voip)
    await ada.post(bob.id, {**values, "session_id": SESSION.replace("0", "1")})
    assert len(await running.settled(4)) == 4


async def test_a_ring_in_somebody_elses_name(running: World) -> None:
    """Who posts a start for a call of somebody else takes that ring from nobody."""
    ada, bob, eve = [await running.person(name) for name in ("ada", "bob", "eve")]
    await phone(running, bob)
    await eve.post(bob.id, CALL)
    await ada.post(bob.id, CALL)
    assert len(await running.settled(2)) == 2


async def test_the_end_of_a_ring(running: World) -> None:
    """It never goes out as VoIP push."""
    ada, bob = await running.person("ada"), await running.person("bob")
    await iphone(running, bob, "apns_voip", udid="iphone")
    await iphone(running, bob, "apns", udid="iphone")
    await ada.post(bob.id, {**CALL, "signal_type": "endCall"})
    (entry,) = await running.settled(1)
    assert (entry.channel, entry.kind) == (Channel.APNS, Kind.CANCEL)


async def test_too_late(running: World) -> None:
    """What has expired before it was posted is never sent."""
    ada, bob = await running.person("ada"), await running.person("bob")
    await phone(running, bob)
    await ada.post(bob.id, {**HELLO, "expiration": int(time.time()) - 5})
    (entry,) = await running.settled(1)
    assert entry.state is State.EXPIRED
    assert running.fcm.messages == []


async def test_nobody_to_reach(running: World) -> None:
    """Users without devices, of other applications, or who do not exist are no error."""
    ada = await running.person("ada")
    assert await ada.post([ada.id, 2**60], HELLO) == []
    other = await running.api.server.accounts.applications.create("other")
    stranger = await type(running.api)(running.api.http, other, running.api.server).as_user("eve")
    running.fcm.tokens.add("strange-token")
    await Person(stranger).subscribe("gcm", "strange-token")
    assert await ada.post([int(stranger.user["id"])] if stranger.user else [], HELLO) == []


BAD: list[tuple[dict[str, Any], str]] = [
    ({"message": "%%%"}, "message"),
    ({"message": base64.b64encode(b"[1]").decode()}, "message"),
    ({"message": base64.b64encode(b"\xff").decode()}, "message"),
    ({"message": ""}, "message"),
    ({"message": encoded({"message": 7})}, "message"),
    ({"message": encoded({**HELLO, "expiration": "soon"})}, "message"),
    ({"message": encoded({"message": "x" * 5000})}, "message"),
    ({"message": encoded({"x": "y" * 40_000})}, "message"),
    ({"notification_type": "email"}, "notification_type"),
    ({"event_type": "period_date"}, "event_type"),
    ({"push_type": "fax"}, "push_type"),
    ({"environment": "test"}, "environment"),
    ({"user": {}}, "user"),
    ({"user": None}, "user"),
    ({"user": {"ids": "a,b"}}, "ids"),
    ({"user": {"ids": [0]}}, "ids"),
    ({"user": {"ids": list(range(1, 10_002))}}, "ids"),
    ({"user": {"tags": {"exclude": "red"}}}, "user"),
]


async def test_bad_input(running: World) -> None:
    """What is wrong is named, and nothing is sent."""
    ada = await running.person("ada")
    for members, field in BAD:
        event = {"notification_type": "push", "message": encoded(HELLO), "user": {"ids": [1]}}
        response = await ada.api.post("/events", {"event": {**event, **members}})
        assert response.status_code == 422, members
        assert list(errors_of(response)) == [field]
    assert await running.log() == []


async def test_voip_that_ends_a_call(running: World) -> None:
    """Asked for by name, it is refused too."""
    ada = await running.person("ada")
    values = {**CALL, "signal_type": "endCall"}
    event = {"message": encoded(values), "push_type": "apns_voip", "user": {"ids": [ada.id]}}
    response = await ada.api.post("/events", {"event": event})
    assert response.status_code == 422


async def test_who_may(running: World) -> None:
    """Users alone, and so many a minute."""
    assert (await running.api.post("/events", {"event": {}})).json() == SESSION_REQUIRED


async def test_limit(tmp_path: Any, apns: Any, fcm: Any, push_service: Any, key: str) -> None:
    """A user posts so many events a minute; others are not concerned."""
    settings = {"push_events_per_minute": 2}
    async with world(tmp_path, apns, fcm, push_service, key, **settings) as running:
        ada, bob = await running.person("ada"), await running.person("bob")
        for _ in range(2):
            await ada.post(bob.id, HELLO)
        event = {"message": encoded(HELLO), "user": {"ids": [bob.id]}}
        refused = await ada.api.post("/events", {"event": event})
        assert refused.status_code == 429
        await bob.post(ada.id, HELLO)
