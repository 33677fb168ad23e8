"""One-to-one calls between the Python SDK and the unmodified browser SDK, checked by content."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ringmesh import CallType, P2PSession, RTCConfig
from ringmesh.client.events import (
    CallAcceptedByUser,
    CallRejectedByUser,
    ConnectedToUser,
    ReceiveHungUpFromUser,
    ReceiveNewSession,
    SessionClosed,
    UserNoAnswer,
)
from tests.interop.browser import BrowserPeer, Browsers
from tests.interop.conftest import PASSWORD, SignIn
from tests.interop.people import LIMIT, coded, hears, remote_stream, sees

Login = Callable[[], str]
VIDEO, AUDIO = int(CallType.VIDEO_CALL), int(CallType.AUDIO_CALL)


async def talk(
    page: BrowserPeer, session: P2PSession, stream_id: int, tone_hz: float, *, video: bool
) -> None:
    """Both see and hear each other, by content."""
    me = session.current_user_id
    both = [hears(session, page.user_id, page.tone_hz), page.hears(me, tone_hz)]
    if video:
        both += [sees(session, page.user_id, page.stream_id), page.sees(me, stream_id)]
    async with asyncio.TaskGroup() as group:
        for one in both:
            group.create_task(one)


async def ringing(me: object) -> P2PSession:
    """The call that comes in next."""
    event = await me.calls.wait_for(ReceiveNewSession, timeout=LIMIT)  # type: ignore[attr-defined]
    return event.session


async def test_browser_calls_python_and_hangs_up(
    browsers: Browsers, sign_in: SignIn, login: Login
) -> None:
    """A video call from the browser carries both ways, and its hang-up ends ours."""
    page = await browsers.sign_in(login(), PASSWORD)
    me = await sign_in()
    stream = coded(3, 830.0)
    waiting = asyncio.ensure_future(ringing(me))
    await asyncio.sleep(0)
    call = await page.run("call", [me.id], VIDEO, {"name": "Ann & <co>"})
    session = await waiting

    assert (session.session_id, session.caller_id, session.opponents_ids) == (
        call,
        page.user_id,
        (me.id,),
    )
    assert session.call_type is CallType.VIDEO_CALL
    assert session.user_info["name"] == "Ann & <co>"
    await session.init_local_media_stream(stream)
    await session.accept_call({"answer": "yes"})
    accepted = await page.event("accept", session=call)
    assert (accepted["userId"], accepted["userInfo"]) == (me.id, {"answer": "yes"})
    await talk(page, session, 3, 830.0, video=True)

    await page.run("stop", call, {"why": "done"})
    left = await session.wait_for(ReceiveHungUpFromUser, timeout=LIMIT)
    assert (left.user_id, left.user_info) == (page.user_id, {"why": "done"})
    await session.wait_for(SessionClosed, timeout=LIMIT)
    stream.close()


async def test_python_calls_browser_and_hangs_up(
    browsers: Browsers, sign_in: SignIn, login: Login
) -> None:
    """A video call from Python carries both ways, and its hang-up ends the browser's."""
    page = await browsers.sign_in(login(), PASSWORD)
    me = await sign_in()
    stream = coded(4, 830.0)
    session = me.calls.create_call_session(CallType.VIDEO_CALL, [page.user_id])
    await session.init_local_media_stream(stream)
    await session.start_call({"name": "Zoë"})

    rings = await page.event("call")
    assert (rings["session"], rings["userId"], rings["callType"]) == (
        session.session_id,
        me.id,
        VIDEO,
    )
    assert rings["userInfo"] == {"name": "Zoë"}
    await page.run("accept", session.session_id, {"mood": "good"})
    accepted = await session.wait_for(CallAcceptedByUser, timeout=LIMIT)
    assert (accepted.user_id, accepted.user_info) == (page.user_id, {"mood": "good"})
    await session.wait_for(ConnectedToUser, timeout=LIMIT)
    await talk(page, session, 4, 830.0, video=True)

    await session.hang_up({"why": "bye"})
    stopped = await page.event("stop", session=session.session_id)
    assert (stopped["userId"], stopped["userInfo"]) == (me.id, {"why": "bye"})
    await page.event("close", session=session.session_id)
    stream.close()


