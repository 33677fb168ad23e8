"""A person at the calling page, with fake devices that can be recognised by picture and sound."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Locator, Page, expect

HERE = Path(__file__).parent
PEER = HERE.parent / "interop" / "page" / "peer.js"
PASSWORD = "correct horse"
LIMIT = 30.0
SECOND_CAMERA, SCREEN = 1, 2  # what devices.js adds to the number of the picture

# No tone is a harmonic of another.
_tones = itertools.cycle([500.0, 620.0, 770.0, 950.0, 1180.0])
_stream_ids = itertools.cycle([1, 4, 7, 10, 13])  # the picture code has room for 16
# What Chromium and the SDK log about failures that the page handles.
_EXPECTED = re.compile(
    r"Failed to load resource|WebSocket connection to|ERR_|\[Chat\] xmppClient.start"
)

expect.set_options(timeout=LIMIT * 1000)


async def until(what: str, condition: Callable[[], Awaitable[object]], limit: float = LIMIT) -> Any:
    """Wait until a condition holds, and return its value."""
    value: object = None
    try:
        async with asyncio.timeout(limit):
            while True:
                value = await condition()
                if value:
                    return value
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"waited {limit:g} s in vain for: {what}") from None


class Person:
    """One tab of the page."""

    def __init__(self, page: Page, login: str) -> None:
        self.page = page
        self.login = login
        self.user_id = 0
        self.tone_hz = next(_tones)
        self.stream_id = next(_stream_ids)
        self.problems: list[str] = []
        self.foreign: list[str] = []

    # Finding things as a person would

    def button(self, name: str, *, exact: bool = True) -> Locator:
        """A button by its label."""
        return self.page.get_by_role("button", name=name, exact=exact)

    def tile(self, user_id: int) -> Locator:
        """The tile of another person in the call."""
        return self.page.locator(f'.tile[data-user="{user_id}"]')

    def notice(self, text: str) -> Locator:
        """A message in the corner."""
        return self.page.locator(".notice", has_text=text)

    @property
    def incoming(self) -> Locator:
        """The dialog of an incoming call."""
        return self.page.locator("dialog.incoming")

    @property
    def preview(self) -> Locator:
        """The dialog before a call of one's own."""
        return self.page.locator("dialog.preview")

    @property
    def ended(self) -> Locator:
        """The dialog after a call."""
        return self.page.locator("dialog.ended")

    # Doing things

    async def sign_in(self, password: str = PASSWORD) -> None:
        """Through the form; learns the user's id."""
        await self.page.get_by_role("radio", name="Sign in").check()
        await self.page.get_by_label("User name or e-mail").fill(self.login)
        await self.page.get_by_label("Password", exact=True).fill(password)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.at_people()

    async def at_people(self) -> None:
        """Wait until this person is signed in and can be called."""
        await expect(self.page.locator(".people")).to_be_visible()
        await self._learn_id()

    async def _learn_id(self) -> None:
        account = await self.page.evaluate("sessionStorage.getItem('ringmesh')")
        self.user_id = json.loads(account)["user"]["id"]

    async def at_call(self) -> None:
        """Wait until everybody in the call is connected."""
        tiles = self.page.locator(".tile[data-user]")
        await expect(tiles.first).to_be_visible()
        await expect(self.page.locator('.tile[data-user][data-state="connected"]')).to_have_count(
            await tiles.count()
        )
        if not self.user_id:
            await self._learn_id()

    async def choose(self, *logins: str) -> None:
        """Tick people in the list."""
        for login in logins:
            box = self.page.locator(".row", has=self.page.get_by_text(login, exact=True))
            await box.locator("input").check(timeout=LIMIT * 1000)

    async def dial(self, *logins: str, video: bool = True) -> None:
        """Choose people, look at the preview, and start."""
        await self.choose(*logins)
        await self.button("Video call" if video else "Audio call").click()
        await self.button("Start video call" if video else "Start audio call").click()

    async def call(self, *logins: str, video: bool = True) -> None:
        """Dial, and wait for the call's tiles."""
        await self.dial(*logins, video=video)
        await expect(self.page.locator("main.call")).to_be_visible()

    async def accept(self) -> None:
        """Take the call that rings or will ring."""
        await self.incoming.get_by_role("button", name="Accept").click()
        await expect(self.page.locator("main.call")).to_be_visible()

    async def hang_up_only(self) -> None:
        """Press the button."""
        await self.page.locator(".hang-up").click()

    async def hang_up(self) -> None:
        """End the running call and be back among people."""
        await self.hang_up_only()
        await expect(self.page.locator(".people")).to_be_visible()

    async def state(self, user_id: int, state: str) -> None:
        """Wait until another person's tile is in this state."""
        await expect(self.tile(user_id)).to_have_attribute("data-state", state)

    async def fake(self, expression: str) -> Any:
        """Something of `window.fake` (devices.js)."""
        return await self.page.evaluate(f"() => fake.{expression}")

    async def sees(self, user_id: int, stream_id: int, limit: float = LIMIT) -> None:
        """Wait until the picture of this user is that of `stream_id` and moves."""
        seen: set[int] = set()

        async def moving() -> bool:
            picture = await self.page.evaluate("(id) => fake.picture(id)", user_id)
            if picture and picture.get("streamId") == stream_id:
                seen.add(picture["counter"])
            return len(seen) >= 3

        await until(f"picture {stream_id} of user {user_id}", moving, limit)

    async def hears(self, user_id: int, hertz: float) -> None:
        """Wait until the sound of this user is a tone within 2 % of `hertz`."""

        async def heard() -> bool:
            tone = await self.page.evaluate("(id) => fake.tone(id)", user_id)
            return tone is not None and abs(tone - hertz) < 0.02 * hertz

        await until(f"a tone of {hertz:g} Hz from user {user_id}", heard)

    async def talks_with(self, other: Person, *, video: bool = True) -> None:
        """Both hear and see each other."""
        async with asyncio.TaskGroup() as group:
            for one, two in ((self, other), (other, self)):
                group.create_task(one.hears(two.user_id, two.tone_hz))
                if video:
                    group.create_task(one.sees(two.user_id, two.stream_id))


