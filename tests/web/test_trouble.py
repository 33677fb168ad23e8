"""What goes wrong: devices, networks, sessions, servers. The page says so and stays usable."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from ringmesh import CallType
from ringmesh.client.events import SessionClosed
from ringmesh.server.accounts.user_input import UserInput
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from tests.client.tcp_server import Proxy
from tests.interop.conftest import PASSWORD, SignIn
from tests.interop.people import coded
from tests.web.conftest import Account
from tests.web.page_driver import LIMIT, Pages, Person, until


class DeafChat(Proxy):
    """While it is `deaf`, new chat connections hear nothing, or nothing after the handshake, and
    everything else breaks. `heard` tells that one waits."""

    def __init__(self, host: str, port: int, *, shakes_hands: bool) -> None:
        super().__init__(host, port)
        self.deaf = False
        self.heard = asyncio.Event()
        self._shakes_hands = shakes_hands

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.deaf:
            await super()._serve(reader, writer)
            return
        request = await reader.readuntil(b"\r\n\r\n")
        if request.startswith(b"GET /chat"):
            there, back = await asyncio.open_connection(*self._target)
            if self._shakes_hands:
                back.write(request)
                writer.write(await there.readuntil(b"\r\n\r\n"))
            self.heard.set()
            await reader.read()
            back.close()
        writer.close()


async def test_denied_devices(pages: Pages, account: Account) -> None:
    """Without permission one still calls, hears and sees, and is told what is missing."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.fake("denied.push('camera', 'microphone')")
    await alice.call(bob.login)
    await expect(alice.notice("The microphone is blocked.")).to_be_visible()
    await expect(alice.notice("The camera is blocked.")).to_be_visible()
    await bob.accept()
    await alice.sees(bob.user_id, bob.stream_id)
    await alice.hears(bob.user_id, bob.tone_hz)
    await bob.state(alice.user_id, "connected")
    await alice.fake("denied.splice(0)")
    await alice.button("Turn camera on").click()
    await bob.sees(alice.user_id, alice.stream_id)
    await alice.button("Devices and quality").click()
    await alice.page.get_by_label("Microphone", exact=True).select_option("mic-2")
    await bob.hears(alice.user_id, alice.tone_hz)


async def test_no_devices_at_all(pages: Pages, account: Account) -> None:
    """A machine without camera, microphone and speakers can call too."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await bob.fake("missing.push('camera', 'microphone')")
    await bob.fake("speakers.splice(0)")
    await alice.call(bob.login)
    await expect(bob.notice("No microphone was found.")).to_be_visible()
    await expect(bob.notice("No camera was found.")).to_be_visible()
    await bob.accept()
    await bob.sees(alice.user_id, alice.stream_id)
    await bob.hears(alice.user_id, alice.tone_hz)
    await bob.button("Devices and quality").click()
    await expect(bob.page.get_by_label("Speakers")).to_be_disabled()


async def test_devices_taken_away(pages: Pages, account: Account) -> None:
    """A camera or microphone that is unplugged ends nothing; another one takes over on request."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.call(bob.login)
    await bob.accept()
    await bob.sees(alice.user_id, alice.stream_id)
    await alice.fake("unplug('camera')")
    await expect(alice.notice("The camera was disconnected.")).to_be_visible()
    await expect(alice.button("Turn camera on")).to_be_visible()
    await alice.fake("unplug('microphone')")
    await expect(alice.notice("The microphone was disconnected.")).to_be_visible()
    await alice.fake("missing.splice(0)")
    await alice.button("Turn camera on").click()
    await bob.sees(alice.user_id, alice.stream_id)


async def test_leaving_the_page_hangs_up(pages: Pages, account: Account, sign_in: SignIn) -> None:
    """Reloading and closing the tab end the call for the others; a reload stays signed in."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.call(bob.login)
    await bob.accept()
    await alice.at_call()
    await alice.page.reload()
    await expect(bob.ended).to_contain_text("Left")
    await alice.at_people()
    await bob.ended.get_by_role("button", name="Back").click()

    me = await sign_in()
    session = me.calls.create_call_session(CallType.VIDEO_CALL, [alice.user_id])
    await session.init_local_media_stream(coded(5, 870.0))
    await session.start_call()
    await alice.accept()
    await alice.sees(me.id, 5)
    await alice.page.close()
    await session.wait_for(SessionClosed, timeout=LIMIT)


async def test_new_network(pages: Pages, account: Account) -> None:
    """After a change of network whoever made the offer restarts ICE; the call goes on, with a
    whole picture at once."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.call(bob.login)
    await bob.accept()
    await alice.at_call()
    await bob.at_call()
    before = await alice.fake("fragments()")
    await bob.page.evaluate("window.dispatchEvent(new Event('online'))")
    assert await alice.fake("fragments()") == before
    await alice.talks_with(bob)
    key_frames = await alice.fake("keyFrames()")
    await alice.page.evaluate("window.dispatchEvent(new Event('online'))")
    await until("a restart", lambda: _changed(alice, before))
    await until("a key frame", lambda: _refreshed(alice, key_frames))
    await alice.talks_with(bob)

    before = await alice.fake("fragments()")
    await alice.fake("pretend(fake.peers.at(-1), 'disconnected')")
    await alice.state(bob.user_id, "reconnecting")
    await until("a restart by itself", lambda: _changed(alice, before))
    await alice.state(bob.user_id, "connected")
    await alice.talks_with(bob)


