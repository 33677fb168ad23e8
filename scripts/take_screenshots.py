"""Takes the pictures of the page in docs/images, and every screen at three sizes for looking at.

    python scripts/take_screenshots.py [FOLDER [SIZE ...]]

Without FOLDER only the pictures of the documents are taken. People are drawn, not filmed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ringmesh.server.accounts.user_input import UserInput  # noqa: E402
from ringmesh.server.app import Server  # noqa: E402
from ringmesh.server.settings import load_settings  # noqa: E402
from tests.interop.browser import chromium  # noqa: E402

IMAGES = ROOT / "docs" / "images"
PASSWORD = "correct horse"
SIZES = {"phone": (390, 844), "laptop": (1280, 800), "wall": (2560, 1440)}
PEOPLE = {
    "ada": ("Ada Lovelace", 258, "#5b3a29"),
    "grace": ("Grace Hopper", 205, "#c9c4bd"),
    "katherine": ("Katherine Johnson", 28, "#241a17"),
    "alan": ("Alan Turing", 150, "#3b2b20"),
}

CAMERA = """
const [hue, hair, skin] = %s;
const make = () => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 1280, height: 720});
  const pen = canvas.getContext('2d', {alpha: false});
  let step = 0;
  const paint = () => {
    const sway = Math.sin(step++ / 25) * 8;
    const wall = pen.createLinearGradient(0, 0, 1280, 720);
    wall.addColorStop(0, `hsl(${hue} 42%% 72%%)`); wall.addColorStop(1, `hsl(${hue + 30} 38%% 42%%)`);
    pen.fillStyle = wall; pen.fillRect(0, 0, 1280, 720);
    pen.fillStyle = `hsl(${hue + 20} 35%% 62%% / .55)`; pen.fillRect(820, 60, 300, 300);
    pen.fillStyle = `hsl(${hue + 40} 45%% 82%% / .6)`; pen.fillRect(840, 80, 260, 260);
    const blob = (x, y, w, h, colour) => {
      pen.fillStyle = colour; pen.beginPath(); pen.ellipse(x + sway, y, w, h, 0, 0, 7); pen.fill();
    };
    blob(560, 345, 150, 190, hair); blob(560, 800, 330, 270, `hsl(${hue + 180} 35%% 38%%)`);
    blob(560, 530, 62, 90, skin); blob(560, 380, 118, 150, skin);
    blob(545, 262, 128, 62, hair);
    blob(515, 372, 11, 13, '#2b2320'); blob(605, 372, 11, 13, '#2b2320');
    pen.strokeStyle = '#8a4b40'; pen.lineWidth = 7; pen.lineCap = 'round'; pen.beginPath();
    pen.arc(560 + sway, 432, 36, 0.35, Math.PI - 0.35); pen.stroke();
  };
  paint(); setInterval(paint, 50);
  return canvas.captureStream(20).getVideoTracks()[0];
};
const sound = () => {
  const audio = new AudioContext(); const out = audio.createMediaStreamDestination();
  const tone = new OscillatorNode(audio, {frequency: 220}); const gain = new GainNode(audio, {gain: .06});
  tone.connect(gain).connect(out); tone.start(); return out.stream.getAudioTracks()[0];
};
const device = (kind, label) => ({kind, deviceId: label, label, groupId: ''});
Object.assign(navigator.mediaDevices, {
  getUserMedia: async ({audio, video}) => new MediaStream([...(audio ? [sound()] : []), ...(video ? [make()] : [])]),
  enumerateDevices: async () => [device('audioinput', 'Desk microphone'), device('audioinput', 'Headset'),
    device('videoinput', 'Built-in camera'), device('videoinput', 'Desk camera'), device('audiooutput', 'Loudspeakers')],
});
navigator.permissions.query = async () => ({state: 'granted'});
"""  # noqa: E501
SKINS = ["#e8b796", "#f0c6a8", "#8d5a3c", "#efc3a0"]


class Studio:
    """A server and people at its page."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url

    async def enter(self, login: str, size: str, theme: str) -> Page:
        """Somebody signed in."""
        width, height = SIZES[size]
        context = await self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
        )
        page = await context.new_page()
        _, hue, hair = PEOPLE[login]
        skin = SKINS[list(PEOPLE).index(login)]
        await page.add_init_script(CAMERA % [hue, hair, skin])
        await page.goto(self._url)
        return page

    async def sign_in(self, login: str, size: str = "laptop", theme: str = "light") -> Page:
        """Enter through the form."""
        page = await self.enter(login, size, theme)
        await page.get_by_label("User name or e-mail").fill(login)
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.locator(".people").wait_for()
        return page


