"""Who gets what."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from ringmesh.protocol.element import Element, read
from ringmesh.protocol.signal_xml import decode_signal
from ringmesh.signals import IceRestart
from tests.chat.host import Client, running, signal, user


async def test_a_bare_address_reaches_every_device() -> None:
    """All devices of the callee ring."""
    async with running() as host:
        caller = await host.online(1)
        devices = [await host.online(2) for _ in range(3)]
        await caller.send(signal(user(2)))
        for device in devices:
            assert (await device.receive()).get("from") == caller.jid


async def test_a_full_address_reaches_that_device_only() -> None:
    """The resource names one device."""
    async with running() as host:
        sender, one, other = await host.online(1), await host.online(2), await host.online(2)
        await sender.send(signal(one.jid))
        await sender.ping()
        assert (await one.receive()).get("to") == one.jid
        await other.ping()


async def test_a_forged_sender_is_replaced() -> None:
    """The receiver sees who is logged in, whatever the sender claims."""
    async with running() as host:
        sender, receiver = await host.online(1), await host.online(2)
        forged = signal(user(2)).replace("<message ", f'<message from="{user(3)}/x" ')
        await sender.send(forged)
        frame = await receiver.receive_text()
        assert read(frame).get("from") == sender.jid
        assert user(3) not in frame


async def test_children_arrive_as_they_were_written() -> None:
    """Quotes, line ends, entities and the JavaScript SDK's own element names come to it
    untouched."""
    sdp = "<sdp>v=0&#13;\no=- 1 \"x\" 'y'\r\na=b</sdp>"
    extra = f"{sdp}<userInfo><list><0>a</0><1>b</1></list></userInfo>"
    async with running() as host:
        sender, receiver = await host.online(1), await host.online(2, javascript=True)
        sent = signal(user(2), extra=extra)
        await sender.send(sent)
        frame = await receiver.receive_text()
        assert frame[frame.index("<extraParams") :] == sent[sent.index("<extraParams") :]


async def test_each_device_gets_the_dialect_that_it_reads() -> None:
    """One signal reaches a browser as it was written, and a phone as legal XML."""
    extra = (
        "<userInfo><list><0>a</0></list></userInfo><iceCandidates><iceCandidate>"
        "<sdpMLineIndex></sdpMLineIndex><candidate>c</candidate></iceCandidate></iceCandidates>"
    )
    async with running() as host:
        sender = await host.online(1, javascript=True)
        browser, phone = await host.online(2, javascript=True), await host.online(2)
        await sender.send(signal(user(2), "iceCandidates", extra=extra))
        assert extra in await browser.receive_text()
        heard = await phone.receive_text()
        ElementTree.fromstring(heard)
        assert "<list><_0>a</_0></list>" in heard
        assert "<sdpMLineIndex>0</sdpMLineIndex>" in heard


async def test_a_restart_tells_phones_about_its_call() -> None:
    """What the JavaScript SDK leaves out of ICE restarts is added from the call."""
    async with running() as host:
        sender = await host.online(1, javascript=True)
        browser, phone = await host.online(2, javascript=True), await host.online(2)
        await sender.send(
            signal(user(2), extra="<opponentsIDs><opponentID>2</opponentID></opponentsIDs>")
        )
        for each in (browser, phone):
            await each.receive()
        restart = (
            f'<message to="{user(2)}" type="headline" id="1"><extraParams xmlns="jabber:client">'
            "<moduleIdentifier>WebRTCVideoChat</moduleIdentifier><signalType>iceRestart</signalType>"
            "<platform>web</platform><sessionID>s1</sessionID><sdp>v=0</sdp></extraParams></message>"
        )
        await sender.send(restart)
        assert "callerID" not in await browser.receive_text()
        heard = decode_signal(await phone.receive())
        assert isinstance(heard, IceRestart)
        assert (heard.caller_id, heard.call_type, heard.opponents_ids) == (1, 2, (2,))


async def test_order_and_repeats_are_kept() -> None:
    """Signals of one sender arrive in order, and equal ones are not taken for one."""
    async with running() as host:
        sender, receiver = await host.online(1), await host.online(2)
        sessions = [f"s{number // 2}" for number in range(200)]
        for session in sessions:
            await sender.send(signal(user(2), session=session))
        received = [await receiver.receive() for _ in sessions]
        assert [_session(message) for message in received] == sessions


async def test_what_is_for_nobody_is_dropped() -> None:
    """Users who are offline or do not exist: no error, no storage, no harm."""
    async with running() as host:
        sender = await host.online(1)
        for to in (user(2), "nobody", "", "@", "chat.test/2-1@x", f"{user(2)}/x", "2-1", "x@muc.y"):
            await sender.send(signal(to))
        await sender.send('<message type="headline"/>')
        await sender.ping()
        late = await host.online(2)
        await late.ping()


async def test_applications_do_not_meet() -> None:
    """The same user id in another application is somebody else."""
    async with running() as host:
        sender, namesake = await host.online(1, 1), await host.online(2, 7)
        await sender.send(signal(user(2, 7)))
        await sender.ping()
        await namesake.ping()


async def test_any_domain_in_an_address_means_this_server() -> None:
    """SDKs may be configured with another chat domain than the server's."""
    async with running() as host:
        sender, receiver = await host.online(1), await host.online(2)
        await sender.send(signal("2-1@elsewhere.example"))
        assert (await receiver.receive()).name == "message"


