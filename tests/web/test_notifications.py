"""Calls while nobody looks at the page: pushes to a real service worker, and its notifications."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from playwright.async_api import expect

from ringmesh import CallType, P2PSession
from ringmesh.client.events import CallRejectedByUser, SessionClosed
from ringmesh.server.accounts.user_input import UserInput
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from tests.interop.conftest import SignIn, session_fixture
from tests.interop.conftest import test_fixture as shared_fixture
from tests.interop.people import coded
from tests.push.fake_push_service import FakePushService
from tests.push.provider import Provider, make_certificate
from tests.web.bell import Bell
from tests.web.conftest import Account
from tests.web.page_driver import LIMIT, PASSWORD, Pages, Person

CALLING, MISSED = "Ada is calling", "You missed a call from Ada."


@asynccontextmanager
async def push_server(data_dir: Path, service: Provider) -> AsyncIterator[Server]:
    """A server that may reach a push service on this machine."""
    host = service.url.removeprefix("https://")
    data_dir.joinpath("push.toml").write_text(
        f'[1.web]\nallowed_hosts = ["{host}"]\nca_file = "{service.certificate.file}"\n'
    )
    ports = {"xmpp_port": 0, "xmpps_port": 0, "wss_port": 0}
    settings = load_settings(port=0, host="127.0.0.1", chat_self_signed=True, **ports)
    async with Server(data_dir, settings) as running:
        assert running.application.id == 1
        yield running


@session_fixture
async def push_service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FakePushService]:
    """Where the browsers' subscriptions lead."""
    async with FakePushService(make_certificate(tmp_path_factory.mktemp("push"))) as running:
        yield running


@session_fixture
async def server(
    tmp_path_factory: pytest.TempPathFactory, push_service: FakePushService
) -> AsyncIterator[Server]:
    """A server that may reach the fake push service."""
    async with push_server(tmp_path_factory.mktemp("server"), push_service) as running:
        yield running


class Called(Person):
    """Somebody who wants to be called while the page is closed."""

    bell: Bell


NewCalled: TypeAlias = Callable[[], Awaitable[Called]]


@shared_fixture
async def called(
    pages: Pages, account: Account, server: Server, push_service: FakePushService
) -> NewCalled:
    """Signs somebody in and turns the bell on."""

    async def enter() -> Called:
        person = await pages.open(await account(), "/licences.txt")
        person.__class__ = Called
        assert isinstance(person, Called)
        person.bell = Bell(person.page.context, server.url, push_service)
        key = server.push.web_key(server.application.id)
        await person.bell.prepare(person.page, str(key))
        await person.page.goto(server.url)
        await person.sign_in()
        await person.bell.turn_on(person)
        return person

    return enter


@shared_fixture
async def call(
    sign_in: SignIn, server: Server, login: Callable[[], str]
) -> Callable[[Person], Awaitable[P2PSession]]:
    """Ada calls somebody with the Python SDK."""

    async def dial(person: Person) -> P2PSession:
        user = UserInput(login=login(), password=PASSWORD, full_name="Ada")
        await server.accounts.users.create(server.application.id, user)
        ada = await sign_in(str(user.login))
        session = ada.calls.create_call_session(CallType.VIDEO_CALL, [person.user_id])
        await session.init_local_media_stream(coded(5, 870.0))
        await session.start_call()
        return session

    return dial


Call: TypeAlias = Callable[[Person], Awaitable[P2PSession]]


def ring(session_id: str = "s", **changes: Any) -> dict[str, Any]:
    """A start push as the server sends it."""
    data = {
        "signal_type": "startCall", "session_id": session_id, "call_type": 1, "caller_id": 4001,
        "caller_name": "Ada", "call_opponents": "4002",
    }  # fmt: skip
    return {"data": data, "expires_at": int(time.time()) + 60, "ticket": "", **changes}


def end(session_id: str = "s", **values: Any) -> dict[str, Any]:
    """Its end."""
    return {"data": {"signal_type": "endCall", "session_id": session_id, **values}}


async def test_a_call_to_a_closed_page(called: NewCalled, call: Call) -> None:
    """The notification shows who calls, with Accept and Decline; a missed call stays as a note."""
    bob = await called()
    await bob.page.close()
    session = await call(bob)
    received = await bob.bell.deliver("startCall", session.session_id)
    (shown,) = await bob.bell.shows(CALLING)
    assert (shown["body"], shown["actions"]) == ("Video call", ["Accept", "Decline"])
    assert shown["data"]["ring"]["userId"] == bob.user_id
    assert received.request.headers["urgency"] == "high"
    await session.hang_up()
    await bob.bell.deliver("endCall", session.session_id)
    (shown,) = await bob.bell.shows(MISSED)
    assert shown["actions"] == []


