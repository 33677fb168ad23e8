"""Calls between pages, and between the page and the Python SDK, checked by picture and sound."""

from __future__ import annotations

import asyncio
import re
import time

from playwright.async_api import expect

from ringmesh import CallType, P2PSession
from ringmesh.client.events import (
    CallAcceptedByUser,
    CallRejectedByUser,
    ReceiveNewSession,
    SessionClosed,
)
from tests.interop.conftest import SignIn
from tests.interop.people import coded, hears, sees
from tests.web.conftest import Account
from tests.web.page_driver import LIMIT, Pages, Person, until


async def talk(page: Person, session: P2PSession, stream_id: int, tone_hz: float) -> None:
    """The page and the program see and hear each other, by content."""
    me = session.current_user_id
    async with asyncio.TaskGroup() as group:
        group.create_task(hears(session, page.user_id, page.tone_hz))
        group.create_task(page.hears(me, tone_hz))
        if session.call_type is CallType.VIDEO_CALL:
            group.create_task(sees(session, page.user_id, page.stream_id))
            group.create_task(page.sees(me, stream_id))


async def test_video_call_between_two_tabs(pages: Pages, account: Account) -> None:
    """From ringing to connected, both talk; hanging up tells the other, who can call again."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.call(bob.login)
    await alice.state(bob.user_id, "ringing")
    await expect(bob.incoming).to_contain_text("Video call")
    await expect(bob.incoming.locator(".self-video")).to_be_visible()
    await bob.accept()
    await alice.at_call()
    await alice.talks_with(bob)
    await expect(alice.page.get_by_role("timer")).to_have_text(re.compile(r"0:\d\d"))
    await alice.hang_up()
    await expect(alice.notice("You hung up.")).to_be_visible()
    await expect(bob.ended).to_contain_text("Left")
    await bob.ended.get_by_role("button", name="Call again").click()
    await bob.button("Start video call").click()
    await alice.accept()
    await bob.at_call()
    await bob.talks_with(alice)
    await bob.hang_up()
    for person in (alice, bob):
        assert await person.fake("live('camera')") == []
        assert await person.fake("live('microphone')") == []


async def test_audio_call_between_two_tabs(pages: Pages, account: Account) -> None:
    """An audio call never opens the camera and has no buttons for pictures."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.call(bob.login, video=False)
    await expect(bob.incoming).to_contain_text("Audio call")
    await bob.accept()
    await alice.talks_with(bob, video=False)
    for person in (alice, bob):
        assert "camera" not in [one["kind"] for one in await person.fake("opened")]
        await expect(person.button("Share screen")).to_have_count(0)
    await bob.hang_up()
    await expect(alice.ended).to_contain_text("Left")


async def test_declined_cancelled_and_busy(pages: Pages, account: Account) -> None:
    """Each way not to talk is told to both sides, and the call in progress is not disturbed."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.call(bob.login)
    await bob.button("Decline").click()
    await expect(alice.ended).to_contain_text("Declined")
    await alice.ended.get_by_role("button", name="Back").click()

    await alice.call(bob.login)
    await expect(bob.incoming).to_be_visible()
    await alice.hang_up()
    await expect(bob.incoming).to_have_count(0)
    await expect(bob.notice(f"{alice.login} stopped calling.")).to_be_visible()

    carol = await pages.sign_in(await account())
    await alice.call(bob.login)
    await bob.accept()
    await alice.at_call()
    await carol.dial(bob.login)
    await expect(carol.ended).to_contain_text("Busy")
    await expect(bob.notice(f"{carol.login} called while you were in a call.")).to_be_visible()
    await alice.talks_with(bob)
    await alice.hang_up()


async def test_answered_on_another_device(pages: Pages, account: Account) -> None:
    """All devices of a person ring; when one answers or declines, the others stop and say so."""
    alice = await pages.sign_in(await account())
    name = await account()
    phone, laptop = await pages.sign_in(name), await pages.sign_in(name)
    await alice.call(name)
    await expect(laptop.incoming).to_be_visible()
    await phone.accept()
    await expect(laptop.incoming).to_have_count(0)
    await expect(laptop.notice("You answered on another device.")).to_be_visible()
    await alice.talks_with(phone)
    await alice.hang_up()
    await phone.ended.get_by_role("button", name="Back").click()

    await alice.call(name)
    await expect(phone.incoming).to_be_visible()
    await laptop.button("Decline").click()
    await expect(phone.notice("You declined on another device.")).to_be_visible()
    await expect(alice.ended).to_contain_text("Declined")


async def test_two_people_who_call_each_other(pages: Pages, account: Account) -> None:
    """When both dial at the same time, one call comes about and nobody is called busy."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    for one, other in ((alice, bob), (bob, alice)):
        await one.choose(other.login)
        await one.button("Video call").click()
        await expect(one.button("Start video call")).to_be_enabled()
    # At one instant of the clock: a signal takes less time than a click by remote control.
    start = time.time() * 1000 + 1000
    for person in (alice, bob):
        await person.button("Start video call").evaluate(
            "(button, at) => void setTimeout(() => button.click(), at - Date.now())", start
        )
    await alice.talks_with(bob)
    await alice.hang_up()
    await expect(bob.ended).to_contain_text("Left")


