"""Callbacks, plain and coroutine, and the events that tell the same."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ringmesh import (
    CallAcceptedByUser,
    CallRejectedByUser,
    CallType,
    ConnectedToUser,
    Connection,
    Event,
    InvalidStateError,
    P2PSession,
    ReceiveNewSession,
    RemoteStreamReceived,
    RTCSessionStateCallback,
    SessionClosed,
    UserRinging,
)
from ringmesh.client import events
from ringmesh.signals import Accept, HangUp, Reject
from tests.client.calling import Phone, all_meet, over, told
from tests.client.conftest import SignIn
from tests.interop.people import LIMIT


async def two(sign_in: SignIn) -> tuple[Phone, Phone]:
    """Two people."""
    return Phone(await sign_in(), 1), Phone(await sign_in(), 2)


async def test_a_callback_may_run_the_whole_call(sign_in: SignIn) -> None:
    """A coroutine callback that accepts, waits and hangs up holds up nothing."""
    alice, bob = await two(sign_in)

    async def whole_call(session: P2PSession) -> None:
        await session.accept_call()
        await session.wait_for(RemoteStreamReceived)
        await session.hang_up({"by": "callback"})

    bob.me.calls.on_receive_new_session = whole_call
    outgoing = await alice.calls(bob)
    left = await told(outgoing, events.ReceiveHungUpFromUser, bob)
    assert left.user_info == {"by": "callback"}


async def ring(alice: Phone, user_id: int) -> P2PSession:
    """Let somebody's client ring."""
    outgoing = alice.me.calls.create_call_session(CallType.AUDIO_CALL, [user_id])
    await outgoing.start_call()
    await told(outgoing, UserRinging)
    return outgoing


@pytest.mark.parametrize("way", ["callback", "events", "wait_for"])
async def test_a_call_that_rings_before_anybody_listens(sign_in: SignIn, way: str) -> None:
    """Whoever listens first is told of it, once; of one that is over by then, nobody is."""
    alice, me = Phone(await sign_in(), 1), await sign_in()
    given_up = await ring(alice, me.id)
    await given_up.hang_up()
    await me.calls.sessions[given_up.session_id].wait_for(SessionClosed, timeout=LIMIT)
    waiting = await ring(alice, me.id)

    heard: asyncio.Queue[P2PSession] = asyncio.Queue()
    if way == "callback":
        me.calls.on_receive_new_session = heard.put_nowait
    elif way == "wait_for":
        heard.put_nowait((await me.calls.wait_for(ReceiveNewSession, timeout=LIMIT)).session)
    else:
        async with me.calls.events() as happenings:
            async for event in happenings:
                assert isinstance(event, ReceiveNewSession)
                heard.put_nowait(event.session)
                break
    me.calls.on_receive_new_session = heard.put_nowait
    later = await ring(alice, me.id)
    sessions = [await asyncio.wait_for(heard.get(), LIMIT) for _ in range(2)]
    assert [one.session_id for one in sessions] == [waiting.session_id, later.session_id]
    assert heard.empty()


async def test_waiting_for_something_else_is_not_listening(sign_in: SignIn) -> None:
    """A call that rings meanwhile is told to whoever listens for calls first, even in general."""
    alice, me = Phone(await sign_in(), 1), await sign_in()
    other = asyncio.ensure_future(me.calls.wait_for(events.InvalidEvent, timeout=LIMIT))
    await asyncio.sleep(0)
    outgoing = await ring(alice, me.id)
    event = await me.calls.wait_for(events.SessionEvent, timeout=LIMIT)
    assert isinstance(event, ReceiveNewSession)
    assert event.session.session_id == outgoing.session_id
    stranger = HangUp(session_id="unknown", call_type=CallType.AUDIO_CALL, caller_id=alice.id)
    me.calls.receive_signal(alice.id, stranger)
    assert (await other).user_id == alice.id


async def test_callbacks_in_order(sign_in: SignIn) -> None:
    """Every callback of a call is called, in the order in which things happened."""
    alice, bob = await two(sign_in)
    seen: list[str] = []
    outgoing = alice.me.calls.create_call_session(CallType.AUDIO_CALL, [bob.id])

    class Listener(RTCSessionStateCallback):
        def on_connecting_to_user(self, session: P2PSession, user_id: int) -> None:
            seen.append("connecting")

        async def on_connected_to_user(self, session: P2PSession, user_id: int) -> None:
            assert (session, user_id) == (outgoing, bob.id)
            seen.append("connected")

        def on_connection_closed_for_user(self, session: P2PSession, user_id: int) -> None:
            seen.append("connection closed")

    outgoing.set_session_callbacks_listener(Listener())
    outgoing.on_local_stream_received = lambda _stream: seen.append("local")
    outgoing.on_call_accepted_by_user = lambda *_: seen.append("accepted")
    outgoing.on_remote_stream_received = lambda *_: seen.append("remote")
    outgoing.on_receive_hung_up_from_user = lambda *_: seen.append("hung up")
    outgoing.on_remote_stream_removed = lambda *_: seen.append("removed")
    outgoing.on_session_closed = lambda _session: seen.append("closed")
    await outgoing.start_call()
    incoming = await bob.answers()
    await told(incoming, ConnectedToUser)
    await told(outgoing, ConnectedToUser)
    await incoming.hang_up()
    await over(outgoing)
    assert seen[0] == "local"
    assert seen.index("accepted") < seen.index("connecting") < seen.index("connected")
    assert seen.index("accepted") < seen.index("remote")
    assert seen.index("connected") < seen.index("hung up") < seen.index("closed")
    assert {"removed", "connection closed"} <= set(seen)
    assert seen[-1] == "closed"
    outgoing.remove_session_callbacks_listener()