class Pages:
    """Opens tabs, each with storage of its own, and collects what goes wrong in them."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self.url = url
        self.opened: list[Person] = []

    async def open(
        self, login: str = "", path: str = "/", *, real_devices: bool = False, **context: Any
    ) -> Person:
        """A tab at this path, not signed in. `context` goes to playwright's `new_context`."""
        new = await self._browser.new_context(**context)
        page = await new.new_page()
        person = Person(page, login)
        page.on("pageerror", lambda error: person.problems.append(str(error)))
        page.on("console", lambda message: self._logged(person, message.type, message.text))
        page.on("request", lambda request: self._requested(person, request.url))
        if not real_devices:
            local = {"toneHz": person.tone_hz, "streamId": person.stream_id}
            set_up = f"peer.local = {json.dumps(local)};"
            await page.add_init_script(
                "\n".join((PEER.read_text(), set_up, (HERE / "devices.js").read_text()))
            )
        await page.goto(self.url + path)
        self.opened.append(person)
        return person

    async def sign_in(self, login: str, path: str = "/", **context: Any) -> Person:
        """A tab of somebody who is signed in."""
        person = await self.open(login, path, **context)
        await person.sign_in()
        return person

    @staticmethod
    def _logged(person: Person, kind: str, text: str) -> None:
        if kind == "error" and not _EXPECTED.search(text):
            person.problems.append(text)

    def _requested(self, person: Person, url: str) -> None:
        if not url.startswith((self.url, "blob:", "data:")):
            person.foreign.append(url)

    async def close(self) -> list[str]:
        """Close every tab; returns what went wrong in them."""
        problems = []
        for person in self.opened:
            if not person.page.is_closed():
                problems += await person.page.evaluate("() => window.fake?.violations ?? []")
            problems += person.problems + person.foreign
            await person.page.context.close()
        self.opened.clear()
        return problems
