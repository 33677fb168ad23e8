"""The quality of a call in real trouble: told while it lasts, and explained afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.netlab.world import LIMIT, POLL, PythonPerson, connect_call, world

TROUBLES: dict[str, tuple[dict[str, Any], str, str]] = {
    "loss": ({"loss": 0.25}, "bad", "loss"),
    "delay": ({"delay": 0.6}, "bad", "delay"),
    "interruption": ({"loss": 1.0}, "bad", "interruption"),
}


async def is_told(person: PythonPerson, direction: str, level: str, cause: str | None) -> None:
    """Wait until this is the newest quality of a direction."""
    async with asyncio.timeout(2 * LIMIT):
        while True:
            told = [f for f in person.facts("QualityChanged") if f["direction"] == direction]
            if told and told[-1]["level"] == level and cause in (None, *told[-1]["causes"][:1]):
                return
            await asyncio.sleep(POLL)


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_trouble_is_told_and_explained(trouble: str) -> None:
    """A degraded line makes the call bad for the right reason; when healed, it is good again;
    the report's verdict says so."""
    wire, level, cause = TROUBLES[trouble]
    async with world("lan") as here:
        people = [await here.python(host, stats_reports_interval=250) for host in "ab"]
        await connect_call(people[0], people[1])
        await asyncio.to_thread(here.lab.impair, "a", **wire)
        await is_told(people[0], "receiving", level, cause)
        await asyncio.to_thread(here.lab.clear, "a")
        await is_told(people[0], "sending", "good", None)
        found = (await people[0].statistics())["report"]
        assert found["verdict"]["level"] == "bad"
        periods = [period for person in found["people"] for period in person["periods"]]
        assert cause in {period["causes"][0] for period in periods}
        assert found["verdict"]["worst"]
