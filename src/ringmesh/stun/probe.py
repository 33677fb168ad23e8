"""Proof that a STUN server answers and that a TURN server relays."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from ringmesh.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    RingmeshError,
)
from ringmesh.stun.client import (
    RelayRefusedError,
    StunClient,
    UntrustedRelayError,
    open_client,
)
from ringmesh.stun.message import TransportAddress
from ringmesh.stun.url import ServerUrl

TIMEOUT = 5.0
"""Seconds that a probe may take altogether."""

RESEND = 0.3
"""Seconds after which a probe's packet, which may get lost, is sent again."""

GIVING_BACK = 0.3
"""Seconds that giving the relays back may take."""

_QUOTA_REACHED = 486
_INSUFFICIENT_CAPACITY = 508


class Verdict(StrEnum):
    """What a probe found."""

    WORKS = "works"
    BAD_URL = "bad-url"
    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted"
    BAD_CREDENTIALS = "bad-credentials"
    FULL = "full"
    REFUSED = "refused"
    NOT_RELAYED = "not-relayed"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result for one URL.

    Attributes:
        detail: in words: what was found, or what went wrong.
        mapped: our address as the server sees it (STUN).
        relayed: the address the server relays from (TURN).
        seconds: how long it took.
    """

    url: str
    verdict: Verdict
    detail: str = ""
    mapped: TransportAddress | None = None
    relayed: TransportAddress | None = None
    seconds: float = 0.0

    @property
    def works(self) -> bool:
        """Whether calls can use the server."""
        return self.verdict is Verdict.WORKS


async def probe_stun(url: str, *, timeout: float = TIMEOUT) -> ProbeResult:
    """Ask a STUN server for our address."""
    return await _measured(url, _probe_stun(url), timeout)


async def probe_relay(
    url: str, username: str, password: str, *, timeout: float = TIMEOUT
) -> ProbeResult:
    """Allocate two relays and send a packet from one to the other and back.

    That is what two people do whose networks let nothing but the relay through.
    """
    return await _measured(url, _probe_relay(url, username, password), timeout)


async def _measured(url: str, probe: Awaitable[ProbeResult], timeout: float) -> ProbeResult:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        async with asyncio.timeout(timeout):
            found = await probe
    except TimeoutError:
        found = ProbeResult(url, Verdict.UNREACHABLE, f"no answer within {timeout:g} s")
    except RingmeshError as error:
        found = ProbeResult(url, _verdict(error), str(error))
    return ProbeResult(
        url, found.verdict, found.detail, found.mapped, found.relayed, loop.time() - begun
    )


def _verdict(error: RingmeshError) -> Verdict:
    match error:
        case ConfigurationError():
            return Verdict.BAD_URL
        case AuthenticationError():
            return Verdict.BAD_CREDENTIALS
        case UntrustedRelayError():
            return Verdict.UNTRUSTED
        case ConnectionFailedError():
            return Verdict.UNREACHABLE
        case RelayRefusedError(status=status) if status in (_QUOTA_REACHED, _INSUFFICIENT_CAPACITY):
            return Verdict.FULL
        case RelayRefusedError():
            return Verdict.REFUSED
        case _:
            return Verdict.BROKEN


async def _probe_stun(url: str) -> ProbeResult:
    async with open_client(ServerUrl.parse(url)) as client:
        mapped = await client.binding()
    return ProbeResult(url, Verdict.WORKS, f"we are seen as {mapped}", mapped=mapped)


async def _probe_relay(url: str, username: str, password: str) -> ProbeResult:
    server = ServerUrl.parse(url)
    async with open_client(server) as one, open_client(server) as other:
        try:
            first = await one.allocate(username, password)
            second = await other.allocate(username, password)
            return await _relay_between(url, (one, other), (first, second))
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(GIVING_BACK):
                    await asyncio.gather(one.refresh(0), other.refresh(0), return_exceptions=True)


async def _relay_between(
    url: str,
    clients: tuple[StunClient, StunClient],
    relays: tuple[TransportAddress, TransportAddress],
) -> ProbeResult:
    try:
        await clients[0].permit(relays[1])
        await clients[1].permit(relays[0])
    except RelayRefusedError as error:
        detail = f"relays at {relays[0].host} but refuses that address as a peer ({error})"
        return ProbeResult(url, Verdict.NOT_RELAYED, detail, relayed=relays[0])
    try:
        async with asyncio.timeout(TIMEOUT / 2):
            await _send_until_received(clients[0], relays[1], clients[1])
            await _send_until_received(clients[1], relays[0], clients[0])
    except TimeoutError:
        detail = f"gives relays at {relays[0].host}, but no packet came through them"
        return ProbeResult(url, Verdict.NOT_RELAYED, detail, relayed=relays[0])
    return ProbeResult(url, Verdict.WORKS, f"relays at {relays[0].host}", relayed=relays[0])


async def _send_until_received(
    sender: StunClient, peer: TransportAddress, receiver: StunClient
) -> None:
    payload = secrets.token_bytes(32)
    while True:
        sender.send(peer, payload)
        try:
            async with asyncio.timeout(RESEND):
                while (await receiver.receive())[1] != payload:
                    pass
                return
        except TimeoutError:
            continue
