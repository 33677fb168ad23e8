"""The unmodified browser SDK in a call that is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ringmesh import CallAcceptedByUser, CallType
from tests.interop.browser import Browsers
from tests.interop.conftest import PASSWORD, SignIn
from tests.interop.people import LIMIT, coded, hears, sees


async def test_its_calls_do_not_notice(
    browsers: Browsers, sign_in: SignIn, login: Callable[[], str], tmp_path: Path
) -> None:
    """No callback of calls fires, media goes on; its channel for other messages has the notice."""
    page = await browsers.sign_in(login(), PASSWORD)
    await page.page.evaluate(
        "() => { peer.notices = []; peer.sdk.chat.onSystemMessageListener ="
        " (message) => peer.notices.push(message); }"
    )
    me = await sign_in()
    stream = coded(4, 830.0)
    session = me.calls.create_call_session(CallType.VIDEO_CALL, [page.user_id])
    await session.init_local_media_stream(stream)
    await session.start_call()
    await page.event("call")
    await page.run("accept", session.session_id, {})
    await session.wait_for(CallAcceptedByUser, timeout=LIMIT)
    await asyncio.gather(page.sees(me.id, 4), page.hears(me.id, 830.0))
    happened = await page.page.evaluate("() => peer.events.map((event) => event.name)")
    async with session.record(tmp_path / "call.mkv", size=(320, 180)):
        await page.page.wait_for_function("() => peer.notices.length === 1")
        await asyncio.gather(
            sees(session, page.user_id, page.stream_id), hears(session, page.user_id, page.tone_hz)
        )
    await page.page.wait_for_function("() => peer.notices.length === 2")
    notices = await page.page.evaluate(
        "() => peer.notices.map(({userId, extension}) => ({userId, ...extension}))"
    )
    assert notices == [
        {"userId": me.id, "call": session.session_id, "recording": state} for state in ("on", "off")
    ]
    assert await page.page.evaluate("() => peer.events.map((event) => event.name)") == happened
    await page.sees(me.id, 4)
    await session.hang_up()
    await page.event("stop", session=session.session_id)
    stream.close()