async def test_audio_call_from_each_side(browsers: Browsers, sign_in: SignIn, login: Login) -> None:
    """Audio calls carry sound both ways and no picture."""
    page = await browsers.sign_in(login(), PASSWORD)
    me = await sign_in()
    stream = coded(5, 830.0)

    session = me.calls.create_call_session(CallType.AUDIO_CALL, [page.user_id])
    await session.init_local_media_stream(stream)
    await session.start_call()
    assert (await page.event("call"))["callType"] == AUDIO
    await page.run("accept", session.session_id)
    await talk(page, session, 5, 830.0, video=False)
    assert not (await remote_stream(session, page.user_id)).has_video
    await session.hang_up()
    await page.event("close", session=session.session_id)

    waiting = asyncio.ensure_future(ringing(me))
    await asyncio.sleep(0)
    await page.run("call", [me.id], AUDIO)
    session = await waiting
    assert session.call_type is CallType.AUDIO_CALL
    await session.init_local_media_stream(stream)
    await session.accept_call()
    await talk(page, session, 5, 830.0, video=False)
    await session.hang_up()
    stream.close()


async def test_python_answers_a_video_call_without_media(
    browsers: Browsers, sign_in: SignIn, login: Login
) -> None:
    """An application that has nothing to show is still heard and seen: black, but there.

    The browser SDK reports no remote stream, not even sound, for a video call without video.
    """
    page = await browsers.sign_in(login(), PASSWORD)
    me = await sign_in()
    waiting = asyncio.ensure_future(ringing(me))
    await asyncio.sleep(0)
    call = await page.run("call", [me.id], VIDEO)
    session = await waiting
    await session.accept_call()
    await page.event("remote-stream", session=call)
    await sees(session, page.user_id, page.stream_id)
    await session.hang_up()
    await page.event("close", session=call)


async def test_each_side_declines(browsers: Browsers, sign_in: SignIn, login: Login) -> None:
    """A decline reaches the other side with its user info, and ends the call on both."""
    page = await browsers.sign_in(login(), PASSWORD)
    me = await sign_in()

    waiting = asyncio.ensure_future(ringing(me))
    await asyncio.sleep(0)
    call = await page.run("call", [me.id], VIDEO)
    await (await waiting).reject({"reason": "meeting"})
    rejected = await page.event("reject", session=call)
    assert (rejected["userId"], rejected["userInfo"]) == (me.id, {"reason": "meeting"})
    await page.event("close", session=call)

    session = me.calls.create_call_session(CallType.AUDIO_CALL, [page.user_id])
    await session.start_call()
    await page.event("call", session=session.session_id)
    await page.run("reject", session.session_id, {"busy": True})
    declined = await session.wait_for(CallRejectedByUser, timeout=LIMIT)
    assert (declined.user_id, declined.user_info) == (page.user_id, {"busy": "true"})
    await session.wait_for(SessionClosed, timeout=LIMIT)


async def test_each_side_cancels_while_it_rings(
    browsers: Browsers, sign_in: SignIn, login: Login
) -> None:
    """A caller that hangs up before the answer stops the ringing on the other side."""
    page = await browsers.sign_in(login(), PASSWORD)
    me = await sign_in()

    waiting = asyncio.ensure_future(ringing(me))
    await asyncio.sleep(0)
    call = await page.run("call", [me.id], VIDEO)
    session = await waiting
    await page.run("stop", call)
    await session.wait_for(SessionClosed, timeout=LIMIT)

    session = me.calls.create_call_session(CallType.VIDEO_CALL, [page.user_id])
    await session.start_call()
    await page.event("call", session=session.session_id)
    await session.hang_up()
    await page.event("close", session=session.session_id)


async def test_unanswered_call_stops_ringing_in_the_browser(
    browsers: Browsers, sign_in: SignIn, login: Login
) -> None:
    """When nobody answers in time we say so, and the browser stops ringing at once."""
    page = await browsers.sign_in(login(), PASSWORD)
    me = await sign_in(rtc=RTCConfig(no_answer_timeout=4))
    session = me.calls.create_call_session(CallType.AUDIO_CALL, [page.user_id])
    await session.start_call()
    await page.event("call", session=session.session_id)
    await session.wait_for(UserNoAnswer, user_id=page.user_id, timeout=LIMIT)
    await page.event("close", session=session.session_id)


