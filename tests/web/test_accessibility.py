"""Every screen for people who do not see it or do not use a mouse: axe-core, keyboard, messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.web.conftest import Account
from tests.web.page_driver import Pages

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"


async def scan(page: Page, where: str) -> None:
    """No finding of WCAG 2.2 A and AA or of best practice that axe calls serious or critical."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = await page.evaluate(
        # People who talk bring no captions.
        "() => axe.run(document, {rules: {'video-caption': {enabled: false}}})"
        ".then(({violations}) => violations)"
    )
    serious = [
        (one["id"], one["help"], [node["target"] for node in one["nodes"]][:5])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert not serious, f"{where}: {serious}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_screen(pages: Pages, account: Account, scheme: str) -> None:
    """Axe finds nothing serious on any screen, in light and in dark."""
    options = {"color_scheme": scheme, "reduced_motion": "reduce"}
    entrance = await pages.open("nobody", **options)
    for mode in ("Sign in", "Sign up", "Guest"):
        await entrance.page.get_by_role("radio", name=mode).check()
        await entrance.page.locator("form .primary").click()
        await scan(entrance.page, f"entrance, {mode}")
    await entrance.page.context.close()

    alice = await pages.sign_in(await account(), **options)
    await alice.page.get_by_role("searchbox").fill("zzzz")
    await scan(alice.page, "nobody found")
    await alice.page.get_by_role("searchbox").fill("")
    bob = await pages.sign_in(await account(), **options)
    await alice.choose(bob.login)
    await scan(alice.page, "people")
    await alice.button("Settings").click()
    await scan(alice.page, "settings")
    await alice.page.keyboard.press("Escape")
    await alice.button("Video call").click()
    await expect(alice.button("Start video call")).to_be_enabled()
    await scan(alice.page, "preview")
    await alice.button("Start video call").click()
    await expect(bob.incoming.locator(".self-view")).to_be_visible()
    await scan(alice.page, "calling")
    await scan(bob.page, "incoming call")
    await bob.accept()
    await alice.at_call()
    await alice.button("Statistics").click()
    await expect(alice.page.locator(".figures")).to_be_visible()
    await alice.button("Mute microphone").click()
    await alice.button("Turn camera off").click()
    await scan(alice.page, "call")
    await bob.hang_up()
    await expect(alice.ended).to_be_visible()
    await scan(alice.page, "ended")


async def test_a_whole_call_by_keyboard(pages: Pages, account: Account) -> None:
    """Choosing, calling, answering, muting and hanging up need no mouse; focus is never lost."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    box = alice.page.locator(".row", has=alice.page.get_by_text(bob.login, exact=True))
    await box.locator("input").focus()
    await alice.page.keyboard.press("Space")
    await alice.button("Video call").focus()
    await alice.page.keyboard.press("Enter")
    await expect(alice.button("Start video call")).to_be_focused()
    await alice.page.keyboard.press("Enter")
    await expect(bob.button("Accept")).to_be_focused()
    await bob.page.keyboard.press("Escape")
    await expect(bob.incoming).to_be_visible()
    await bob.page.keyboard.press("Enter")
    await alice.at_call()
    await alice.button("Mute microphone").focus()
    await alice.page.keyboard.press("Space")
    await expect(alice.button("Unmute microphone")).to_be_focused()
    await alice.button("Hang up").focus()
    await alice.page.keyboard.press("Enter")
    await expect(bob.button("Back to people")).to_be_focused()


async def test_states_are_spoken(pages: Pages, account: Account) -> None:
    """A live region says what happens to whom; tiles carry names and states."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    spoken = alice.page.locator("[role=status].visually-hidden")
    await alice.call(bob.login)
    await expect(spoken).to_have_text(f"{bob.login}: Ringing…")
    await bob.accept()
    await expect(spoken).to_have_text(f"{bob.login}: Connected")
    tile = alice.page.get_by_role("article", name=f"{bob.login}: Connected")
    await expect(tile).to_be_visible()
    assert await alice.page.evaluate("document.documentElement.lang") == "en"
