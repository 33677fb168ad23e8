"""Our cameras and microphones in a call with the unmodified browser SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from ringmesh import CallType, DeviceLost, DeviceRestored
from tests.devices.calls import PICTURE, UNTOUCHED
from tests.devices.sound_server import SoundServer
from tests.interop.browser import Browsers
from tests.interop.conftest import PASSWORD, SignIn
from tests.interop.people import LIMIT


@pytest_asyncio.fixture(loop_scope="session")
async def sound(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SoundServer]:
    """A sound server for our side."""
    server = SoundServer(tmp_path_factory.mktemp("sound"))
    monkeypatch.setenv("PULSE_SERVER", server.address)
    await server.start()
    yield server
    await server.kill()


async def test_the_browser_hears_every_microphone_that_is_chosen(
    browsers: Browsers, sign_in: SignIn, login: Callable[[], str], sound: SoundServer
) -> None:
    """A switch, a microphone that vanishes and its return reach the browser, which renegotiates
    nothing."""
    page = await browsers.sign_in(login(), PASSWORD)
    me = await sign_in()
    await sound.plug_microphone("built_in", 500)
    headset = await sound.plug_microphone("headset", 900)
    session = me.calls.create_call_session(CallType.VIDEO_CALL, [page.user_id])
    session.audio_processing = UNTOUCHED
    await session.init_local_media_stream(camera=PICTURE, microphone="built_in")
    await session.start_call()
    await page.event("call")
    await page.run("accept", session.session_id, {})
    await page.hears(me.id, 500)

    await session.select_audio_input("headset")
    await page.hears(me.id, 900)
    await sound.unplug(headset)
    await session.wait_for(DeviceLost, timeout=LIMIT)
    await page.hears(me.id, 500)
    await sound.plug_microphone("headset", 900)
    await session.wait_for(DeviceRestored, timeout=LIMIT)
    await page.hears(me.id, 900)
    await session.hang_up()
    await page.event("close", session=session.session_id)
