"""Checks of the ways for media: STUN, relays, and what the engine finds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from ringmesh.client.doctor_findings import Check, Outcome, ProblemError, Subject
from ringmesh.errors import MediaError
from ringmesh.ice import IceCandidate, IceServer
from ringmesh.media.engine import Engine, PeerCallbacks
from ringmesh.stun.probe import ProbeResult, Verdict, probe_relay, probe_stun
from ringmesh.stun.url import ServerUrl, Transport

GATHERING = 5.0
"""Seconds that candidates may take to be found."""

_REMEDIES = {
    Verdict.BAD_URL: "correct the URL in the server's settings",
    Verdict.UNREACHABLE: "is it running, and do the firewalls let this port through?",
    Verdict.UNTRUSTED: "give the relay a certificate for the very name in its URL, in date and "
    "from an authority that everybody knows: calls trust no other, SSL_CERT_FILE or not",
    Verdict.BAD_CREDENTIALS: "the server's turn_secret must be the relay's static-auth-secret, and "
    "their clocks must agree",
    Verdict.FULL: "raise the relay's quotas (turn_allocations, turn_allocations_per_user), or end "
    "other calls",
    Verdict.REFUSED: "look into the relay's log",
    Verdict.NOT_RELAYED: "the relay must allow its own address as a peer (allowed-peer-ip), and "
    "the firewall its relay ports",
    Verdict.BROKEN: "this is no proper STUN or TURN server: correct the URL",
}
_UDP_BLOCKED = "this network seems to block UDP; calls take the relay over TCP and may stutter"


async def check_servers(servers: Sequence[IceServer]) -> list[Check]:
    """Probe every STUN and TURN URL, all at once.

    What fails counts as a warning when a relay is reached by another URL.
    """
    probes = [
        probe_stun(url)
        if url.startswith("stun")
        else probe_relay(url, server.username or "", server.credential or "")
        for server in servers
        for url in server.urls
    ]
    results = await asyncio.gather(*probes)
    relayed = any(result.works and result.relayed is not None for result in results)
    checks = [_check(result, relayed=relayed) for result in results]
    if not any(result.url.startswith("turn") for result in results):
        checks.append(
            Check(
                subject=Subject.RELAY,
                outcome=Outcome.WARNING,
                detail="the server offers no relay: calls fail between some networks",
                remedy="ringmesh serve --turn auto, or --turn URL",
            )
        )
    return checks


def _check(result: ProbeResult, *, relayed: bool) -> Check:
    subject = Subject.STUN if result.url.startswith("stun") else Subject.RELAY
    if result.works:
        outcome, remedy = Outcome.OK, None
    else:
        outcome = Outcome.WARNING if relayed else Outcome.FAILED
        remedy = _REMEDIES[result.verdict]
        if relayed and result.verdict is Verdict.UNREACHABLE and _over_udp(result.url):
            remedy = _UDP_BLOCKED
    return Check(
        subject=subject,
        outcome=outcome,
        detail=f"{result.url}: {result.detail}",
        remedy=remedy,
        seconds=result.seconds,
    )


def _over_udp(url: str) -> bool:
    return ServerUrl.parse(url).transport is Transport.UDP


async def check_candidates(engine: Engine, servers: Sequence[IceServer]) -> str:
    """Let the engine look for ways, as it does at the start of a call."""
    wanted = {"host"}
    urls = [url for server in servers for url in server.urls]
    if any(url.startswith("turn") for url in urls):
        wanted.add("relay")
    found = await _gather(engine, servers, wanted)
    if not found:
        raise ProblemError(
            "the media engine finds no network interface", "is there a network at all?"
        )
    kinds = ", ".join(sorted(found))
    if wanted - found:
        raise ProblemError(
            f"the media engine found {kinds} candidates, but no relay",
            "see the relay's checks above",
            Outcome.WARNING,
        )
    return f"the media engine found {kinds} candidates"


async def _gather(engine: Engine, servers: Sequence[IceServer], wanted: set[str]) -> set[str]:
    """The types of the candidates that are found until all of those wanted are there."""
    found: set[str] = set()
    complete = asyncio.Event()

    def add(candidate: IceCandidate) -> None:
        words = candidate.candidate.split()
        if "typ" in words[:-1]:
            found.add(words[words.index("typ") + 1])
        if wanted <= found:
            complete.set()

    callbacks = PeerCallbacks(
        ice_candidate=add,
        ice_connection_state=lambda _: None,
        remote_stream=lambda _: None,
    )
    try:
        peer = engine.create_peer_connection(callbacks, ice_servers=servers, receive_video=False)
    except MediaError as error:
        raise ProblemError(str(error), "correct the URLs in the server's settings") from error
    try:
        await peer.create_offer()
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHERING):
                await complete.wait()
    finally:
        await peer.close()
    return found
