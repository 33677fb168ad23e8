"""Calls that go on through troubles of the network, of our SDK and the unmodified browser SDK.

Applications with the browser SDK do what its guide says when a path is lost: see to the chat, and
restart ICE if they made the offer. Nobody else can, see `ringmesh.calls.recovery`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from tests.netlab.world import LIMIT, PASSWORD, POLL, Person, World, connect_call, world
from tests.web.page_driver import Person as Tab
from tests.web.page_driver import until

PAIRS = ("Python-Python", "Python-Chromium", "Chromium-Python", "Chromium-Chromium")
"""Callers and callees."""

TOGETHER = [PAIRS[::3], PAIRS[1:3]]
"""Pairs that may call at the same time on two cores."""

RESTART_AFTER = 3
"""Seconds that the application with the browser SDK waits for; its guide says 30."""

DISCONNECT_TIME = 300
"""Seconds that its guide tells applications to set for it; by itself it ends a call after 30."""

LASTING = 20  # windows of 50 ms with the tone


async def goes_on(people: tuple[Person, Person]) -> None:
    """Sound and picture of both come in from now on."""
    await asyncio.gather(*map(comes_in, people))


async def comes_in(person: Person) -> None:
    """Sound and picture of the other come in from now on."""
    begun = time.time()
    async with asyncio.timeout(LIMIT):
        while True:
            report = await person.report()
            sound = [at for at in report.sound if at > begun]
            pictures = [at for at in report.pictures if at > begun]
            if len(sound) >= LASTING and len(pictures) >= LASTING:
                break
            await asyncio.sleep(POLL)


async def pair_up(here: World, pair: str) -> tuple[Person, Person]:
    """The caller on host a, the callee on host b."""
    caller, callee = pair.split("-")
    return await somebody(here, caller, "a"), await somebody(here, callee, "b")


async def somebody(here: World, kind: str, host: str) -> Person:
    """Somebody with this SDK there."""
    if kind == "Python":
        return await here.python(host)
    person = await here.browser(host, disconnectTimeInterval=DISCONNECT_TIME)
    await person.run("restartIceAfter", RESTART_AFTER, PASSWORD)
    return person


async def call_all(here: World, pairs: Sequence[str]) -> list[tuple[Person, Person]]:
    """Calls of these pairs, with sound and picture."""
    found = [await pair_up(here, pair) for pair in pairs]
    for people in found:
        await connect_call(*people)
    return found


@pytest.mark.parametrize("pairs", TOGETHER, ids=" ".join)
@pytest.mark.parametrize("seconds", [5, 20, 40])
async def test_cut(seconds: int, pairs: Sequence[str]) -> None:
    """After a cut the calls go on by themselves; after a short one on the same path."""
    async with world("cone") as here:
        calls = await call_all(here, pairs)
        before = [(await caller.report()).pair for caller, _ in calls]
        await asyncio.to_thread(here.lab.cut, "a")
        await asyncio.sleep(seconds)  # is the trouble itself
        await asyncio.to_thread(here.lab.heal, "a")
        await asyncio.gather(*map(goes_on, calls))
        if seconds == 5:
            assert [(await caller.report()).pair for caller, _ in calls] == before
        for caller, callee in calls:
            await caller.hang_up()
            await callee.closed()


@pytest.mark.parametrize("pairs", TOGETHER, ids=" ".join)
@pytest.mark.parametrize("mover", ["a", "b"], ids=["caller", "callee"])
async def test_moving_to_another_network(mover: str, pairs: Sequence[str]) -> None:
    """Whoever gets a new address, from home to mobile and back: the calls go on by themselves."""
    async with world("cone") as here:
        calls = await call_all(here, pairs)
        for _ in range(2):
            await asyncio.to_thread(here.lab.readdress, mover)
            await asyncio.gather(*map(goes_on, calls))


async def sends_from(page: Tab, address: str) -> None:
    """A path from this address has been chosen: what comes in later came that way."""

    async def chosen() -> bool:
        return address in await page.fake("addresses()")

    await until(f"a path from {address}", chosen, LIMIT)


async def test_the_page_moves_to_another_network() -> None:
    """A call that the calling page made goes on after its machine got a new address, there and
    back, and after the other side did."""
    async with world("cone") as here:
        bob = await here.python("b")
        page = await (await here.pages("a")).open()
        await page.page.get_by_role("radio", name="Guest").check()
        await page.page.get_by_label("Your name").fill("Ann")
        await page.button("Enter as a guest").click()
        await page.at_people()
        await page.call("b-1")
        await bob.wait_rings()
        await bob.accept()
        await bob.prove(page)
        await page.sees(bob.user_id, bob.stream_id)
        for _ in range(2):
            await asyncio.to_thread(here.lab.readdress, "a")
            await sends_from(page, here.lab.public_addr("a"))
            await comes_in(bob)
            await page.sees(bob.user_id, bob.stream_id, LIMIT)
            await page.hears(bob.user_id, bob.tone_hz)
        await asyncio.to_thread(here.lab.readdress, "b")
        await comes_in(bob)
        await page.sees(bob.user_id, bob.stream_id, LIMIT)


@pytest.mark.parametrize(
    ("pair", "mover"),
    [(PAIRS[0], "a"), (PAIRS[0], "b"), (PAIRS[1], "a"), (PAIRS[2], "b")],
)
async def test_moving_while_it_rings(pair: str, mover: str) -> None:
    """Who moves to another network before the answer is connected all the same, with our SDK."""
    async with world("cone") as here:
        caller, callee = await pair_up(here, pair)
        await caller.call(callee)
        await callee.wait_rings()
        await asyncio.to_thread(here.lab.readdress, mover)
        await callee.accept()
        await asyncio.gather(caller.prove(callee), callee.prove(caller))


TROUBLES = {
    "5 % lost, 50 ms": {"loss": "5%", "delay": "50ms"},
    "5 % lost, 100 ms": {"loss": "5%", "delay": "100ms"},
    "600 kbit-s": {"rate": "600kbit"},
}
"""Each way."""


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_bad_wire(trouble: str) -> None:
    """Sound and picture come and go on, of one call after the other."""
    async with world("cone") as here:
        await asyncio.to_thread(here.lab.impair, "a", **TROUBLES[trouble])
        callers, callees = [
            {kind: await somebody(here, kind, host) for kind in ("Python", "Chromium")}
            for host in "ab"
        ]
        for caller, callee in (pair.split("-") for pair in PAIRS):
            people = callers[caller], callees[callee]
            await connect_call(*people)
            await goes_on(people)
            await people[0].hang_up()
            await people[1].closed()
