"""Connections that break and come back: nothing is lost, nothing comes twice (XEP-0198)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from ringmesh.protocol.element import Element
from ringmesh.server.chat import ChatLimits
from ringmesh.server.chat import resumption as resumption_module
from tests.chat.host import Client, Host, running, signal, user

SM = "urn:xmpp:sm:3"
ENABLE = f'<enable xmlns="{SM}" resume="true" max="60"/>'
ASK = f'<r xmlns="{SM}"/>'


@dataclass
class Seat:
    """A client that can resume: what it needs for that."""

    client: Client
    stream_id: str
    jid: str
    handled: int = 0


async def seat(host: Host, user_id: int) -> Seat:
    """Somebody online who can resume."""
    client = await host.online(user_id)
    await client.send(ENABLE)
    enabled = await client.receive()
    assert (enabled.name, enabled.get("resume")) == ("enabled", "true")
    assert int(enabled.get("max") or 0) > 0
    return Seat(client, enabled.get("id") or "", client.jid)


async def cut(host: Host, seat: Seat) -> None:
    """Break the connection, and wait until the server knows."""
    seat.client.cut()
    await host.until(lambda: host.chat.resumable.detached > 0)


async def resume(
    host: Host, seat: Seat, user_id: int, handled: int, stream_id: str | None = None
) -> tuple[Client, Element]:
    """Log in again and try to go on; the server's answer."""
    client = await host.client()
    await client.open()
    assert (await client.authenticate(f"{user_id}-1", "secret")).name == "success"
    await client.open()
    previd = seat.stream_id if stream_id is None else stream_id
    await client.send(f'<resume xmlns="{SM}" previd="{previd}" h="{handled}"/>')
    return client, await client.receive()


async def sessions(client: Client) -> list[str]:
    """The call sessions of the signals that come until the server asks what we have."""
    found = []
    while (element := await client.receive()).name != "r":
        found.append(session_of(element))
    return found


def session_of(message: Element) -> str:
    params = message.child("extraParams")
    assert params is not None, message
    return params.child_text("sessionID") or ""


@contextlib.asynccontextmanager
async def hosting(**limits: float) -> AsyncIterator[Host]:
    async with running(ChatLimits(**limits)) as host:  # type: ignore[arg-type]
        yield host


@pytest_asyncio.fixture
async def host() -> AsyncIterator[Host]:
    """A chat service with the limits that servers have."""
    async with running() as host:
        yield host


async def test_what_was_missed_comes_in_order(host: Host) -> None:
    """Signals sent while the device is away come once it is back, in order, to the same address."""
    ann, bob = await host.online(1), await seat(host, 2)
    await ann.send(signal(user(2), session="before"))
    assert session_of(await bob.client.receive()) == "before"
    await cut(host, bob)
    for session in ("one", "two", "three"):
        await ann.send(signal(user(2), "hangUp", session))
    await ann.ping()
    again, answer = await resume(host, bob, 2, 1)
    assert (answer.name, answer.get("previd"), answer.get("h")) == ("resumed", bob.stream_id, "0")
    assert await sessions(again) == ["one", "two", "three"]
    await ann.send(signal(bob.jid, session="after"))
    assert session_of(await again.receive()) == "after"


async def test_what_was_under_way_comes_again(host: Host) -> None:
    """What the client does not confirm at its return is sent again, what it confirms is not."""
    ann, bob = await host.online(1), await seat(host, 2)
    for session in ("one", "two", "three"):
        await ann.send(signal(user(2), "hangUp", session))
        await bob.client.receive()
    await cut(host, bob)
    again, _ = await resume(host, bob, 2, 2)
    assert await sessions(again) == ["three"]


