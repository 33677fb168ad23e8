"""Signing in and up, guests, who is online, and links that call somebody."""

from __future__ import annotations

from collections.abc import Callable

from playwright.async_api import expect

from tests.interop.conftest import SignIn
from tests.web.conftest import Account
from tests.web.page_driver import Pages

Login = Callable[[], str]


async def test_sign_up_out_and_in(pages: Pages, login: Login) -> None:
    """A new account is made, left, and entered again with its password."""
    person = await pages.open(login())
    page = person.page
    await page.get_by_role("radio", name="Sign up").check()
    await page.get_by_label("Your name").fill("Ada Lovelace")
    await page.get_by_label("User name").fill(person.login)
    await page.get_by_label("Password", exact=True).fill("x" * 12)
    await person.button("Show password").click()
    assert await page.get_by_label("Password", exact=True).input_value() == "x" * 12
    await person.button("Create account").click()
    await person.at_people()
    await expect(page.locator(".me-name")).to_contain_text("Ada Lovelace")
    await person.button("Sign out").click()
    await expect(page.locator(".entrance")).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0
    await person.sign_in("x" * 12)


async def test_refusals_are_explained(pages: Pages, login: Login, sign_in: SignIn) -> None:
    """Empty fields, a wrong password, an unknown and a taken name each say what to do."""
    known = await sign_in()
    person = await pages.open(login())
    page = person.page
    alert = page.get_by_role("alert")
    submit = page.locator("form .primary")

    await submit.click()
    await expect(page.get_by_text("Type your user name.")).to_be_visible()
    await expect(page.get_by_label("User name or e-mail")).to_be_focused()
    for name in (known.user.login, "nobody-of-this-name"):
        await page.get_by_label("User name or e-mail").fill(name)
        await page.get_by_label("Password", exact=True).fill("wrong")
        await submit.click()
        await expect(alert).to_have_text("User name or password is wrong.")
    await page.get_by_label("User name or e-mail").fill("x" * 10_000)
    await submit.click()
    await expect(page.get_by_text("That is too long.")).to_be_visible()

    await page.get_by_role("radio", name="Sign up").check()
    await page.get_by_label("Your name").fill("Somebody")
    await page.get_by_label("User name").fill(known.user.login)
    await submit.click()
    await expect(alert).to_have_text("This user name is taken. Choose another one.")


async def test_a_guest_with_markup_for_a_name(pages: Pages, account: Account) -> None:
    """A guest enters with a name alone; markup in it is text wherever it is shown."""
    name = "<img src=x onerror=alert(1)><b>Bob</b>"
    guest = await pages.open()
    await guest.page.get_by_role("radio", name="Guest").check()
    await guest.page.get_by_label("Your name").fill(name)
    await guest.button("Enter as a guest").click()
    await guest.at_people()
    other = await pages.sign_in(await account())
    await expect(other.page.locator(".row-name", has_text=name)).to_be_visible()
    await guest.call(other.login)
    await expect(other.incoming.get_by_role("heading")).to_have_text(f"{name} is calling")
    assert await other.page.locator("img[src=x], .row-name b").count() == 0
    await other.button("Decline").click()
    await expect(guest.ended).to_contain_text("Declined")


async def test_names_of_any_length(pages: Pages, account: Account) -> None:
    """10,000 characters are refused where one enters; the longest names that there can be, in one
    word, leave every button where it can be pressed."""
    guest = await pages.open(viewport={"width": 390, "height": 844})
    await guest.page.get_by_role("radio", name="Guest").check()
    field = guest.page.get_by_label("Your name")
    for name, refused in (("W" * 10_000, True), ("W" * 255, False)):
        await field.fill(name)
        await guest.button("Enter as a guest").click()
        await expect(guest.page.get_by_text("That is too long.")).to_have_count(int(refused))
    await guest.at_people()
    other = await pages.sign_in(await account(), viewport={"width": 390, "height": 844})
    await expect(other.page.locator(".row-name", has_text="W" * 59 + "…")).to_be_visible()
    await guest.call(other.login)
    await expect(other.incoming.locator(".self-view")).to_be_visible()
    for name in ("Decline", "Without camera", "Accept"):
        await expect(other.incoming.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    await other.accept()
    await guest.at_call()
    for person in (guest, other):
        await expect(person.button("Hang up")).to_be_in_viewport(ratio=1)
        wide = "document.documentElement.scrollWidth > innerWidth"
        assert not await person.page.evaluate(wide)
    await other.hang_up()


async def test_the_list_follows_who_is_online(pages: Pages, account: Account) -> None:
    """People appear when they come and go when they leave; search also finds who is away."""
    me = await pages.sign_in(await account())
    other = await pages.sign_in(await account())
    row = me.page.locator(".row", has=me.page.get_by_text(other.login, exact=True))
    await expect(row).to_be_visible()
    await expect(row).to_contain_text("online")
    await other.button("Sign out").click()
    await expect(row).to_have_count(0)
    await me.page.get_by_role("searchbox").fill(other.login)
    await expect(row).to_contain_text("not online")
    await me.page.get_by_role("searchbox").fill("nobody at all")
    await expect(me.page.get_by_text("Nobody matches")).to_be_visible()


async def test_at_most_three_can_be_chosen(pages: Pages, account: Account, sign_in: SignIn) -> None:
    """The fourth tick is refused with a reason; a chip takes a choice back."""
    others = [(await sign_in()).user.login for _ in range(4)]
    me = await pages.sign_in(await account())
    await me.choose(*others[:3])
    fourth = me.page.locator(".row", has=me.page.get_by_text(others[3], exact=True))
    await fourth.locator("input").click(force=True)
    await expect(me.notice("up to four people")).to_be_visible()
    await expect(fourth.locator("input")).not_to_be_checked()
    await me.button(f"Remove {others[0]}").click()
    await fourth.locator("input").check()
    await expect(me.page.locator(".chip")).to_have_count(3)


async def test_a_link_calls_a_person(pages: Pages, account: Account) -> None:
    """Whoever opens a link enters as a guest, if they like, and is shown the call to its owner."""
    owner = await pages.sign_in(await account(), permissions=["clipboard-read", "clipboard-write"])
    await owner.button("Copy my link").first.click()
    await expect(owner.notice("Your link is copied")).to_be_visible()
    link: str = await owner.page.evaluate("navigator.clipboard.readText()")
    assert link == f"{pages.url}/?call={owner.login}"
    guest = await pages.open(path=link.removeprefix(pages.url))
    await expect(guest.page.get_by_text(f"Enter to call {owner.login}.")).to_be_visible()
    await guest.page.get_by_label("Your name").fill("Visitor")
    await guest.button("Enter as a guest").click()
    await guest.button("Start video call").click()
    await owner.accept()
    await guest.at_call()
    await owner.at_call()
    await guest.talks_with(owner)
    await guest.hang_up()
    assert "call=" not in guest.page.url


async def test_links_to_nobody_and_to_oneself(pages: Pages, account: Account) -> None:
    """Both say what is wrong and leave the page usable, also for absurd names."""
    name = await account()
    for callee, text in (
        ("nobody-of-this-name", "There is nobody called “nobody-of-this-name”"),
        ("%3Cimg%20src=x%3E", "There is nobody called “<img src=x>”"),
        ("x" * 10_000, "There is nobody called “xxx"),
        (name, "This link calls you"),
    ):
        person = await pages.sign_in(name, f"/?call={callee}")
        await expect(person.notice(text)).to_be_visible()
        await expect(person.page.get_by_role("searchbox")).to_be_enabled()
