"""Calls that go on through troubles of the network."""

from __future__ import annotations

import asyncio
import time

from tests.netlab.world import LIMIT, POLL, Person, connect_call, world

LASTING = 20  # windows of 50 ms with the tone


async def goes_on(people: tuple[Person, Person]) -> None:
    """Sound and picture of both come in from now on."""
    begun = time.time()
    for person in people:
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
