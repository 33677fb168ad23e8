"""Calls through every kind of network, between our SDK and the unmodified browser SDK."""

from __future__ import annotations

import asyncio

import pytest

from tests.netlab.world import LIMIT, POLL, Person, connect_call, world

pytestmark = pytest.mark.browser

# Scenario of the laboratory, whether only relays may be used, whether a relay is in the path.
NETWORKS = {
    "lan": ("lan", False, False),
    "cone": ("cone", False, False),
    "symmetric": ("symmetric", False, True),
    "mixed": ("mixed", False, True),
    "udp-blocked": ("udp-blocked", False, True),
    "relay-only": ("cone", True, True),
}


async def prove_call(caller: Person, callee: Person, *, relayed: bool) -> None:
    """Sound and picture by content both ways, on the expected kind of path; then hang up."""
    await connect_call(caller, callee)
    for person in (caller, callee):
        pair = await path(person)
        assert ("relay" in pair) is relayed, pair
    await caller.hang_up()
    await callee.closed()


async def path(person: Person) -> str:
    """The selected candidates' types, once the statistics know them."""
    async with asyncio.timeout(LIMIT):
        while (pair := (await person.report()).pair) is None:
            await asyncio.sleep(POLL)
        return pair


@pytest.mark.parametrize("network", NETWORKS)
async def test_calls_connect(network: str) -> None:
    """Python and Chromium reach each other in all four combinations."""
    scenario, relay_only, relayed = NETWORKS[network]
    async with world(scenario) as here:
        pythons = await asyncio.gather(
            *(here.python(host, always_relay_calls=relay_only) for host in "ab")
        )
        pages = [await here.browser(host, alwaysRelayCalls=relay_only) for host in "ab"]
        pairs = [
            (pythons[0], pythons[1]),
            (pythons[0], pages[1]),
            (pages[0], pythons[1]),
            (pages[0], pages[1]),
        ]
        for caller, callee in pairs:
            await prove_call(caller, callee, relayed=relayed)