@asynccontextmanager
async def studio() -> AsyncIterator[Studio]:
    """Everything that pictures need."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(port=0, host="127.0.0.1")
        async with Server(Path(folder), settings) as server, chromium() as browser:
            for login, (name, *_) in PEOPLE.items():
                user = UserInput(login=login, password=PASSWORD, full_name=name)
                await server.accounts.users.create(server.application.id, user)
            yield Studio(browser, server.url)


async def call(caller: Page, others: dict[str, Page], count: int) -> None:
    """Call the first `count` of the others, who accept."""
    for login in list(others)[:count]:
        await caller.locator(".row", has_text=PEOPLE[login][0]).locator("input").check()
    await caller.get_by_role("button", name="Video call").click()
    await caller.get_by_role("button", name="Start video call").click()
    for login in list(others)[:count]:
        await others[login].get_by_role("button", name="Accept").click()
    await caller.locator('.tile[data-state="connected"]').nth(count - 1).wait_for()
    await asyncio.sleep(4)


async def every_screen(folder: Path) -> None:
    """All screens at all sizes in light and dark."""
    async with studio() as place:
        others = {login: await place.sign_in(login) for login in ("grace", "katherine", "alan")}
        for size in sys.argv[2:] or SIZES:
            for theme in ("light", "dark"):
                await screens(place, others, size, theme, folder)


async def screens(
    place: Studio, others: dict[str, Page], size: str, theme: str, folder: Path
) -> None:
    """One size and theme."""

    async def shot(page: Page, name: str) -> None:
        await page.screenshot(path=folder / f"{size}-{theme}-{name}.png")

    page = await place.enter("ada", size, theme)
    await shot(page, "1-entrance")
    await page.context.close()
    page = await place.sign_in("ada", size, theme)
    await page.locator(".row").nth(2).wait_for()
    await page.locator(".row input").first.check()
    await shot(page, "2-people")
    await page.get_by_role("button", name="Video call").click()
    await (
        page.get_by_role("button", name="Start video call")
        .and_(page.locator(":enabled"))
        .wait_for()
    )
    await asyncio.sleep(0.5)
    await shot(page, "3-preview")
    await page.keyboard.press("Escape")
    await page.locator(".row input").first.uncheck()
    await page.get_by_role("button", name="Settings").click()
    await shot(page, "4-settings")
    await page.keyboard.press("Escape")

    grace = others["grace"]
    await grace.locator(".row", has_text="Ada").locator("input").check()
    await grace.get_by_role("button", name="Video call").click()
    await grace.get_by_role("button", name="Start video call").click()
    await page.locator(".incoming .self-view").wait_for()
    await asyncio.sleep(0.3)
    await shot(page, "5-incoming")
    await page.get_by_role("button", name="Decline").click()
    await grace.get_by_role("button", name="Back").click()

    for count in (1, 2, 3):
        await call(page, others, count)
        await shot(page, f"6-call-{count + 1}")
        if count == 1:
            await page.get_by_role("button", name="Statistics").click()
            await asyncio.sleep(1.2)
            await shot(page, "7-statistics")
        await page.locator(".hang-up").click()
        for login in list(others)[:count]:
            await others[login].get_by_role("button", name="Back").click()
    await page.context.close()


async def documents() -> None:
    """The pictures in docs/images."""
    async with studio() as place:
        others = {login: await place.sign_in(login) for login in ("grace", "katherine", "alan")}
        page = await place.sign_in("ada")
        await page.locator(".row").nth(2).wait_for()
        await page.screenshot(path=IMAGES / "people.png")
        await call(page, others, 3)
        await page.screenshot(path=IMAGES / "call.png")
        await page.locator(".hang-up").click()
        await others["grace"].get_by_role("button", name="Back").click()
        await call(page, {"grace": others["grace"]}, 1)
        await page.get_by_role("button", name="Statistics").click()
        await asyncio.sleep(30)
        await page.screenshot(path=IMAGES / "statistics.png")


if __name__ == "__main__":
    asyncio.run(every_screen(Path(sys.argv[1])) if len(sys.argv) > 1 else documents())