async def _changed(person: Person, before: list[str]) -> bool:
    return bool(await person.fake("fragments()") != before)


async def _refreshed(person: Person, before: int) -> bool:
    return bool(await person.fake("keyFrames()") > before)


async def test_offline(pages: Pages, account: Account) -> None:
    """Without network the page says so; the call goes on and the chat comes back by itself."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.call(bob.login)
    await bob.accept()
    await alice.at_call()
    await alice.page.context.set_offline(True)
    await expect(alice.page.locator(".banner")).to_contain_text("You are offline.")
    await alice.talks_with(bob)
    await alice.page.context.set_offline(False)
    await expect(alice.page.locator(".banner")).to_be_hidden()
    await alice.talks_with(bob)
    await alice.hang_up()
    await expect(bob.ended).to_contain_text("Left")


async def test_server_restart_during_a_call(browser: Browser, tmp_path: Path) -> None:
    """The call survives the server's restart, and hanging up afterwards reaches the other side."""
    server = Server(tmp_path, load_settings(port=0, host="127.0.0.1"))
    await server.start()
    port = int(server.url.rpartition(":")[2])
    for name in ("alice", "bob"):
        user = UserInput(login=name, password=PASSWORD)
        await server.accounts.users.create(server.application.id, user)
    pages = Pages(browser, server.url)
    try:
        alice, bob = await pages.sign_in("alice"), await pages.sign_in("bob")
        await alice.call("bob")
        await bob.accept()
        await alice.at_call()
        await server.stop()
        for person in (alice, bob):
            await expect(person.page.locator(".banner")).to_contain_text("Reconnecting")
        await alice.talks_with(bob)
        server = Server(tmp_path, load_settings(port=port, host="127.0.0.1"))
        await server.start()
        for person in (alice, bob):
            await expect(person.page.locator(".banner")).to_be_hidden()
        await alice.talks_with(bob)
        await alice.hang_up()
        await expect(bob.ended).to_contain_text("Left")
    finally:
        problems = await pages.close()
        await server.stop()
    assert not problems


@pytest.mark.parametrize("shakes_hands", [False, True], ids=["handshake", "login"])
async def test_chat_that_never_answers(
    browser: Browser, server: Server, account: Account, shakes_hands: bool
) -> None:
    """An attempt to connect that the other side does not go on with is given up for another."""
    host, port = server.url.removeprefix("http://").split(":")
    async with DeafChat(host, int(port), shakes_hands=shakes_hands) as proxy:
        pages = Pages(browser, f"http://127.0.0.1:{proxy.port}")
        alice = await pages.sign_in(await account())
        proxy.deaf = True
        proxy.cut()
        async with asyncio.timeout(LIMIT):
            await proxy.heard.wait()
        proxy.deaf = False
        await expect(alice.page.locator(".banner")).to_contain_text("Reconnecting")
        await expect(alice.page.locator(".banner")).to_be_hidden()
        assert not await pages.close()


async def test_expired_session(pages: Pages, account: Account, server: Server) -> None:
    """A session that is over leads to the entrance with the reason; a call may end first."""
    alice = await pages.sign_in(await account())
    bob = await pages.sign_in(await account())
    await alice.call(bob.login)
    await bob.accept()
    await alice.at_call()
    for person in (alice, bob):
        await person.page.evaluate(
            "() => fetch('/session', {method: 'DELETE', "
            "headers: {'CB-Token': JSON.parse(sessionStorage.ringmesh).token}})"
        )
    await alice.talks_with(bob)
    await alice.hang_up_only()
    for person in (alice, bob):
        await expect(person.page.get_by_role("alert")).to_contain_text("Your session has expired.")
    await alice.sign_in()
    await bob.page.reload()
    await expect(bob.page.locator(".entrance")).to_be_visible()


async def test_somebody_who_is_away(pages: Pages, account: Account) -> None:
    """Calling somebody who is away warns beforehand and does not claim that it rings."""
    alice = await pages.sign_in(await account())
    away = await account()
    await alice.page.get_by_role("searchbox").fill(away)
    await alice.choose(away)
    await alice.button("Audio call").click()
    await expect(alice.preview).to_contain_text("not online")
    await alice.button("Start audio call").click()
    tile = alice.page.locator(".tile[data-user]")
    await expect(tile).to_have_attribute("data-state", "calling")
    await alice.hang_up()


async def test_the_server_is_away(pages: Pages, account: Account) -> None:
    """A page that cannot reach its server says so and offers to try again."""
    person = await pages.open(await account())
    await person.page.context.set_offline(True)
    await person.page.get_by_role("radio", name="Sign in").check()
    await person.page.get_by_label("User name or e-mail").fill(person.login)
    await person.page.get_by_label("Password", exact=True).fill(PASSWORD)
    await person.button("Sign in").click()
    await expect(person.page.get_by_role("alert")).to_contain_text("cannot be reached")
    await person.page.context.set_offline(False)
    await person.sign_in()
