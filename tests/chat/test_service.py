"""What the rest of the server asks of the chat."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ringmesh.errors import ProtocolError
from ringmesh.protocol.element import Element
from ringmesh.protocol.signal_xml import decode_signal
from ringmesh.server.chat.call_memory import CallMemory
from ringmesh.signals import CallType, Reject
from tests.chat.host import Host, running, signal, user


async def test_a_call_is_rejected_for_a_user_who_is_not_connected() -> None:
    """Caller and call type are those of the call; own devices stop ringing; others hear nothing."""
    async with running() as host:
        callers = [await host.online(1), await host.online(1)]
        ringing, other = await host.online(2, carbons=True), await host.online(3)
        await callers[0].send(signal(user(2), caller=1, session="s7"))
        await ringing.receive()
        _reject(host, "s7", [1], {"busy": True, "n": 3, "note": "x<y", "o": {"k": None}})
        for device in callers:
            message = await device.receive()
            assert (message.get("from"), message.get("to")) == (user(2), user(1))
            assert decode_signal(message) == Reject(
                session_id="s7",
                call_type=CallType.AUDIO_CALL,
                caller_id=1,
                platform="web",
                user_info={"busy": "true", "n": "3", "note": "x<y", "o": {"k": None}},
            )
        assert (await ringing.receive()).child("sent", "urn:xmpp:carbons:2") is not None
        for device in (*callers, ringing, other):
            await device.ping()


async def test_a_call_that_nobody_saw_can_be_rejected() -> None:
    """Some SDKs need caller and call type in every signal, so both are filled in."""
    async with running() as host:
        caller, second = await host.online(1), await host.online(3)
        _reject(host, "unknown", [1, 3, 3, 99], {})
        for device, user_id in ((caller, 1), (second, 3)):
            rejection = decode_signal(await device.receive())
            assert isinstance(rejection, Reject)
            assert (rejection.caller_id, rejection.call_type) == (user_id, CallType.VIDEO_CALL)
            await device.ping()


async def test_rejecting_stays_within_the_application() -> None:
    """Neither users nor remembered calls of another application are touched."""
    async with running() as host:
        caller, namesake = await host.online(1), await host.online(1, 7)
        receiver = await host.online(2, 7)
        await namesake.send(signal(user(2, 7), session="s7"))
        await receiver.receive()
        _reject(host, "s7", [1], {})
        rejection = decode_signal(await caller.receive())
        assert rejection is not None
        assert rejection.call_type is CallType.VIDEO_CALL
        await namesake.ping()


async def test_a_rejection_that_cannot_be_written_is_refused() -> None:
    """Keys that are no XML names are the requester's mistake."""
    async with running() as host:
        with pytest.raises(ProtocolError):
            _reject(host, "s", [1], {"1 2": "x"})


async def test_who_is_online_can_be_asked() -> None:
    """Ids once each, in order, per application; a departure is remembered."""
    async with running() as host:
        started = datetime.now(UTC)
        clients = [await host.online(number) for number in (3, 1, 1)]
        await host.online(9, 2)
        assert host.chat.online_users(1) == [1, 3]
        assert host.chat.is_online(1, 3)
        assert not host.chat.is_online(2, 3)
        assert await host.chat.last_seen(1, 2) is None
        clients[0].cut()
        await host.until(lambda: not host.chat.is_online(1, 3))
        seen = await host.chat.last_seen(1, 3)
        assert seen is not None
        assert started <= seen <= datetime.now(UTC)
        clients[1].cut()
        await host.until(lambda: host.chat.connection_count() == 2)
        assert host.chat.is_online(1, 1)


async def test_the_users_are_asked_by_the_sdk() -> None:
    """A request that names no user gets an answer too."""
    async with running() as host:
        client = await host.online(1)
        answer = await client.ask("get", Element("query", "jabber:iq:last"))
        assert answer.get("type") == "error"


def test_calls_are_remembered_in_bounded_number_and_age() -> None:
    """The oldest go first; what is too old is not told any more."""
    now = 0.0
    calls = CallMemory(capacity=2, lifetime=10, clock=lambda: now)
    for number in range(3):
        now = float(number)
        calls.remember(_call(f"s{number}"), 1, 1)
    assert calls.find(1, "s0") is None
    assert calls.find(2, "s2") is None
    now = 11.5
    assert calls.find(1, "s1") is None
    assert calls.find(1, "s2") is not None


def test_only_the_caller_says_who_called() -> None:
    """Another member's signal, or a repeat with other contents, changes nothing."""
    calls = CallMemory()
    calls.remember(_call("s", caller=1), 1, 2)
    assert calls.find(1, "s") is None
    calls.remember(_call("s", caller=1), 1, 1)
    calls.remember(_call("s", caller=3), 1, 3)
    found = calls.find(1, "s")
    assert found is not None
    assert (found.caller_id, found.call_type) == (1, 2)


@pytest.mark.parametrize("odd", ["", "<sessionID/>", f"<sessionID>{'x' * 999}</sessionID>"])
def test_calls_without_a_usable_id_are_not_remembered(odd: str) -> None:
    """Whatever passes the stanza check may come."""
    calls = CallMemory()
    calls.remember(f"<message><signalType>call</signalType>{odd}</message>".encode(), 1, 1)
    assert calls.find(1, "") is None
    assert calls.find(1, "x" * 999) is None


def _call(session: str, caller: int = 1) -> bytes:
    return signal(user(2), session=session, caller=caller).encode()


def _reject(host: Host, session: str, recipients: list[int], user_info: dict[str, object]) -> None:
    host.chat.reject_call(
        app_id=1,
        user_id=2,
        session_id=session,
        recipient_ids=recipients,
        platform="web",
        user_info=user_info,
    )
