"""Ringing as the server's duty: call signals in, pushes and missed calls out, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from ringmesh.protocol.element import Element
from ringmesh.protocol.signal_xml import decode_signal, encode_signal
from ringmesh.server.push import ringer, ringing
from ringmesh.server.push.contract import Channel, Kind
from ringmesh.server.push.records import State
from ringmesh.signals import Accept, Call, CallType, HangUp, Reject, Signal
from tests.chat.host import Client
from tests.push.host import Person, World, apns_token, eventually_so, world
from tests.push.values import CALL, SESSION

PRESENCE = '<presence xmlns="jabber:client"/>'
INACTIVE = '<inactive xmlns="urn:xmpp:csi:0"/>'


@asynccontextmanager
async def chatting(
    running: World, person: Person, resource: str | None = None
) -> AsyncIterator[Client]:
    """A chat connection of a person."""
    url = running.api.server.url.replace("http", "ws") + "/chat"
    protocols = [Subprotocol("xmpp")]
    async with connect(url, subprotocols=protocols, compression=None, proxy=None) as websocket:
        client = Client(websocket)
        await client.log_in(f"{person.id}-1", person.api.token or "", resource)
        yield client


async def tell(
    client: Client, to: Person, what: type[Signal], caller: Person, *callees: Person
) -> None:
    """Send a signal of the call, and wait until the server has seen it."""
    more = {"sdp": "v=0"} if what in (Call, Accept) else {}
    values: dict[str, Any] = {
        "session_id": SESSION, "call_type": CallType.VIDEO_CALL, "caller_id": caller.id,
        "opponents_ids": tuple(callee.id for callee in callees), **more,
    }  # fmt: skip
    await client.send(encode_signal(what(**values), f"{to.id}-1@chat.localhost", "id1"))
    await client.drain()


async def with_android(running: World, person: Person, udid: str) -> None:
    """A phone that Google reaches."""
    running.fcm.tokens.add(f"fcm-{udid}")
    await person.subscribe("gcm", f"fcm-{udid}", udid=udid)


async def missed(person: Person) -> list[dict[str, Any]]:
    """What ``GET /calls`` says."""
    response = await person.api.get("/calls")
    assert response.status_code == 200
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def test_closed_app(running: World) -> None:
    """Nothing of Bob's is online: his phone rings once with what the signal holds, stops when the
    caller gives up, and the call is kept as missed."""
    ada, bob = await running.person("ada"), await running.person("bob")
    await ada.api.put(f"/users/{ada.id}", {"user": {"full_name": "Ada Lovelace"}})
    await with_android(running, bob, "phone")
    async with chatting(running, ada) as chat:
        for _ in range(3):
            await tell(chat, bob, Call, ada, bob)
        (entry,) = await running.settled(1)
        assert (entry.kind, entry.by_server, entry.state) == (Kind.START, True, State.DELIVERED)
        await tell(chat, bob, HangUp, ada, bob)
        entries = await running.settled(2)
    start, end = [message["data"] for message in running.fcm.messages]
    assert start == {
        "message": "Incoming Video call", "signal_type": "startCall", "session_id": SESSION,
        "call_type": "1", "caller_id": str(ada.id), "caller_name": "Ada Lovelace",
        "call_opponents": str(bob.id),
    }  # fmt: skip
    assert (end["signal_type"], end["session_id"]) == ("endCall", SESSION)
    assert [entry.kind for entry in entries] == [Kind.START, Kind.CANCEL]
    (call,) = await missed(bob)
    assert (call["caller_id"], call["session_id"], call["call_type"]) == (ada.id, SESSION, 1)
    assert await missed(ada) == []


async def test_iphone_and_browser(running: World) -> None:
    """An iPhone rings by VoIP push, and its end comes as an ordinary one; a browser gets both."""
    ada, bob = await running.person("ada"), await running.person("bob")
    for channel in ("apns", "apns_voip"):
        token = apns_token()
        running.apns.devices.add(token)
        await bob.subscribe(channel, token, udid="iphone")
    await bob.subscribe_browser(await running.browser())
    async with chatting(running, ada) as chat:
        await tell(chat, bob, Call, ada, bob)
        await running.settled(2)
        await tell(chat, bob, HangUp, ada, bob)
        entries = await running.settled(4)
    assert [(e.channel, e.kind) for e in entries if e.channel is not Channel.WEB] == [
        (Channel.APNS_VOIP, Kind.START), (Channel.APNS, Kind.CANCEL),
    ]  # fmt: skip
    kinds = [received.content["data"]["signal_type"] for received in running.web.received]
    assert kinds == ["startCall", "endCall"]


@pytest.mark.parametrize("background", [INACTIVE, "mobile"])
async def test_background(running: World, background: str) -> None:
    """A device that says that its app is in the background does not count, until it is back."""
    ada, bob = await running.person("ada"), await running.person("bob")
    await with_android(running, bob, "phone")
    async with chatting(running, ada) as chat, chatting(running, bob) as his:
        await tell(chat, bob, Call, ada, bob)
        assert await running.log() == []
        await tell(chat, bob, HangUp, ada, bob)
        await his.drain()
        if background == INACTIVE:
            await his.send(INACTIVE)
        else:
            xmlns = "http://tigase.org/protocol/mobile#v2"
            await his.ask("set", Element("mobile", xmlns, {"enable": "true"}))
        await his.drain()
        values: dict[str, Any] = {"session_id": "second", "caller_id": ada.id, "sdp": "v=0"}
        call = Call(call_type=CallType.AUDIO_CALL, opponents_ids=(bob.id,), **values)
        await chat.send(encode_signal(call, f"{bob.id}-1@chat.localhost", "id2"))
        (entry,) = await running.settled(1)
        assert entry.tag == "second"
        assert [each.name for each in await his.drain()] == ["message"], "it rings there as well"


async def test_answered_on_one_of_two_phones(running: World) -> None:
    """The other one stops; the one that answered is told nothing. Nobody missed anything."""
    ada, bob = await running.person("ada"), await running.person("bob")
    for udid in ("3f2a99", "77bb01"):
        await with_android(running, bob, udid)
    async with AsyncExitStack() as stack:
        chat = await stack.enter_async_context(chatting(running, ada))
        await tell(chat, bob, Call, ada, bob)
        await running.settled(2)
        his = await stack.enter_async_context(chatting(running, bob, "flutter_3f2a99"))
        await tell(his, ada, Accept, ada, bob)
        await running.settled(3)
    assert [message["token"] for message in running.fcm.messages[2:]] == ["fcm-77bb01"]
    assert await missed(bob) == []


async def test_declined_over_rest(running: World) -> None:
    """The other devices stop; a declined call is not missed."""
    ada, bob = await running.person("ada"), await running.person("bob")
    await with_android(running, bob, "phone")
    async with chatting(running, ada) as chat:
        await tell(chat, bob, Call, ada, bob)
        await running.settled(1)
        body = {"sessionID": SESSION, "recipientId": ada.id, "platform": "android"}
        assert (await bob.api.post("/calls/reject", body)).status_code == 200
        entries = await running.settled(2)
        assert entries[1].kind is Kind.CANCEL
        assert [each.name for each in await chat.drain()] == ["message"]
        await tell(chat, bob, Call, ada, bob)
        await tell(chat, bob, HangUp, ada, bob)
    assert len(await running.log()) == 2
    assert await missed(bob) == []


async def test_app_posted_first(running: World) -> None:
    """The caller's app rings by itself: the server adds nothing, but sees to the end."""
    ada, bob = await running.person("ada"), await running.person("bob")
    await with_android(running, bob, "phone")
    async with chatting(running, ada) as chat:
        await ada.post(bob.id, {**CALL, "caller_id": ada.id})
        await tell(chat, bob, Call, ada, bob)
        await running.settled(1)
        await tell(chat, bob, HangUp, ada, bob)
        entries = await running.settled(2)
        assert [(e.kind, e.by_server) for e in entries] == [
            (Kind.START, False),
            (Kind.CANCEL, True),
        ]
        await ada.post(bob.id, {**CALL, "signal_type": "endCall"})
        assert await ada.post(bob.id, {**CALL, "caller_id": ada.id}) == []
    assert len(await running.settled(2)) == 2, "no start after the end, no second end"