async def test_decline_over_rest_from_each_side(
    browsers: Browsers, sign_in: SignIn, login: Login
) -> None:
    """A decline without a session object, as from a notification, reaches the caller."""
    page = await browsers.sign_in(login(), PASSWORD)
    me = await sign_in()

    waiting = asyncio.ensure_future(ringing(me))
    await asyncio.sleep(0)
    call = await page.run("call", [me.id], VIDEO)
    session = await waiting
    await me.calls.reject_call(call, [page.user_id], {"busy": "true"})
    rejected = await page.event("reject", session=call)
    assert (rejected["userId"], rejected["userInfo"]) == (me.id, {"busy": "true"})
    await page.event("close", session=call)
    await session.wait_for(SessionClosed, timeout=LIMIT)

    session = me.calls.create_call_session(CallType.VIDEO_CALL, [page.user_id])
    await session.start_call()
    await page.event("call", session=session.session_id)
    answer = await page.run(
        "rejectByRest",
        {"sessionID": session.session_id, "recipientId": me.id, "platform": "web"},
    )
    assert answer == {}
    await session.wait_for(CallRejectedByUser, user_id=page.user_id, timeout=LIMIT)
    await session.wait_for(SessionClosed, timeout=LIMIT)


async def test_second_call_meets_busy(browsers: Browsers, sign_in: SignIn, login: Login) -> None:
    """With `max_calls`, who calls a person in a call is told busy, and the call goes on."""
    first, second = [await browsers.sign_in(login(), PASSWORD) for _ in range(2)]
    me = await sign_in(rtc=RTCConfig(max_calls=1))
    stream = coded(6, 830.0)
    waiting = asyncio.ensure_future(ringing(me))
    await asyncio.sleep(0)
    await first.run("call", [me.id], VIDEO)
    session = await waiting
    await session.init_local_media_stream(stream)
    await session.accept_call()

    call = await second.run("call", [me.id], VIDEO)
    rejected = await second.event("reject", session=call)
    assert rejected["userInfo"] == {"busy": "true"}
    await talk(first, session, 6, 830.0, video=True)
    await session.hang_up()
    stream.close()


async def test_user_info_that_is_not_xml(browsers: Browsers, sign_in: SignIn, login: Login) -> None:
    """The browser SDK writes arrays as elements named by number; we read them, and so does it."""
    page, other = [await browsers.sign_in(login(), PASSWORD) for _ in range(2)]
    me = await sign_in()
    info = {"list": [7, 8], "deep": {"x": 1, "none": None}, "yes": True, "1st": "a"}
    expected = {
        "list": {"0": "7", "1": "8"},
        "deep": {"x": "1", "none": None},
        "yes": "true",
        "1st": "a",
    }
    waiting = asyncio.ensure_future(ringing(me))
    await asyncio.sleep(0)
    call = await page.run("call", [me.id, other.user_id], VIDEO, info)
    session = await waiting
    assert session.user_info == expected
    assert (await other.event("call"))["userInfo"] == expected
    await page.run("stop", call)
    await session.wait_for(SessionClosed, timeout=LIMIT)


async def test_ice_restart_from_each_side(
    browsers: Browsers, sign_in: SignIn, login: Login
) -> None:
    """A running call finds a new path on request of whoever made the offer, and goes on."""
    page = await browsers.sign_in(login(), PASSWORD)
    me = await sign_in()
    stream = coded(7, 830.0)

    session = me.calls.create_call_session(CallType.VIDEO_CALL, [page.user_id])
    await session.init_local_media_stream(stream)
    await session.start_call()
    await page.event("call", session=session.session_id)
    await page.run("accept", session.session_id)
    await talk(page, session, 7, 830.0, video=True)
    assert session.can_initiate_ice_restart(page.user_id)
    await session.ice_restart(page.user_id)
    await talk(page, session, 7, 830.0, video=True)
    await session.hang_up()

    waiting = asyncio.ensure_future(ringing(me))
    await asyncio.sleep(0)
    call = await page.run("call", [me.id], VIDEO)
    session = await waiting
    await session.init_local_media_stream(stream)
    await session.accept_call()
    await talk(page, session, 7, 830.0, video=True)
    assert not session.can_initiate_ice_restart(page.user_id)
    await page.run("iceRestart", call, me.id)
    await talk(page, session, 7, 830.0, video=True)
    await session.hang_up()
    stream.close()
