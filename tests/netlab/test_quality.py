"""The quality of a call in real trouble: told while it lasts, and explained afterwards."""

from __future__ import annotations

import asyncio

from tests.netlab.world import LIMIT, POLL, PythonPerson, connect_call, world

TROUBLES: dict[str, float] = {"loss": 0.25, "interruption": 1.0}
"""Share of the packets that are lost, by the cause that is then told."""


async def is_told(person: PythonPerson, direction: str, level: str, cause: str | None) -> None:
    """Wait until this is the newest quality of a direction."""
    async with asyncio.timeout(2 * LIMIT):
        while True:
            told = [f for f in person.facts("QualityChanged") if f["direction"] == direction]
            if told and told[-1]["level"] == level and cause in (None, *told[-1]["causes"][:1]):
                return
            await asyncio.sleep(POLL)


async def test_trouble_is_told_and_explained() -> None:
    """A degraded line makes the call bad for the right reason; healed, it is good again; the
    verdict of the report says so."""
    async with world("lan") as here:
        people = [await here.python(host, stats_reports_interval=250) for host in "ab"]
        await connect_call(people[0], people[1])
        for cause, loss in TROUBLES.items():
            await asyncio.to_thread(here.lab.impair, "a", loss=loss)
            await is_told(people[0], "receiving", "bad", cause)
            await asyncio.to_thread(here.lab.clear, "a")
            await is_told(people[0], "sending", "good", None)
        found = (await people[0].statistics())["report"]
        assert found["verdict"]["level"] == "bad"
        [person] = found["people"]
        assert set(TROUBLES) <= {period["causes"][0] for period in person["periods"]}
        assert found["verdict"]["worst"]
