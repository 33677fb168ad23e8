"""Several devices of one user, and meshes of browsers and Python programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ringmesh import CallType
from ringmesh.client.events import ReceiveHungUpFromUser, ReceiveNewSession, SessionClosed
from tests.interop.browser import Browsers
from tests.interop.conftest import PASSWORD, SignIn
from tests.interop.people import LIMIT, coded, hears, sees
from tests.interop.test_calls import VIDEO, ringing

Login = Callable[[], str]


async def test_python_device_learns_that_the_browser_answered(
    browsers: Browsers, sign_in: SignIn, login: Login
) -> None:
    """All devices ring; when the user's browser answers, the Python device stops and says why."""
    name = login()
    page = await browsers.sign_in(name, PASSWORD)
    same_user = await sign_in(name)
    caller = await sign_in()
    assert same_user.id == page.user_id

    waiting = asyncio.ensure_future(ringing(same_user))
    await asyncio.sleep(0)
    session = caller.calls.create_call_session(CallType.VIDEO_CALL, [page.user_id])
    await session.start_call()
    other = await waiting
    await page.event("call", session=session.session_id)
    await page.run("accept", session.session_id)
    await other.wait_for(SessionClosed, timeout=LIMIT)
    assert other.close_reason == "answered-elsewhere"
    await sees(session, page.user_id, page.stream_id)
    await session.hang_up()


async def test_browser_device_learns_what_the_python_device_did(
    browsers: Browsers, sign_in: SignIn, login: Login
) -> None:
    """The browser is shown, by a copy from its own user, that another device took or declined."""
    name = login()
    page = await browsers.sign_in(name, PASSWORD)
    same_user = await sign_in(name)
    caller = await sign_in()

    for answer, event in (("accept_call", "accept"), ("reject", "reject")):
        waiting = asyncio.ensure_future(ringing(same_user))
        await asyncio.sleep(0)
        session = caller.calls.create_call_session(CallType.AUDIO_CALL, [page.user_id])
        await session.start_call()
        ringing_here = await waiting
        await page.event("call", session=session.session_id)
        await getattr(ringing_here, answer)()
        told = await page.event(event, session=session.session_id)
        assert told["userId"] == page.user_id
        if answer == "accept_call":
            await session.hang_up()
        await session.wait_for(SessionClosed, timeout=LIMIT)


async def test_mesh_of_two_browsers_and_two_python_programs(
    browsers: Browsers, sign_in: SignIn, login: Login
) -> None:
    """Four people, six connections: everybody sees and hears everybody; then they leave."""
    pages = [await browsers.sign_in(login(), PASSWORD) for _ in range(2)]
    caller, callee = [await sign_in() for _ in range(2)]
    streams = {caller.id: coded(1, 1300.0), callee.id: coded(2, 1450.0)}
    tones = {caller.id: 1300.0, callee.id: 1450.0}
    pictures = {caller.id: 1, callee.id: 2}

    waiting = asyncio.ensure_future(ringing(callee))
    await asyncio.sleep(0)
    opponents = [pages[0].user_id, callee.id, pages[1].user_id]
    session = caller.calls.create_call_session(CallType.VIDEO_CALL, opponents)
    await session.init_local_media_stream(streams[caller.id])
    await session.start_call()
    other = await waiting
    await other.init_local_media_stream(streams[callee.id])
    await other.accept_call()
    for page in pages:
        await page.event("call", session=session.session_id)
        await page.run("accept", session.session_id)

    checks = []
    for own in (session, other):
        there = other if own is session else session
        user_id = there.current_user_id
        checks += [sees(own, user_id, pictures[user_id]), hears(own, user_id, tones[user_id])]
        for page in pages:
            checks += [
                sees(own, page.user_id, page.stream_id),
                hears(own, page.user_id, page.tone_hz),
                page.sees(own.current_user_id, pictures[own.current_user_id]),
                page.hears(own.current_user_id, tones[own.current_user_id]),
            ]
    for here, there in (pages, pages[::-1]):
        checks += [
            here.sees(there.user_id, there.stream_id),
            here.hears(there.user_id, there.tone_hz),
        ]
    async with asyncio.TaskGroup() as group:
        for check in checks:
            group.create_task(check)

    await pages[0].run("stop", session.session_id)
    for own in (session, other):
        await own.wait_for(ReceiveHungUpFromUser, user_id=pages[0].user_id, timeout=LIMIT)
    await sees(other, pages[1].user_id, pages[1].stream_id)  # a member left, not the call
    await session.hang_up()
    await pages[1].event("close", session=session.session_id)
    await other.wait_for(SessionClosed, timeout=LIMIT)
    for stream in streams.values():
        stream.close()


async def test_mesh_started_by_a_browser(browsers: Browsers, sign_in: SignIn, login: Login) -> None:
    """A browser calls a browser and a Python program; the two callees find each other too."""
    caller, callee = [await browsers.sign_in(login(), PASSWORD) for _ in range(2)]
    me = await sign_in()
    stream = coded(3, 1300.0)
    waiting = asyncio.ensure_future(me.calls.wait_for(ReceiveNewSession, timeout=LIMIT))
    await asyncio.sleep(0)
    call = await caller.run("call", [me.id, callee.user_id], VIDEO)
    session = (await waiting).session
    await callee.event("call", session=call)
    await callee.run("accept", call)
    await session.init_local_media_stream(stream)
    await session.accept_call()
    async with asyncio.TaskGroup() as group:
        for page in (caller, callee):
            group.create_task(sees(session, page.user_id, page.stream_id))
            group.create_task(page.sees(me.id, 3))
        group.create_task(caller.sees(callee.user_id, callee.stream_id))
        group.create_task(callee.sees(caller.user_id, caller.stream_id))
    await caller.run("stop", call)
    await session.wait_for(SessionClosed, timeout=LIMIT)
    stream.close()
