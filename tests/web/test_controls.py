"""Every button of a running call, and the choice of devices before it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.interop.conftest import test_fixture as shared_fixture
from tests.web.conftest import Account
from tests.web.page_driver import SCREEN, SECOND_CAMERA, Pages, Person, until

TwoTalking = tuple[Person, Person]


@shared_fixture
async def two(pages: Pages, account: Account) -> TwoTalking:
    """Two tabs in a video call."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.call(bob.login)
    await bob.accept()
    await alice.at_call()
    return alice, bob


async def test_microphone(two: TwoTalking) -> None:
    """A muted microphone is silent for the other, who is told; then it is heard again."""
    alice, bob = two
    await bob.hears(alice.user_id, alice.tone_hz)
    await alice.button("Mute microphone").click()
    muted = bob.tile(alice.user_id).locator(".tile-foot").get_by_text("microphone muted")
    await expect(muted).to_be_attached()
    await expect(bob.tile(alice.user_id).locator('[title="microphone muted"]')).to_be_visible()

    async def silent() -> bool:
        return await bob.page.evaluate("(id) => fake.tone(id)", alice.user_id) is None

    await until("silence", silent)
    await alice.button("Unmute microphone").click()
    await bob.hears(alice.user_id, alice.tone_hz)
    await expect(bob.tile(alice.user_id).locator('[title="microphone muted"]')).to_be_hidden()


async def test_camera_off_on_and_switched(two: TwoTalking) -> None:
    """Off closes the camera and shows a name card; on and switching show other pictures at once."""
    alice, bob = two
    await bob.sees(alice.user_id, alice.stream_id)
    await alice.button("Turn camera off").click()
    await until("a closed camera", lambda: _no_camera(alice))

    async def card() -> bool:
        picture = await bob.page.evaluate("(id) => fake.picture(id)", alice.user_id)
        return picture is not None and picture["width"] > 0 and "streamId" not in picture

    await until("a picture that is no camera's", card)
    await alice.button("Turn camera on").click()
    await bob.sees(alice.user_id, alice.stream_id)
    await alice.button("Switch camera").click()
    await bob.sees(alice.user_id, alice.stream_id + SECOND_CAMERA)
    assert await alice.fake("live('camera')") == ["camera-2"]


async def _no_camera(person: Person) -> bool:
    return not await person.fake("live('camera')")


async def test_screen_sharing(two: TwoTalking) -> None:
    """The screen goes out in place of the camera, which comes back whoever ends the sharing."""
    alice, bob = two
    for end in ("page", "browser"):
        await alice.button("Share screen").click()
        await bob.sees(alice.user_id, alice.stream_id + SCREEN)
        await expect(bob.tile(alice.user_id)).to_have_attribute("data-sharing", "")
        if end == "page":
            await alice.button("Stop sharing").click()
        else:
            await alice.fake("unplug('screen')")
            await expect(alice.notice("You no longer share your screen.")).to_be_visible()
        await bob.sees(alice.user_id, alice.stream_id)


async def test_devices_and_quality(two: TwoTalking) -> None:
    """Microphone, camera, speakers and bandwidth can be changed during the call."""
    alice, bob = two
    await alice.button("Devices and quality").click()
    page = alice.page
    await page.get_by_label("Camera", exact=True).select_option("camera-2")
    await bob.sees(alice.user_id, alice.stream_id + SECOND_CAMERA)
    await page.get_by_label("Microphone", exact=True).select_option("mic-2")
    await until("the other microphone", lambda: _live_mic(alice, "mic-2"))
    await bob.hears(alice.user_id, alice.tone_hz)
    await page.get_by_label("Speakers").select_option("speakers-2")
    assert (await alice.fake("sinks"))[str(bob.user_id)] == "speakers-2"
    await page.get_by_label("Video quality").select_option("250")

    async def capped() -> bool:
        caps = await alice.fake(
            "peers.flatMap(peer => peer.getSenders()).filter(({track}) => track?.kind === 'video')"
            ".map(sender => sender.getParameters().encodings[0].maxBitrate)"
        )
        return bool(caps == [250_000])

    await until("the bandwidth limit", capped)
    await alice.fake("speakers.splice(0)")
    await page.get_by_label("Speakers").select_option("speakers-1")
    await expect(alice.notice("These speakers cannot be used.")).to_be_visible()
    await alice.button("Close").first.click()


async def _live_mic(person: Person, name: str) -> bool:
    return bool(await person.fake("live('microphone')") == [name])


