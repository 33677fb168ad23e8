"""Limits of bandwidth between the Python SDK and the unmodified browser SDK, counted in bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import ringmesh
from ringmesh import CallType, ConnectedToUser, P2PSession
from tests.interop.bandwidth import all_obey, hard_stream
from tests.interop.browser import BrowserPeer, Browsers
from tests.interop.conftest import PASSWORD, SignIn
from tests.interop.people import LIMIT
from tests.interop.test_calls import VIDEO, ringing

Login = Callable[[], str]


async def hard_page(browsers: Browsers, login: Login) -> BrowserPeer:
    """A page whose picture needs far more than the limits."""
    page = await browsers.sign_in(login(), PASSWORD)
    await page.run("makeHard")
    return page


async def both_change(page: BrowserPeer, session: P2PSession) -> None:
    """Each side's own limit, set during the call, holds for that side."""
    await session.set_max_bandwidth(700)
    await page.run("setMaxBandwidth", session.session_id, 250)
    await all_obey(session, page.user_id, sent=700, received=250)


async def test_python_limits_a_call(browsers: Browsers, sign_in: SignIn, login: Login) -> None:
    """A limit that our caller announces is obeyed by both."""
    page, me = await hard_page(browsers, login), await sign_in()
    session = me.calls.create_call_session(CallType.VIDEO_CALL, [page.user_id], max_bandwidth=400)
    await session.init_local_media_stream(hard_stream())
    await session.start_call()
    await page.event("call")
    await page.run("accept", session.session_id)
    await session.wait_for(ConnectedToUser, timeout=LIMIT)
    await all_obey(session, page.user_id, sent=400, received=400)
    await session.hang_up()


async def test_browser_limits_a_call(browsers: Browsers, sign_in: SignIn, login: Login) -> None:
    """A limit that a browser announces is obeyed by both, as are later ones."""
    page, me = await hard_page(browsers, login), await sign_in()
    waiting = asyncio.ensure_future(ringing(me))
    await asyncio.sleep(0)
    await page.run("call", [me.id], VIDEO, {"maxBandwidth": "400"})
    session: ringmesh.P2PSession = await waiting
    await session.init_local_media_stream(hard_stream())
    await session.accept_call()
    await session.wait_for(ConnectedToUser, timeout=LIMIT)
    await all_obey(session, page.user_id, sent=400, received=400)
    await both_change(page, session)
    await session.hang_up()
