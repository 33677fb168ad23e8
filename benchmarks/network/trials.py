"""One call each on a bad or changing network, and what was heard and seen of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise

from tests.netlab.lab import Lab
from tests.netlab.world import Person, World, connect_call

SETTLE = 4.0
"""Seconds of good connection before something happens."""

POLL = 2.0
"""Seconds from one look of libwebrtc at the network interfaces to the next: what happens waits for
it, so trials that depend on it begin at different times within it."""

WATCHED = 20.0
"""Seconds for which a bad network is watched."""

PATIENCE = 30.0
"""Seconds after which a call whose sound has not come back counts as dead."""

SILENCE = 0.5
"""Seconds without the tone that are no longer the ordinary pace of looking for it."""

People = tuple[Person, Person]
Facts = dict[str, float | str | None]


_CUTS: dict[str, tuple[Callable[[Lab], object], Callable[[Lab], object]]] = {
    "link": (lambda lab: lab.cut("a"), lambda lab: lab.heal("a")),
    "silent": (lambda lab: lab.cut("a", silent=True), lambda lab: lab.heal("a")),
    "provider": (lambda lab: lab.impair("a", loss=1.0), lambda lab: lab.clear("a")),
}
"""Where it is cut: host a sees its link go down; it does not, though its router is out of reach,
which asks once per second (ARP) whether it is back; or behind the router, which stays."""


@dataclass(frozen=True)
class Trial:
    """What is done to host a during a call.

    Attributes:
        scenario: of the laboratory.
        run: given the seconds to wait before the trouble besides `SETTLE`, 0 to `POLL`.
    """

    name: str
    scenario: str
    run: Callable[[World, People, float], Awaitable[Facts]]


async def _set_up(here: World, people: People, phase: float) -> Facts:
    seconds = await connect_call(*people)
    report = await people[0].report()
    return {"sound and picture after": round(seconds, 2), "path": report.pair}


def _cut(seconds: float, kind: str) -> Callable[..., Awaitable[Facts]]:
    async def run(here: World, people: People, phase: float) -> Facts:
        await connect_call(*people)
        await asyncio.sleep(SETTLE + phase)
        begin, end = _CUTS[kind]
        await asyncio.to_thread(begin, here.lab)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(end, here.lab)
        return {"sound back after healing": await _sound_again(people, time.time())}

    return run


def _readdress(gap: float = 0.0) -> Callable[..., Awaitable[Facts]]:
    async def run(here: World, people: People, phase: float) -> Facts:
        await connect_call(*people)
        await asyncio.sleep(SETTLE + phase)
        begun = time.time()
        await asyncio.to_thread(here.lab.readdress, "a", gap=gap)
        back = await _sound_again(people, begun + max(gap, 0.3), since=begun + gap)
        return {"sound back after moving": back}

    return run


async def _readdress_while_ringing(here: World, people: People, phase: float) -> Facts:
    caller, callee = people
    await caller.call(callee)
    await callee.wait_rings()
    await asyncio.to_thread(here.lab.readdress, "a")
    await asyncio.sleep(1)
    accepted = await callee.accept()
    try:
        times = await asyncio.gather(caller.prove(callee), callee.prove(caller))
    except TimeoutError:
        return {"sound and picture after": "never"}
    return {"sound and picture after": round(max(times) - accepted, 2)}


def _impaired(**trouble: str) -> Callable[..., Awaitable[Facts]]:
    async def run(here: World, people: People, phase: float) -> Facts:
        await connect_call(*people)
        await asyncio.to_thread(here.lab.impair, "a", **trouble)
        await asyncio.sleep(SETTLE)
        begun = time.time()
        ended = begun + WATCHED
        await asyncio.sleep(WATCHED)
        facts: Facts = {}
        for name, person in zip(("a", "b"), people, strict=True):
            report = await person.report()
            pictures = _within(report.pictures, begun, ended)
            gaps = [later - earlier for earlier, later in pairwise(pictures)]
            facts[f"{name} fps"] = round(len(pictures) / WATCHED, 1)
            facts[f"{name} longest gap ms"] = round(max(gaps, default=WATCHED) * 1000)
            heard = {int(at - begun) for at in _within(report.sound, begun, ended)}
            facts[f"{name} seconds without sound"] = round(WATCHED) - len(heard)
        return facts

    return run


TRIALS = (
    *(Trial(f"connect, {name}", name, _set_up) for name in ("cone", "symmetric", "udp-blocked")),
    *(
        Trial(f"cut of {seconds} s, {kind}", "cone", _cut(seconds, kind))
        for seconds, kind in (
            *((5, "link"), (20, "link"), (20, "silent"), (20, "provider")),
            *((40, "link"), (40, "provider")),
        )
    ),
    Trial("readdress at once", "cone", _readdress()),
    Trial("readdress after 3 s", "cone", _readdress(3.0)),
    Trial("readdress while ringing", "cone", _readdress_while_ringing),
    Trial("5 % loss, 50 ms", "cone", _impaired(loss="5%", delay="50ms")),
    Trial("5 % loss, 100 ms", "cone", _impaired(loss="5%", delay="100ms")),
    Trial("600 kbit/s", "cone", _impaired(rate="600kbit")),
)


async def _sound_again(people: People, after: float, *, since: float | None = None) -> float | str:
    """Seconds until both hear each other again, after a time; "dead" if they never do."""
    deadline = time.time() + PATIENCE
    while time.time() < deadline:
        back = [_first_lasting((await person.report()).sound, after) for person in people]
        if None not in back:
            last = max(at for at in back if at is not None)
            return round(last - (after if since is None else since), 2)
        await asyncio.sleep(0.5)
    return "dead"


def _first_lasting(sound: list[float], after: float) -> float | None:
    """When the tone was heard first after this time, if it went on for a second."""
    heard = [at for at in sound if at > after]
    for index, at in enumerate(heard):
        follow = [later for later in heard[index:] if later <= at + 1.2]
        if follow[-1] - at > 0.9 and all(b - a < SILENCE for a, b in pairwise(follow)):
            return at
    return None


def _within(times: list[float], begin: float, end: float) -> list[float]:
    return [at for at in times if begin <= at < end]