async def test_decline_in_the_notification(called: NewCalled, call: Call) -> None:
    """The caller is told at once, though no page is open and nobody is signed in."""
    bob = await called()
    await bob.page.close()
    session = await call(bob)
    await bob.bell.deliver("startCall", session.session_id)
    await bob.bell.shows(CALLING)
    await bob.bell.click("decline")
    rejected = await session.wait_for(CallRejectedByUser, timeout=LIMIT)
    assert rejected.user_id == bob.user_id
    await bob.bell.shows()


async def test_accept_opens_the_page_into_the_call(
    called: NewCalled, call: Call, pages: Pages, server: Server
) -> None:
    """The address that the worker opens needs no password, and takes the call."""
    bob = await called()
    await bob.page.close()
    session = await call(bob)
    await bob.bell.deliver("startCall", session.session_id)
    (shown,) = await bob.bell.shows(CALLING)
    taken = shown["data"]["ring"]
    link = f"/#answer=accept&session={taken['sessionId']}&ticket={taken['ticket']}"
    again = await pages.open(path=link)
    await again.at_call()
    assert again.page.url == f"{server.url}/"
    assert again.user_id == bob.user_id
    await again.sees(session.caller_id, 5)
    await again.hears(session.caller_id, 870.0)
    await again.hang_up()
    await session.wait_for(SessionClosed, timeout=LIMIT)


@pytest.mark.parametrize("ticket", ["", "1.2.3.forged"])
async def test_links_with_bad_tickets(pages: Pages, ticket: str) -> None:
    """They lead to the entrance, and are gone from the address."""
    person = await pages.open(path=f"/#answer=accept&session=s&ticket={ticket}")
    await expect(person.page.locator(".entrance")).to_be_visible()
    assert "ticket" not in person.page.url
    if ticket:
        await expect(person.notice("This call is over")).to_be_visible()


async def test_a_page_that_is_seen_rings_by_itself(called: NewCalled, call: Call) -> None:
    """No notification while the page shows the call; a push of the caller's app changes nothing."""
    bob = await called()
    session = await call(bob)
    await expect(bob.incoming).to_be_visible()
    await bob.bell.push(ring(session.session_id, user_id=bob.user_id))
    await bob.bell.stays()
    await bob.bell.push(ring("another", user_id=bob.user_id + 1))  # of whom is not signed in here
    await bob.bell.shows(CALLING)
    await session.hang_up()


HIDE = "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})"


async def test_a_page_behind_others(called: NewCalled, call: Call) -> None:
    """It notifies by itself; Accept there takes the call in the page, and silences."""
    bob = await called()
    await bob.page.evaluate(HIDE)
    session = await call(bob)
    await expect(bob.incoming).to_be_visible()
    await bob.bell.shows(CALLING)
    await bob.bell.push(ring(session.session_id, user_id=bob.user_id))
    await bob.bell.stays(CALLING)  # one call, one notification
    await bob.bell.click("accept")
    await bob.at_call()
    await bob.bell.shows()
    await bob.hang_up()


async def test_a_frozen_page(called: NewCalled, call: Call) -> None:
    """A page says when it is not seen, so that the server pushes as well; seen again, the
    server leaves calls to it."""
    bob = await called()
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    await bob.page.evaluate(f"{HIDE}; {tell}")
    session = await call(bob)
    await bob.bell.deliver("startCall", session.session_id)
    await bob.bell.shows(CALLING)
    await session.hang_up()
    await bob.bell.deliver("endCall", session.session_id)
    await bob.bell.shows()  # the page took it away, and says by itself that the call was missed
    await bob.page.evaluate(f"delete document.hidden; {tell}")
    session = await call(bob)
    await expect(bob.incoming).to_be_visible()
    await bob.bell.stays()
    await session.hang_up()


async def test_decline_for_a_page_behind_others(called: NewCalled, call: Call) -> None:
    """The page declines."""
    bob = await called()
    await bob.page.evaluate(HIDE)
    session = await call(bob)
    await expect(bob.incoming).to_be_visible()
    await bob.bell.shows(CALLING)
    await bob.bell.click("decline")
    await session.wait_for(CallRejectedByUser, timeout=LIMIT)
    await expect(bob.incoming).to_have_count(0)


