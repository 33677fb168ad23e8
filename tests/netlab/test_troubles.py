"""Calls that go on through troubles of the network."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.netlab.world import LIMIT, POLL, Person, connect_call, world
from tests.web.page_driver import Person as Tab
from tests.web.page_driver import until

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


async def test_short_cut() -> None:
    """After a cut of 5 s the call goes on by itself, on the same path."""
    async with world("cone") as here:
        people = await here.python("a"), await here.python("b")
        await connect_call(*people)
        before = (await people[0].report()).pair
        await asyncio.to_thread(here.lab.cut, "a")
        await asyncio.sleep(5)  # is the trouble itself
        await asyncio.to_thread(here.lab.heal, "a")
        await goes_on(people)
        assert (await people[0].report()).pair == before
        await people[0].hang_up()
        await people[1].closed()


@pytest.mark.parametrize("mover", [0, 1], ids=["caller", "callee"])
async def test_moving_to_another_network(mover: int) -> None:
    """Whoever gets a new address, from home to mobile and back: the call goes on by itself."""
    async with world("cone") as here:
        people = await here.python("a"), await here.python("b")
        await connect_call(*people)
        for _ in range(2):
            await asyncio.to_thread(here.lab.readdress, "ab"[mover])
            await goes_on(people)


async def sends_from(page: Tab, address: str) -> None:
    """A path from this address has been chosen: what comes in later came that way."""

    async def chosen() -> bool:
        return address in await page.fake("addresses()")

    await until(f"a path from {address}", chosen, LIMIT)


async def test_the_page_moves_to_another_network() -> None:
    """A call on the calling page goes on after its machine got a new address, there and back."""
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


async def test_moving_while_it_rings() -> None:
    """A caller who moves to another network before the answer is connected all the same."""
    async with world("cone") as here:
        caller, callee = await here.python("a"), await here.python("b")
        await caller.call(callee)
        await callee.wait_rings()
        await asyncio.to_thread(here.lab.readdress, "a")
        await callee.accept()
        await asyncio.gather(caller.prove(callee), callee.prove(caller))


async def test_lossy_wire() -> None:
    """With 5 % of the packets lost and 100 ms of delay, sound and picture go on."""
    async with world("cone") as here:
        await asyncio.to_thread(here.lab.impair, "a", loss="5%", delay="50ms")
        people = await here.python("a"), await here.python("b")
        await connect_call(*people)
        await goes_on(people)


async def test_narrow_wire() -> None:
    """600 kbit/s are enough for sound and picture."""
    async with world("cone") as here:
        await asyncio.to_thread(here.lab.impair, "a", rate="600kbit")
        people = await here.python("a"), await here.python("b")
        await connect_call(*people)
        await goes_on(people)
