"""Nobody at the page is recorded without seeing it."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import expect

from ringmesh import CallAcceptedByUser, CallType
from tests.interop.conftest import SignIn
from tests.interop.people import coded
from tests.web.conftest import Account
from tests.web.page_driver import LIMIT, Pages


async def test_the_page_shows_who_records(
    pages: Pages, account: Account, sign_in: SignIn, tmp_path: Path
) -> None:
    """The tile of a person who records says so, as long as they do, and nothing else changes."""
    page = await pages.sign_in(await account())
    me = await sign_in()
    session = me.calls.create_call_session(CallType.VIDEO_CALL, [page.user_id])
    stream = coded(5, 870.0)
    await session.init_local_media_stream(stream)
    await session.start_call()
    await page.accept()
    await session.wait_for(CallAcceptedByUser, timeout=LIMIT)
    await page.sees(me.id, 5)
    badge = page.tile(me.id).get_by_text("Records the call")
    await expect(badge).to_have_count(0)
    async with session.record(tmp_path / "call.mkv", size=(320, 180)):
        await expect(badge).to_be_visible()
        await page.button("Mute microphone").click()
        await expect(page.tile(me.id).locator('[title="microphone muted"]')).to_be_hidden()
    await expect(badge).to_have_count(0)
    await page.sees(me.id, 5)
    await session.hang_up()
    stream.close()