@pytest.mark.parametrize("kind", ["chat", "normal", "error", "groupchat"])
async def test_messages_of_other_types_pass_between_online_users(kind: str) -> None:
    """Chat messages are relayed like signals, and not kept."""
    async with running() as host:
        sender, receiver = await host.online(1), await host.online(2)
        await sender.send(f'<message to="{user(2)}" type="{kind}"><body>hi</body></message>')
        message = await receiver.receive()
        assert (message.get("type"), message.child_text("body")) == (kind, "hi")


@pytest.mark.parametrize(
    ("kind", "copied"),
    [
        ("accept", True),
        ("reject", True),
        ("hangUp", True),
        ("call", False),
        ("iceCandidates", False),
    ],
)
async def test_what_ends_ringing_is_copied_to_own_devices(kind: str, copied: bool) -> None:
    """Accept, reject and hang-up go as carbons to own devices that asked for them, no others."""
    async with running() as host:
        caller = await host.online(1)
        answering = await host.online(2, carbons=True)
        ringing = await host.online(2, carbons=True)
        plain = await host.online(2)
        await answering.send(signal(user(1), kind))
        assert _sender(await caller.receive()) == answering.jid
        if copied:
            copy = await ringing.receive()
            assert (copy.get("type"), copy.get("from"), copy.get("to")) == (
                "headline",
                user(2),
                ringing.jid,
            )
            assert _forwarded(copy).get("from") == answering.jid
            assert _forwarded(copy).get("to") == user(1)
        for device in (answering, ringing, plain):
            await device.ping()


async def test_carbons_can_be_switched_off() -> None:
    """A device that disabled carbons gets none."""
    async with running() as host:
        answering, other = await host.online(2), await host.online(2, carbons=True)
        await other.ask("set", Element("disable", "urn:xmpp:carbons:2"))
        await answering.send(signal(user(1), "accept"))
        await answering.ping()
        await other.ping()


async def test_a_user_may_write_to_himself() -> None:
    """Own devices are devices: an own bare address reaches all of them."""
    async with running() as host:
        one, other = await host.online(1), await host.online(1)
        await one.send(signal(user(1)))
        assert _sender(await one.receive()) == _sender(await other.receive()) == one.jid


@pytest.mark.parametrize("xmlns", ["vcard-temp", "jabber:iq:privacy", "urn:xmpp:unknown", "x"])
async def test_every_request_is_answered(xmlns: str) -> None:
    """SDKs wait for ever for the answer to an iq; nothing is passed on to other users."""
    async with running() as host:
        client, other = await host.online(1), await host.online(2)
        for to in (None, user(2), other.jid):
            answer = await client.ask("get", Element("query", xmlns), to)
            own_lists = to is None and xmlns == "jabber:iq:privacy"  # of which there are none
            assert answer.get("type") == ("result" if own_lists else "error")
            assert answer.get("from") == to
        await other.ping()


async def test_last_activity() -> None:
    """0 for who is online, the age of the departure else, an error for who is unknown."""
    async with running() as host:
        client, other = await host.online(1), await host.online(2)
        host.seen[1, 3] = datetime.now(UTC) - timedelta(hours=1)
        assert await _idle_seconds(client, 2) == 0
        other.cut()
        await host.until(lambda: not host.chat.is_online(1, 2))
        seconds = await _idle_seconds(client, 2)
        assert seconds is not None
        assert seconds < 10
        long_ago = await _idle_seconds(client, 3)
        assert long_ago is not None
        assert long_ago >= 3600
        assert await _idle_seconds(client, 4) is None
        assert await _idle_seconds(client, 2, app_id=7) is None


async def test_many_users_talk_at_once() -> None:
    """Twenty pairs exchange fifty signals each; nobody gets another's."""
    async with running() as host:
        clients = [await host.online(number) for number in range(1, 41)]
        await asyncio.gather(
            *(_exchange(clients[n], clients[n ^ 1], (n ^ 1) + 1) for n in range(40))
        )
        assert host.chat.router.relayed == 40 * 50
        assert host.chat.router.dropped == 0


async def _exchange(client: Client, partner: Client, partner_id: int) -> None:
    for number in range(50):
        await client.send(signal(user(partner_id), session=f"{client.jid}#{number}"))
    for number in range(50):
        message = await client.receive()
        assert _sender(message) == partner.jid
        assert _session(message) == f"{partner.jid}#{number}"


async def _idle_seconds(client: Client, user_id: int, app_id: int = 1) -> int | None:
    query = Element("query", "jabber:iq:last")
    answer = await client.ask("get", query, user(user_id, app_id))
    assert answer.get("from") == user(user_id, app_id)
    if answer.get("type") == "error":
        return None
    last = answer.child("query", "jabber:iq:last")
    assert last is not None
    return int(last.get("seconds") or "")


def _sender(message: Element) -> str | None:
    return message.get("from")


def _session(message: Element) -> str | None:
    params = message.child("extraParams")
    assert params is not None
    return params.child_text("sessionID")


def _forwarded(copy: Element) -> Element:
    sent = copy.child("sent", "urn:xmpp:carbons:2")
    assert sent is not None
    forwarded = sent.child("forwarded", "urn:xmpp:forward:0")
    assert forwarded is not None
    return forwarded.children[0]