async def test_app_posts_later(running: World) -> None:
    """The device rings once, whoever was first."""
    ada, bob = await running.person("ada"), await running.person("bob")
    await with_android(running, bob, "phone")
    async with chatting(running, ada) as chat:
        await tell(chat, bob, Call, ada, bob)
        await running.settled(1)
        await ada.post(bob.id, {**CALL, "caller_id": ada.id})
    assert len(await running.settled(1)) == 1


async def test_an_app_that_comes_late(running: World) -> None:
    """Who comes online, or back to the foreground, while somebody calls rings at once, and does
    not wait for the caller to repeat it: the newest ``call``, once, and nothing that is over."""
    ada, bob = await running.person("ada"), await running.person("bob")
    async with chatting(running, ada) as chat:
        await tell(chat, bob, Call, ada, bob)
        async with chatting(running, bob) as phone:
            assert await phone.drain() == [], "nothing comes before it says that it is there"
            await phone.send(PRESENCE)
            (rings,) = await phone.drain()
            assert (rings.name, rings.get("from")) == ("message", chat.jid)
            signal = decode_signal(rings)
            assert isinstance(signal, Call)
            assert signal.session_id == SESSION
            await phone.send(PRESENCE)
            await phone.send(INACTIVE)
            assert await phone.drain() == []
            await phone.send('<active xmlns="urn:xmpp:csi:0"/>')
            assert [each.name for each in await phone.drain()] == ["message"]
        await tell(chat, bob, HangUp, ada, bob)
        async with chatting(running, bob) as phone:
            await phone.send(PRESENCE)
            assert await phone.drain() == []