async def test_a_callback_that_raises(sign_in: SignIn, caplog: pytest.LogCaptureFixture) -> None:
    """Plain or coroutine, it is logged with its name and does not hurt the call."""
    alice, bob = await two(sign_in)
    outgoing = alice.me.calls.create_call_session(CallType.AUDIO_CALL, [bob.id])

    def plain(*_: object) -> None:
        raise RuntimeError("plain trouble")

    async def coroutine(*_: object) -> None:
        raise RuntimeError("coroutine trouble")

    outgoing.on_call_accepted_by_user = plain
    outgoing.on_remote_stream_received = coroutine
    await outgoing.init_local_media_stream(alice.stream(video=False))
    await outgoing.start_call()
    incoming = await bob.answers()
    await all_meet({alice: outgoing, bob: incoming})
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == 2
    assert "plain trouble" in caplog.text
    assert "coroutine trouble" in caplog.text


async def test_events_tell_the_whole_story(sign_in: SignIn) -> None:
    """Iterating over a session's events ends by itself, with `SessionClosed`."""
    alice, bob = await two(sign_in)
    outgoing = await alice.calls(bob, call_type=CallType.AUDIO_CALL)
    story: list[Event] = []

    async def listen() -> None:
        async for event in outgoing.events():
            story.append(event)

    async with asyncio.TaskGroup() as group:
        group.create_task(listen())
        incoming = await bob.answers()
        await told(outgoing, ConnectedToUser)
        await incoming.hang_up()
    kinds = [type(event) for event in story]
    assert kinds[:2] == [UserRinging, CallAcceptedByUser]
    assert kinds[-1] is SessionClosed
    assert [event async for event in outgoing.events()] == []


async def test_waiting_for_what_cannot_come(sign_in: SignIn) -> None:
    """`wait_for` finds past events, times out, and raises when the call ends without one."""
    alice, bob = await two(sign_in)
    outgoing = await alice.calls(bob)
    with pytest.raises(TimeoutError):
        await outgoing.wait_for(ConnectedToUser, timeout=0.01)
    await (await bob.rings()).reject()
    with pytest.raises(InvalidStateError, match="ConnectedToUser"):
        await outgoing.wait_for(ConnectedToUser, timeout=LIMIT)
    first = await outgoing.wait_for(ConnectedToUser, CallRejectedByUser, timeout=LIMIT)
    assert isinstance(first, CallRejectedByUser)


async def test_client_tells_of_every_call(sign_in: SignIn) -> None:
    """The client's own events tell of each call that comes and each that ends."""
    alice, bob = await two(sign_in)
    ended: list[str] = []
    bob.me.calls.on_session_closed = lambda session: ended.append(session.session_id)
    async with bob.me.calls.events() as calls:
        outgoing = await alice.calls(bob)
        await (await bob.rings()).reject()
        came = [await asyncio.wait_for(anext(calls), LIMIT) for _ in range(2)]
    assert [type(event) for event in came] == [ReceiveNewSession, SessionClosed]
    assert ended == [outgoing.session_id]


async def test_ended_calls_are_known_until_cleared(sign_in: SignIn) -> None:
    """A call that is over can be looked up, and forgotten; a running one cannot be forgotten."""
    alice, bob = await two(sign_in)
    outgoing = await alice.calls(bob)
    with pytest.raises(InvalidStateError):
        alice.me.calls.clear_session(outgoing.session_id)
    await outgoing.hang_up()
    assert alice.me.calls.sessions[outgoing.session_id] is outgoing
    alice.me.calls.clear_session(outgoing.session_id)
    assert outgoing.session_id not in alice.me.calls.sessions


async def test_signals_of_a_stranger_change_nothing(sign_in: SignIn) -> None:
    """Somebody who is not in a call cannot end it, answer it or decline it."""
    alice, bob = await two(sign_in)
    mallory = await sign_in()
    outgoing = await alice.calls(bob)
    incoming = await bob.rings()
    await forge(mallory, outgoing, alice)
    await forge(mallory, outgoing, bob)
    await incoming.init_local_media_stream(bob.stream())
    await incoming.accept_call()
    await forge(mallory, outgoing, alice)
    await all_meet({alice: outgoing, bob: incoming})


async def forge(mallory: Connection, session: P2PSession, victim: Phone) -> None:
    """Send what would end the call if its members sent it, and wait until it has arrived."""
    base = {
        "session_id": session.session_id,
        "call_type": session.call_type,
        "caller_id": session.caller_id,
        "opponents_ids": session.opponents_ids,
    }
    for signal in (Reject(**base), Accept(**base, sdp="v=0"), HangUp(**base)):
        mallory.chat.send_signal(victim.id, signal)
    marker = HangUp(session_id="marker", call_type=CallType.AUDIO_CALL, caller_id=mallory.id)
    arrived = asyncio.ensure_future(victim.me.calls.wait_for(events.InvalidEvent, timeout=LIMIT))
    await asyncio.sleep(0)
    mallory.chat.send_signal(victim.id, marker)
    assert (await arrived).user_id == mallory.id