async def test_what_the_page_knows_silences(called: NewCalled, call: Call) -> None:
    """A caller who hangs up is known to a hidden page without any push."""
    bob = await called()
    await bob.page.evaluate(HIDE)
    session = await call(bob)
    await expect(bob.incoming).to_be_visible()
    await bob.bell.shows(CALLING)
    await session.hang_up()
    await bob.bell.shows()


async def test_rings_that_are_over(called: NewCalled) -> None:
    """Nothing is seen of ended calls and of text that is no push; doubled pushes are one."""
    bob = await called()
    await bob.page.close()
    bell = bob.bell
    await bell.push(ring("late", expires_at=int(time.time()) - 1))
    await bell.push(end("early"))
    await bell.push(ring("early"))
    for nonsense in ("", "{", "null", "[]", '"text"', '{"data": 7}', '{"data": {"session_id": 1}}'):
        await bell.push(nonsense)
    await bell.stays()
    await bell.push(ring("s"))
    await bell.push(ring("s"))
    await bell.shows(CALLING)
    await bell.stays(CALLING)
    await bell.push(end("s", reason="answered"))
    await bell.shows()
    await bell.push(ring("short", expires_at=int(time.time()) + 2))
    await bell.shows(CALLING)
    await bell.shows(MISSED)  # its end got lost


async def test_other_forms_of_pushes(called: NewCalled) -> None:
    """The names of web apps ring too, and plain messages are shown, with markup as text."""
    bob = await called()
    await bob.page.close()
    names = {"initiatorId": 1, "opponentsIds": "2,3", "handle": "Ada", "uuid": "u"}
    await bob.bell.push({"data": names | {"callType": "audio"}})
    (shown,) = await bob.bell.shows(CALLING)
    assert shown["body"] == "Audio call"
    assert shown["data"]["ring"]["others"] == [1, 2, 3]
    await bob.bell.push({"data": {"signal_type": "rejectCall", "session_id": "u"}})
    await bob.bell.shows(MISSED)
    await bob.bell.push({"data": {"message": "<b>Hello</b>"}})
    found = await bob.bell.shows(MISSED, "Ringmesh")
    assert "<b>Hello</b>" in [one["body"] for one in found]


async def test_signing_out_ends_it(
    called: NewCalled, server: Server, push_service: FakePushService
) -> None:
    """The subscription is gone from server and browser; a reload alone keeps it."""
    bob = await called()
    user = await server.accounts.users.get(1, bob.user_id)
    assert user is not None
    await bob.page.reload()
    await bob.at_people()
    await expect(bob.button("Do not ring when this page is closed")).to_be_visible()
    (kept,) = await server.push.subscriptions(user)
    assert kept.web_endpoint == bob.bell.subscription.endpoint
    await bob.button("Sign out").click()
    await expect(bob.page.locator(".entrance")).to_be_visible()
    assert await server.push.subscriptions(user) == []
    assert await bob.page.evaluate("localStorage.getItem('test-subscription')") == "null"


async def test_the_button_turns_it_off(called: NewCalled, server: Server) -> None:
    """Pressed again, nothing rings here any more."""
    bob = await called()
    user = await server.accounts.users.get(1, bob.user_id)
    assert user is not None
    await bob.button("Do not ring when this page is closed").click()
    await expect(bob.notice("You will no longer be notified")).to_be_visible()
    assert await server.push.subscriptions(user) == []


async def test_a_refused_permission(pages: Pages, account: Account) -> None:
    """The page says where to allow it, and goes on."""
    person = await pages.sign_in(await account())
    await person.page.evaluate("Notification.requestPermission = async () => 'denied'")
    await person.button("Ring when this page is closed").click()
    await expect(person.notice("Notifications are blocked")).to_be_visible()
    await expect(person.button("Ring when this page is closed")).to_be_enabled()


async def test_missed_calls_are_listed(pages: Pages, account: Account, call: Call) -> None:
    """Who called in vain is shown, can be called back, and cleared away for good."""
    bob = await pages.sign_in(await account())
    missed = bob.page.locator(".missed")
    await expect(missed).to_be_hidden()
    session = await call(bob)
    await expect(bob.incoming).to_be_visible()
    await session.hang_up()
    await expect(missed.locator(".row-name")).to_have_text("Ada")
    await expect(missed.locator(".row-detail")).to_contain_text("Video call")
    await bob.button("Call Ada back").click()
    await expect(bob.preview.get_by_role("heading")).to_have_text("Call Ada")
    await bob.page.keyboard.press("Escape")
    await bob.page.reload()
    await expect(missed).to_be_visible()
    await bob.button("Clear missed calls").click()
    await expect(missed).to_be_hidden()
    await bob.page.reload()
    await bob.at_people()
    await expect(missed).to_be_hidden()