async def test_page_calls_python(pages: Pages, account: Account, sign_in: SignIn) -> None:
    """A program answers the page's call, both ways carry, and the page's hang-up ends it."""
    page = await pages.sign_in(await account())
    me = await sign_in()
    waiting = asyncio.ensure_future(me.calls.wait_for(ReceiveNewSession, timeout=LIMIT))
    await page.call(me.user.login)
    session = (await waiting).session
    await session.init_local_media_stream(coded(7, 830.0))
    await session.accept_call()
    await talk(page, session, 7, 830.0)
    await page.hang_up()
    await session.wait_for(SessionClosed, timeout=LIMIT)


async def test_python_calls_page(pages: Pages, account: Account, sign_in: SignIn) -> None:
    """The page takes and declines a program's calls, with and without its camera."""
    page = await pages.sign_in(await account())
    me = await sign_in()
    session = me.calls.create_call_session(CallType.VIDEO_CALL, [page.user_id])
    await session.init_local_media_stream(coded(5, 870.0))
    await session.start_call()
    await page.incoming.get_by_role("button", name="Without camera").click()
    await session.wait_for(CallAcceptedByUser, timeout=LIMIT)
    await page.sees(me.id, 5)
    await page.hears(me.id, 870.0)
    assert await page.fake("live('camera')") == []
    await page.button("Turn camera on").click()
    await talk(page, session, 5, 870.0)
    await session.hang_up()
    await expect(page.ended).to_contain_text("Left")
    await page.ended.get_by_role("button", name="Back").click()

    session = me.calls.create_call_session(CallType.AUDIO_CALL, [page.user_id])
    await session.init_local_media_stream(coded(5, 870.0, video=False))
    await session.start_call()
    await page.button("Decline").click()
    await session.wait_for(CallRejectedByUser, timeout=LIMIT)


async def _in_a_square(person: Person) -> bool:
    tops = "tiles => tiles.map(tile => tile.getBoundingClientRect().top)"
    found: list[float] = await person.page.locator(".tiles > .tile").evaluate_all(tops)
    return sorted(found.count(top) for top in set(found)) == [2, 2]


async def test_four_people_half_of_them_pages(
    pages: Pages, account: Account, sign_in: SignIn
) -> None:
    """Two pages and two programs in one call: everybody sees and hears everybody, side by side and
    not three in a row with one below."""
    alice = await pages.sign_in(await account())
    first = await sign_in()
    bob = await pages.sign_in(await account())
    second = await sign_in()
    waiting = [
        asyncio.ensure_future(one.calls.wait_for(ReceiveNewSession, timeout=LIMIT))
        for one in (first, second)
    ]
    await alice.call(bob.login, first.user.login, second.user.login)
    sessions: list[P2PSession] = []
    for waiter, stream_id, tone in ((waiting[0], 5, 830.0), (waiting[1], 6, 1130.0)):
        session = (await waiter).session
        await session.init_local_media_stream(coded(stream_id, tone))
        await session.accept_call()
        sessions.append(session)
    await expect(bob.incoming).to_contain_text("with ")
    await bob.accept()
    for person in (alice, bob):
        await expect(person.page.locator('.tile[data-state="connected"]')).to_have_count(3)
    await until("a square of tiles", lambda: _in_a_square(alice))
    await alice.talks_with(bob)
    for person in (alice, bob):
        for session, stream_id, tone in zip(sessions, (5, 6), (830.0, 1130.0), strict=True):
            await talk(person, session, stream_id, tone)
    await bob.hang_up()
    await alice.state(bob.user_id, "left")
    await alice.sees(first.id, 5)
    await alice.hears(first.id, 830.0)
    await alice.button("End the call for everybody").click()
    await asyncio.gather(*(s.wait_for(SessionClosed, timeout=LIMIT) for s in sessions))