async def test_silence_ends_a_ring(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who vanishes leaves no phone ringing, and a missed call."""
    monkeypatch.setattr(ringing, "SILENCE_SECONDS", 0.3)
    ada, bob = await running.person("ada"), await running.person("bob")
    await with_android(running, bob, "phone")
    async with chatting(running, ada) as chat:
        await tell(chat, bob, Call, ada, bob)
    entries = await running.settled(2)
    assert [entry.kind for entry in entries] == [Kind.START, Kind.CANCEL]
    assert len(await missed(bob)) == 1


async def test_calls_that_nobody_makes(running: World) -> None:
    """Signals in somebody else's name, to strangers of the call, or to oneself ring nowhere."""
    ada, bob, eve = [await running.person(name) for name in ("ada", "bob", "eve")]
    for person in (ada, bob, eve):
        await with_android(running, person, f"phone-{person.id}")
    async with chatting(running, eve) as chat:
        await tell(chat, bob, Call, ada, bob)
        await tell(chat, eve, Call, eve, eve)
        await tell(chat, bob, HangUp, ada, bob)
    assert await running.log() == []
    assert await missed(bob) == []


async def test_missed_calls_in_pages(running: World) -> None:
    """The newest first; the next page begins before the last one's id."""
    ada, bob = await running.person("ada"), await running.person("bob")
    async with chatting(running, ada) as chat:
        for number in range(5):
            values: dict[str, Any] = {
                "session_id": f"call-{number}", "call_type": CallType.AUDIO_CALL,
                "caller_id": ada.id, "opponents_ids": (bob.id,),
            }  # fmt: skip
            for signal in (Call(sdp="v=0", **values), HangUp(**values)):
                await chat.send(encode_signal(signal, f"{bob.id}-1@chat.localhost", "id"))
        await chat.drain()
    await eventually_so(lambda: _has(bob, 5))
    first = (await bob.api.get("/calls.json?limit=3")).json()
    assert [call["session_id"] for call in first["items"]] == ["call-4", "call-3", "call-2"]
    assert (first["limit"], first["has_more"]) == (3, True)
    rest = (await bob.api.get(f"/calls?limit=3&before={first['items'][-1]['id']}")).json()
    assert [call["session_id"] for call in rest["items"]] == ["call-1", "call-0"]
    assert rest["has_more"] is False
    assert (await bob.api.get("/calls?limit=0")).status_code == 422


async def _has(person: Person, count: int) -> bool:
    return len(await missed(person)) == count


async def test_switched_off(
    tmp_path: Any, apns: Any, fcm: Any, push_service: Any, key: str
) -> None:
    """The setting leaves ringing to the apps; missed calls are kept all the same."""
    async with world(tmp_path, apns, fcm, push_service, key, ring_by_push=False) as running:
        ada, bob = await running.person("ada"), await running.person("bob")
        await with_android(running, bob, "phone")
        async with chatting(running, ada) as chat:
            await tell(chat, bob, Call, ada, bob)
            await tell(chat, bob, Reject, ada, bob)
            await tell(chat, bob, HangUp, ada, bob)
        await eventually_so(lambda: _has(bob, 1))
        assert await running.log() == []


async def test_a_ring_that_is_not_out_yet(
    tmp_path: Any, apns: Any, fcm: Any, push_service: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a call that ended before its push could go out, nothing goes out any more."""
    monkeypatch.setattr(ringer, "TICK_SECONDS", 0.1)
    async with world(tmp_path, apns, fcm, push_service, key) as running:
        ada, bob = await running.person("ada"), await running.person("bob")
        await bob.subscribe("gcm", "unknown")
        refused = running.fcm.faults
        from tests.push.provider import Answer

        refused.extend([None, Answer(503, {"retry-after": "1"})])
        async with chatting(running, ada) as chat:
            await tell(chat, bob, Call, ada, bob)
            await eventually_so(lambda: _tried(running))
            await tell(chat, bob, HangUp, ada, bob)
            entries = await running.settled(2)
        assert entries[0].state is State.WITHDRAWN
        assert [message["data"]["signal_type"] for message in running.fcm.messages] == [
            "startCall", "endCall",
        ]  # fmt: skip


async def _tried(running: World) -> bool:
    return any(e.state is State.QUEUED and e.attempts for e in await running.log())
