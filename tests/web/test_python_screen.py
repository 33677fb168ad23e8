"""A screen that the Python SDK shares, at the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import expect

from ringmesh import CallType
from tests.interop.conftest import SignIn
from tests.interop.people import coded as coded_stream
from tests.screen.desktop import HEIGHT, WIDTH, Desktop, xvfb
from tests.screen.test_sharing import coded
from tests.web.conftest import Account
from tests.web.page_driver import Pages, until


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    """Draws on the screen that is shared."""
    with xvfb() as display:
        monkeypatch.setenv("DISPLAY", display)
        drawn = Desktop(display)
        yield drawn
        drawn.close()


async def test_the_page_knows_a_shared_screen(
    pages: Pages, account: Account, sign_in: SignIn, desktop: Desktop
) -> None:
    """The tile says that it is a screen and shows it at full size, until the camera is back."""
    desktop.window(coded(9, WIDTH, HEIGHT))
    page = await pages.sign_in(await account())
    me = await sign_in()
    session = me.calls.create_call_session(CallType.VIDEO_CALL, [page.user_id])
    stream = coded_stream(5, 870.0)
    await session.init_local_media_stream(stream)
    await session.start_call()
    await page.accept()
    await page.sees(me.id, 5)
    badge = page.tile(me.id).locator('[title="shares a screen"]')
    await expect(badge).to_be_hidden()
    await session.enable_screen_sharing(True)
    await expect(badge).to_be_visible()

    async def shown() -> bool:
        picture = await page.page.evaluate("(id) => fake.picture(id)", me.id)
        return bool(picture and picture.get("streamId") == 9 and picture["width"] == WIDTH)

    await until("the screen to be shown", shown)
    await session.enable_screen_sharing(False)
    await expect(badge).to_be_hidden()
    await page.sees(me.id, 5)
    await session.hang_up()
    stream.close()