async def test_the_server_says_what_it_got(host: Host) -> None:
    """`h` counts what the client sent on all connections of the stream."""
    ann, bob = await host.online(1), await seat(host, 2)
    await bob.client.send(signal(user(1), session="one"))
    assert session_of(await ann.receive()) == "one"
    await cut(host, bob)
    again, answer = await resume(host, bob, 2, 0)
    assert answer.get("h") == "1"
    assert await sessions(again) == []
    await again.send(signal(user(1), session="two"))
    assert session_of(await ann.receive()) == "two"
    await cut(host, Seat(again, bob.stream_id, bob.jid))
    _, answer = await resume(host, bob, 2, 0)
    assert answer.get("h") == "2"


async def test_before_the_server_notices(host: Host) -> None:
    """A client that is back sooner than its old connection is found dead takes over."""
    ann, bob = await host.online(1), await seat(host, 2)
    again, answer = await resume(host, bob, 2, 0)
    assert answer.name == "resumed"
    assert await sessions(again) == []
    await bob.client.end()
    await ann.send(signal(user(2), session="one"))
    assert session_of(await again.receive()) == "one"
    assert host.chat.router.devices == 2


async def test_old_calls_do_not_ring(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that waited for longer than its repeats take is not handed on; all else is."""
    monkeypatch.setattr(resumption_module, "STALE_CALL", -1.0)
    ann, bob = await host.online(1), await seat(host, 2)
    await cut(host, bob)
    await ann.send(signal(user(2), "call", "old"))
    await ann.send(signal(user(2), "hangUp", "old"))
    await ann.send(signal(user(2), "iceRestart", "running"))
    await ann.ping()
    again, _ = await resume(host, bob, 2, 0)
    assert await sessions(again) == ["old", "running"]
    await again.send(f'<a xmlns="{SM}" h="2"/>')
    await host.until(lambda: host.chat.resumable.queued_bytes == 0)


@pytest.mark.parametrize("kind", ["unknown", "of somebody else", "impossible count", "no count"])
async def test_forged(host: Host, kind: str) -> None:
    """Only the same user can go on with a stream; who cannot may bind, and nothing breaks."""
    bob = await seat(host, 2)
    host.passwords[1, 3] = "secret"
    await cut(host, bob)
    who = 3 if kind == "of somebody else" else 2
    stream_id = "0" * 32 if kind == "unknown" else bob.stream_id
    handled = 7 if kind == "impossible count" else 0
    thief, answer = await resume(host, bob, who, handled, stream_id)
    if kind == "no count":
        thief, answer = await resume(host, bob, who, -1, stream_id)
    assert answer.name == "failed"
    assert answer.children[0].name == "item-not-found"
    await thief.send(
        '<iq type="set" id="bind" xmlns="jabber:client">'
        '<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>'
    )
    assert (await thief.receive()).get("type") == "result"


async def test_replayed(host: Host) -> None:
    """A stream that was closed in order, or is over, cannot be resumed."""
    bob = await seat(host, 2)
    await bob.client.send('<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>')
    await bob.client.end()
    _, answer = await resume(host, bob, 2, 0)
    assert answer.name == "failed"


async def test_nobody_comes_back() -> None:
    """After its time the device is offline, and who can learn it is told what it did not get."""
    async with hosting(resume_seconds=1.0) as host:
        ann, carl, bob = await seat(host, 1), await host.online(3), await seat(host, 2)
        await cut(host, bob)
        assert host.chat.is_online(1, 2)
        for sender in (ann.client, carl):
            await sender.send(signal(user(2), "hangUp", "lost"))
        bounced = await ann.client.receive()
        assert (bounced.get("type"), bounced.get("from")) == ("error", user(2))
        assert bounced.get("id") == "65f00000000000000000000a"
        assert not host.chat.is_online(1, 2)
        await carl.ping()  # other SDKs take errors badly: nothing came
        _, answer = await resume(host, bob, 2, 0)
        assert answer.name == "failed"
        await ann.client.send(f'<a xmlns="{SM}" h="1"/>')
        await host.until(lambda: host.chat.resumable.queued_bytes == 0)


async def test_too_much_for_an_absent_device() -> None:
    """A device whose queue is full is gone; memory stays bounded."""
    async with hosting(resume_stanzas=10) as host:
        ann, bob = await host.online(1), await seat(host, 2)
        await cut(host, bob)
        for _ in range(12):
            await ann.send(signal(user(2), "hangUp"))
        await ann.ping()
        assert not host.chat.is_online(1, 2)
        assert host.chat.resumable.queued_bytes == 0


async def test_a_client_that_confirms_nothing() -> None:
    """It goes on getting everything, but cannot resume any more."""
    async with hosting(resume_bytes=2000) as host:
        ann, bob = await host.online(1), await seat(host, 2)
        for number in range(20):
            await ann.send(signal(user(2), session=f"s{number}"))
        got = []
        while len(got) < 20:
            element = await bob.client.receive()
            if element.name == "message":
                got.append(session_of(element))
        assert got == [f"s{number}" for number in range(20)]
        assert host.chat.resumable.queued_bytes == 0
        bob.client.cut()
        await host.until(lambda: not host.chat.is_online(1, 2))
        assert host.chat.resumable.detached == 0


async def test_devices_without_connection_are_bounded() -> None:
    """Beyond the limit the one that left first is gone."""
    async with hosting(detached_devices=2) as host:
        seats = [await seat(host, user_id) for user_id in (1, 2, 3)]
        for each in seats:
            count = host.chat.connection_count()
            each.client.cut()
            await host.until(lambda count=count: host.chat.connection_count() < count)  # type: ignore[misc]
        assert [host.chat.is_online(1, user_id) for user_id in (1, 2, 3)] == [False, True, True]


async def test_absent_devices_do_not_lock_anybody_out() -> None:
    """A crashing client that never resumes is let in: its absent devices make room."""
    async with hosting(devices_per_user=2) as host:
        for _ in range(4):
            await cut(host, await seat(host, 2))
        assert host.chat.router.devices <= 2


async def test_same_resource_again(host: Host) -> None:
    """Who binds a resource anew instead of resuming replaces the device that waits."""
    bob = await seat(host, 2)
    await cut(host, bob)
    client = await host.client()
    await client.log_in("2-1", "secret", bob.jid.rpartition("/")[2])
    assert client.jid == bob.jid
    assert host.chat.resumable.detached == 0
    assert host.chat.router.devices == 1


async def test_removed_users_cannot_come_back(host: Host) -> None:
    """Who lost the right to be here loses waiting devices too."""
    bob = await seat(host, 2)
    await cut(host, bob)
    host.chat.disconnect_user(1, 2)
    assert not host.chat.is_online(1, 2)
    assert host.chat.resumable.detached == 0


@pytest.mark.parametrize("wish", ["", ' resume="true"'])
async def test_other_sdks_do_not_see_it(host: Host, wish: str) -> None:
    """Acknowledgements without resumption stay as they were: no id, and offline at once."""
    bob = await host.online(2)
    await bob.send(f'<enable xmlns="{SM}"{wish}/>')
    enabled = await bob.receive()
    assert (enabled.name, enabled.attributes) == ("enabled", {})
    bob.cut()
    await host.until(lambda: not host.chat.is_online(1, 2))
    assert host.chat.resumable.detached == 0


async def test_many_cuts_lose_nothing(host: Host) -> None:
    """Over a connection that breaks again and again each signal comes once, in order."""
    ann, bob = await host.online(1), await seat(host, 2)
    total, got, handled = 200, list[str](), 0
    client = bob.client

    async def send() -> None:
        for number in range(total):
            await ann.send(signal(user(2), "hangUp", f"s{number}"))
            if number % 10 == 0:
                await asyncio.sleep(0)
        await ann.ping()

    sending = asyncio.create_task(send())
    while len(got) < total:
        element = await client.receive()
        if element.name == "message":
            got.append(session_of(element))
            handled += 1
            if len(got) % 23 == 0:
                client.cut()
                client, answer = await resume(host, bob, 2, handled)
                assert answer.name == "resumed"
        elif element.name == "r":
            await client.send(f'<a xmlns="{SM}" h="{handled}"/>')
    await sending
    assert got == [f"s{number}" for number in range(total)]
