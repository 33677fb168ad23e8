"""How calls end that never come about, with the page's clock moved on instead of waiting."""

from __future__ import annotations

from playwright.async_api import expect

from tests.web.conftest import Account
from tests.web.page_driver import Pages, Person


async def later(person: Person, seconds: int) -> None:
    """Let this much time pass for a page, whose clock was installed.

    In steps: a jump lets an interval, by which the SDK counts, happen only once.
    """
    for _ in range(seconds):
        await person.page.clock.fast_forward(1000)


async def test_nobody_answers_for_a_minute(pages: Pages, account: Account) -> None:
    """Who is online and who is not get their own reasons; their devices stop ringing; the call
    with the others goes on."""
    away = await account()
    alice = await pages.sign_in(await account())
    bob, carol = [await pages.sign_in(await account()) for _ in range(2)]
    left = await pages.sign_in(away)
    await left.page.close()
    await alice.page.clock.install()
    await alice.choose(bob.login, carol.login)
    await alice.page.get_by_label("Find people").fill(away)
    await alice.choose(away)
    await alice.button("Video call").click()
    await alice.button("Start video call").click()
    await bob.accept()
    await alice.state(bob.user_id, "connected")
    await alice.state(carol.user_id, "ringing")
    await expect(carol.incoming).to_be_visible()
    await later(alice, 50)
    await alice.state(carol.user_id, "ringing")
    await later(alice, 15)
    await alice.state(carol.user_id, "no-answer")
    await alice.state(left.user_id, "no-answer")
    await expect(alice.tile(carol.user_id)).to_contain_text("No answer")
    await expect(alice.tile(carol.user_id)).to_contain_text("nobody took the call")
    await expect(alice.tile(left.user_id)).to_contain_text("not online right now")
    await expect(carol.incoming).to_be_hidden()
    await alice.state(bob.user_id, "connected")
    await alice.hang_up()


async def test_a_call_that_nobody_answers_ends(pages: Pages, account: Account) -> None:
    """The dialog after it says why, and offers to try again."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.page.clock.install()
    await alice.call(bob.login)
    await alice.state(bob.user_id, "ringing")
    await later(alice, 65)
    await expect(alice.ended).to_contain_text("No answer: nobody took the call")
    await expect(bob.incoming).to_be_hidden()
    await alice.button("Call again").click()
    await alice.button("Start video call").click()
    await expect(bob.incoming).to_be_visible()


async def test_a_call_without_a_network_path_fails(pages: Pages, account: Account) -> None:
    """Behind a relay that is dead no media path comes about: failed, with the reason, on both
    sides; the next call works."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.fake("deadRelay = true")
    for person in (alice, bob):
        await person.page.clock.install()
    await alice.call(bob.login)
    await bob.accept()
    await alice.state(bob.user_id, "connecting")
    await bob.state(alice.user_id, "connecting")
    await later(alice, 25)
    await alice.state(bob.user_id, "connecting")
    await later(alice, 10)
    await expect(alice.ended).to_contain_text("Failed: no network path to them was found")
    await expect(bob.page.locator("main.call")).to_be_hidden()
    await alice.fake("deadRelay = false")
    await alice.button("Call again").click()
    await alice.button("Start video call").click()
    await bob.accept()
    await alice.talks_with(bob)


async def test_a_connection_that_does_not_come_back(pages: Pages, account: Account) -> None:
    """One sees that a new path is sought; after a minute of that the call fails, with the reason,
    and the other side is told."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.page.clock.install()
    await alice.call(bob.login)
    await bob.accept()
    await alice.at_call()
    await alice.fake("pretend(fake.peers.at(-1), 'disconnected', true)")
    await alice.state(bob.user_id, "reconnecting")
    await expect(alice.tile(bob.user_id)).to_contain_text("Reconnecting")
    await later(alice, 50)
    await alice.state(bob.user_id, "reconnecting")
    await later(alice, 25)
    await expect(alice.ended).to_contain_text("Failed: the connection was lost")
    await expect(bob.ended).to_contain_text("Left")