async def test_statistics(two: TwoTalking) -> None:
    """Levels and bitrates are on the tiles; the panel draws charts and names path and codecs."""
    alice, bob = two
    tile = alice.tile(bob.user_id)
    await expect(tile.locator(".tile-bitrate")).to_have_text(re.compile(r"[1-9].*bit/s"))
    await expect(tile.get_by_role("meter")).to_have_attribute(
        "aria-valuenow", re.compile(r"[1-9]\d")
    )
    button = alice.button("Statistics")
    await button.click()
    await expect(button).to_have_attribute("aria-expanded", "true")
    panel = alice.page.get_by_role("complementary", name="Statistics")
    await expect(panel).to_contain_text(re.compile(r"640×480 / 640×480.*direct.*opus, VP8", re.S))
    for name in ("Bitrate", "Loss", "Round trip", "Frame rate"):
        await expect(panel.get_by_role("img", name=name)).to_be_visible()
    line = panel.locator("polyline").first
    await expect(line).to_have_attribute("points", re.compile(r"\d,.* .*\d,"))
    await button.click()
    await expect(panel).to_be_hidden()


async def test_preview(pages: Pages, account: Account) -> None:
    """Before a call one sees oneself and one's level and chooses; leaving closes the devices."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.choose(bob.login)
    await alice.button("Video call").click()
    level = alice.preview.get_by_role("meter", name="Microphone level")
    await expect(level).to_have_attribute("aria-valuenow", re.compile(r"[1-9]\d"))
    await alice.preview.get_by_label("Camera", exact=True).select_option("camera-2")
    await alice.button("Mute microphone").click()
    await expect(level).to_have_attribute("aria-valuenow", "0")
    await alice.page.keyboard.press("Escape")
    await expect(alice.preview).to_have_count(0)
    await until("closed devices", lambda: _no_camera(alice))
    assert await alice.fake("live('microphone')") == []

    await alice.button("Video call").click()
    await alice.button("Unmute microphone").click()
    await alice.button("Start video call").click()
    await bob.accept()
    await bob.sees(alice.user_id, alice.stream_id + SECOND_CAMERA)
    await bob.hears(alice.user_id, alice.tone_hz)


@pytest.mark.parametrize("theme", ["Light", "Dark"])
async def test_appearance(pages: Pages, account: Account, theme: str) -> None:
    """A chosen appearance overrides the system's and is remembered."""
    me = await pages.sign_in(await account(), color_scheme="dark" if theme == "Light" else "light")
    ground = "getComputedStyle(document.body).backgroundColor"
    before = await me.page.evaluate(ground)
    await me.button("Settings").click()
    await me.page.get_by_role("radio", name=theme).check()
    changed = await me.page.evaluate(ground)
    assert changed != before
    await me.page.reload()
    await me.at_people()
    assert await me.page.evaluate(ground) == changed


async def test_ring_tone(pages: Pages, account: Account) -> None:
    """Both sides hear that it rings, and no longer when the call is taken."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    for person in (alice, bob):
        await person.page.evaluate(
            "() => { fake.notes = 0; const start = OscillatorNode.prototype.start;"
            "OscillatorNode.prototype.start = function (...at) "
            "{ fake.notes++; return start.apply(this, at); } }"
        )
    await alice.call(bob.login, video=False)
    for person in (alice, bob):
        await until("a tone", lambda person=person: person.fake("notes > 0"))
    await expect(bob.page).to_have_title(re.compile("is calling"))
    await bob.accept()
    await alice.at_call()
    await expect(bob.page).to_have_title("Ringmesh")


async def test_three_people_on_a_laptop(pages: Pages, account: Account) -> None:
    """Tiles are as wide as pictures, two in a row, rather than three narrow ones side by side."""
    alice = await pages.sign_in(await account(), viewport={"width": 1366, "height": 768})
    for name in (await account(), await account()):
        await alice.page.get_by_role("searchbox").fill(name)
        await alice.choose(name)
    await alice.button("Video call").click()
    await alice.button("Start video call").click()
    await expect(alice.page.locator(".tile")).to_have_count(3)
    shapes: list[float] = await alice.page.locator(".tile").evaluate_all(
        "tiles => tiles.map(({clientWidth, clientHeight}) => clientWidth / clientHeight)"
    )
    assert all(1.3 < shape < 2.4 for shape in shapes), shapes
    await alice.hang_up()
