"""The outbox over a whole server: nothing accepted is lost, nothing is sent late or for ever."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx2
import pytest

from ringmesh.server.push import outbox
from ringmesh.server.push.contract import Channel, Kind, Message, Subscription
from ringmesh.server.push.keys import save_table
from ringmesh.server.push.outbox import LONGEST_RETRY_SECONDS, delay
from ringmesh.server.push.records import Event, State
from ringmesh.server.push.web import AT_ONCE
from ringmesh.server.store.push import PushStore
from ringmesh.server.store.sqlite import open_push_store
from tests.push.fake_push_service import FakePushService
from tests.push.host import World, apns_token, eventually, eventually_so, world
from tests.push.provider import Answer, Fault
from tests.push.values import CALL

HELLO = {"message": "hello"}


async def phone(running: World, login: str, token: str) -> Any:
    """Somebody with an Android phone that Google knows."""
    person = await running.person(login)
    running.fcm.tokens.add(token)
    await person.subscribe("gcm", token)
    return person


async def test_trouble_that_passes(running: World) -> None:
    """What a provider cannot take now is tried again when it says, and counted."""
    bob = await phone(running, "bob", "bobs")
    running.fcm.faults.extend([None, Answer(503, {"retry-after": "1"}), Answer(500)])
    started = time.monotonic()
    await bob.post(bob.id, HELLO)
    (entry,) = await running.settled(1)
    assert (entry.state, entry.attempts) == (State.DELIVERED, 3)
    assert time.monotonic() - started >= 1.5, "it did not wait for as long as it was asked to"
    metrics = (await running.api.get("/metrics")).text
    assert 'ringmesh_push_ended_total{state="delivered"} 1.0' in metrics
    assert "ringmesh_push_accepted_total 1.0" in metrics


async def test_never_after_the_ring(running: World) -> None:
    """A start is given up once the next attempt would come after its ring."""
    bob = await phone(running, "bob", "bobs")
    running.fcm.faults.extend([None, Answer(503, {"retry-after": "30"})])
    await bob.post(bob.id, {**CALL, "expiration": int(time.time()) + 5})
    (entry,) = await running.settled(1)
    assert (entry.state, entry.attempts) == (State.EXPIRED, 1)
    assert entry.reason


async def test_dead_token(running: World) -> None:
    """A device that is gone loses its subscription; a newer token of it would not."""
    bob = await phone(running, "bob", "bobs")
    running.fcm.gone.add("bobs")
    await bob.post(bob.id, HELLO)
    (entry,) = await running.settled(1)
    assert entry.state is State.DEAD_TOKEN
    assert (await bob.api.get("/subscriptions")).json() == []


async def test_no_keys(running: World) -> None:
    """Of an application without keys pushes end at once, with the reason in the log."""
    application = await running.api.server.accounts.applications.create("other")
    api = await type(running.api)(running.api.http, application, running.api.server).as_user("eve")
    body = {
        "notification_channel": "gcm", "device": {"platform": "android", "udid": "x"},
        "push_token": {"environment": "production", "client_identification_sequence": "t"},
    }  # fmt: skip
    await api.post("/subscriptions", body)
    assert api.user is not None
    event = {"message": "e30=", "user": {"ids": api.user["id"]}}
    assert (await api.post("/events", {"event": event})).status_code == 201
    (entry,) = await running.settled(1)
    assert entry.state is State.NOT_CONFIGURED
    assert "ringmesh push configure" in entry.reason


async def test_silent_provider(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who never answers holds up nobody else's pushes, nor the server's end."""
    monkeypatch.setattr(outbox, "SEND_SECONDS", 2.0)
    bob = await phone(running, "bob", "bobs")
    device = apns_token()
    running.apns.devices.add(device)
    await bob.subscribe("apns", device)
    running.fcm.faults.extend([Fault.SILENCE] * 100)
    for _ in range(outbox.IN_FLIGHT + 5):
        await bob.post(bob.id, HELLO)
    await eventually(lambda: len(running.apns.requests) == outbox.IN_FLIGHT + 5)
    waiting = [e for e in await running.log() if e.channel is Channel.GCM]
    assert {entry.state for entry in waiting} <= {State.QUEUED, State.CLAIMED}


