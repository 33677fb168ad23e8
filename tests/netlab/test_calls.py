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
        await settles(person, relayed=relayed)
    await caller.hang_up()
    await callee.closed()


async def settles(person: Person, *, relayed: bool) -> None:
    """Wait until the selected pair is of this kind: a call may begin on a relay and leave it."""
    pair = None
    try:
        async with asyncio.timeout(LIMIT):
            while pair is None or ("relay" in pair) is not relayed:
                await asyncio.sleep(POLL)
                pair = (await person.report()).pair
    except TimeoutError:
        pytest.fail(f"the path stayed {pair}")


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


DEAD = (
    "stun:203.0.113.200:3478",  # nobody has this address
    "turn:203.0.113.200:3478?transport=udp",
    "turn:203.0.113.200:443?transport=tcp",
    "turn:203.0.113.10:1?transport=tcp",  # refused
    "stun:no-such-name.invalid",
)


async def test_dead_servers_delay_nobody() -> None:
    """With servers that do not answer beside the real one, a call begins as without them."""
    async with world("cone") as here:
        for kind in (here.python, here.browser):
            lively = [await kind(host) for host in "ab"]
            without = await connect_call(*lively)
            await lively[0].hang_up()
            dead = [await kind(host, dead=DEAD) for host in "ab"]
            # One that waited would take the 5 s and more that a gathering may last.
            assert await connect_call(*dead) < without + 3
            await dead[0].hang_up()