async def test_a_silent_push_service(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of many that never answers leaves places in the lane to the others."""
    monkeypatch.setattr(outbox, "SEND_SECONDS", 5.0)
    ada, bob = await running.person("ada"), await running.person("bob")
    async with FakePushService(running.web.certificate) as silent:
        silent.faults.extend([Fault.SILENCE] * 1000)
        hosts = [one.url.removeprefix("https://") for one in (running.web, silent)]
        ca_file = str(silent.certificate.file)
        table = {"key_file": "push/web.pem", "ca_file": ca_file, "allowed_hosts": hosts}
        save_table(running.folder, 1, "web", table)
        await running.api.server.push.keep_house()
        await ada.subscribe_browser(silent.subscribe(running.web_key))
        await bob.subscribe_browser(await running.browser())
        for _ in range(outbox.IN_FLIGHT + 5):
            await ada.post(ada.id, HELLO)
        await eventually(lambda: len(silent.requests) == AT_ONCE)
        await bob.post(bob.id, HELLO)
        await eventually(lambda: len(running.web.received) == 1)
        lost = [entry for entry in await running.log() if entry.user_id == ada.id]
        assert {entry.state for entry in lost} <= {State.QUEUED, State.CLAIMED}


async def test_rings_go_first(running: World) -> None:
    """The start of a call overtakes a queue of other messages."""
    bob = await phone(running, "bob", "bobs")
    store = running.api.server.push._store
    await _crowd(store, 500)
    running.fcm.tokens |= {f"crowd-{number}" for number in range(500)}
    await bob.post(list(range(1000, 1500)), HELLO)
    await bob.post(bob.id, CALL)
    await running.settled(501)
    sent = [message["data"] for message in running.fcm.messages]
    place = next(i for i, data in enumerate(sent) if data.get("signal_type") == "startCall")
    assert place < 400, "the ring waited for messages"


@pytest.mark.timeout(120)
async def test_ten_thousand(running: World) -> None:
    """An event for ten thousand people is taken at once, nobody gets it twice, and the server
    answers others meanwhile."""
    server = running.api.server
    sender = await running.person("ada")
    store = server.push._store
    count = 10_000
    await _crowd(store, count)
    running.fcm.tokens |= {f"crowd-{number}" for number in range(count)}
    users = ",".join(map(str, range(1000, 1000 + count)))
    answered = 0

    async def ask() -> None:
        nonlocal answered
        async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
            while True:
                assert (await http.get("/health")).status_code == 200
                answered += 1

    asking = asyncio.create_task(ask())
    await eventually(lambda: answered > 0)
    before = answered
    answer = await sender.post(users, HELLO)
    assert answered >= before + 3, "nobody else was answered"
    asking.cancel()
    assert [event["notification_channel"]["name"] for event in answer] == ["gcm"]
    assert len(await server.push.log(None, 2 * count)) == count
    await eventually_so(lambda: _sent(running, 200))
    tokens = [message["token"] for message in running.fcm.messages]
    assert len(tokens) == len(set(tokens))


async def _sent(running: World, count: int) -> bool:
    return len(running.fcm.messages) >= count


async def _crowd(store: PushStore, count: int) -> None:
    """So many users with a phone each, from number 1000."""
    from sqlalchemy import insert

    from ringmesh.server.store.schema import subscriptions, users

    def make(connection: Any) -> None:
        people = [
            {"id": 1000 + n, "application_id": 1, "login": f"crowd{n}", "is_guest": False,
             "created_at": 0, "updated_at": 0}
            for n in range(count)
        ]  # fmt: skip
        phones = [
            {"application_id": 1, "user_id": 1000 + n, "channel": "gcm", "platform": "android",
             "udid": f"crowd-{n}", "environment": "production", "token": f"crowd-{n}",
             "created_at": 0}
            for n in range(count)
        ]  # fmt: skip
        connection.execute(insert(users), people)
        connection.execute(insert(subscriptions), phones)

    await store._writer.write(make)


async def test_what_was_being_sent_at_a_crash(
    tmp_path: Any, apns: Any, fcm: Any, push_service: Any, key: str
) -> None:
    """It is sent by the next process: claimed is not sent."""
    async with world(tmp_path, apns, fcm, push_service, key) as running:
        bob = await phone(running, "bob", "bobs")
    store = open_push_store(tmp_path / "ringmesh.db")
    now = int(time.time())
    event = Event(
        application_id=1, user_id=bob.id, message=Message(HELLO), kind=Kind.OTHER, tag=None,
        created_ms=now * 1000, expires_at=now + 60,
    )  # fmt: skip
    await store.add_event(event, [bob.id], None, lambda found: found, {})
    (claimed,) = await store.claim(Channel.GCM, False, now * 1000 + 1, 10)
    assert await store.claim(Channel.GCM, False, now * 1000 + 1, 10) == []
    assert claimed.push.message == event.message
    await store.close()
    async with world(tmp_path, apns, fcm, push_service, key) as running:
        (entry,) = await running.settled(1)
        assert (entry.state, entry.attempts) == (State.DELIVERED, 2)


async def test_a_cancel_waits_for_its_start(running: World) -> None:
    """As long as a start is being sent, its cancel is not: it must not come first."""
    bob = await phone(running, "bob", "bobs")
    store = running.api.server.push._store
    await running.api.server.push._outbox.close(5)
    (subscription,) = await running.api.server.push.subscriptions(_user(running, bob))
    now = int(time.time())
    for kind in (Kind.START, Kind.CANCEL):
        event = _about_call(subscription, kind, now)
        await store.add_event(event, [bob.id], None, lambda found: found, {})
    (start,) = await store.claim(Channel.GCM, True, now * 1000, 10)
    assert start.push.kind is Kind.START
    assert await store.claim(Channel.GCM, True, now * 1000, 10) == []
    await store.note([_delivered(start.push.id, now)])
    (cancel,) = await store.claim(Channel.GCM, True, now * 1000, 10)
    assert cancel.push.kind is Kind.CANCEL


def _user(running: World, person: Any) -> Any:
    class Me:
        id, application_id = person.id, 1

    return Me()


def _about_call(subscription: Subscription, kind: Kind, now: int) -> Event:
    return Event(
        application_id=1, user_id=subscription.user_id, message=Message(HELLO), kind=kind,
        tag="session", created_ms=now * 1000, expires_at=now + 60,
    )  # fmt: skip


def _delivered(push_id: int, now: int) -> Any:
    from ringmesh.server.push.records import Note

    return Note(push_id=push_id, state=State.DELIVERED, reason="", now_ms=now * 1000)


async def test_old_pushes_are_forgotten(running: World) -> None:
    """The log has an end; what still waits is kept."""
    bob = await phone(running, "bob", "bobs")
    await bob.post(bob.id, HELLO)
    await running.settled(1)
    store = running.api.server.push._store
    assert await store.remove_old(int(time.time()) - 100, 10) == 0
    assert await store.remove_old(int(time.time()) + 100, 10) == 1
    assert await running.log() == []


def test_delays() -> None:
    """Twice as long each time up to a minute, half of it by chance, unless a provider asks."""
    assert [delay(n, None, 1.0) for n in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert delay(3, None, 0.0) == 2
    assert delay(50, None, 1.0) == LONGEST_RETRY_SECONDS
    assert delay(1, 17.5, 0.3) == 17.5
    assert delay(1, 0, 0.3) > 0
