"""Checks of the server itself: reachable, TLS, a Ringmesh server, its clock."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from urllib.parse import SplitResult

import httpx2

from ringmesh.client.doctor_findings import Outcome, ProblemError
from ringmesh.client.sign_in import DISCOVERY_PATH, discover
from ringmesh.errors import RingmeshError

MAX_CLOCK_SKEW = 30.0
"""Seconds that our clock and the server's may differ."""

CERTIFICATE_DAYS = 14
"""A certificate that expires sooner is worth a warning."""


async def check_reachable(url: SplitResult) -> str:
    """Open a TCP connection."""
    host, port = _address(url)
    try:
        _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        raise ProblemError(
            f"nobody listens at {host} port {port}",
            "start the server there (ringmesh serve --host 0.0.0.0), or correct --server",
        ) from None
    except OSError as error:
        raise ProblemError(
            f"cannot connect to {host} port {port}: {error.strerror or error}",
            "check the name, the network and the firewalls in between",
        ) from error
    address = writer.get_extra_info("peername")[0]
    writer.close()
    return f"{host} port {port} answers ({address})"


async def check_tls(url: SplitResult) -> str:
    """Make a TLS connection, looking at the certificate."""
    host, port = _address(url)
    if url.scheme == "http":
        if _is_local(host):
            return "not used, and not needed on this machine"
        raise ProblemError(
            "not used: passwords and calls' signals can be read on the way",
            "serve HTTPS (tls_certificate and tls_key, or a proxy); browsers give pages no camera "
            "without it",
            Outcome.WARNING,
        )
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
    except ssl.SSLCertVerificationError as error:
        raise ProblemError(
            f"the certificate is not trusted: {error.verify_message}",
            "use a certificate for this very name from a known authority, or name its authority's "
            "file in SSL_CERT_FILE",
        ) from error
    except (ssl.SSLError, OSError) as error:
        raise ProblemError(
            f"no TLS connection: {getattr(error, 'reason', None) or error}",
            "does the server speak HTTPS on this port? Otherwise use http://",
        ) from error
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    days = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / 86_400
    if days < CERTIFICATE_DAYS:
        raise ProblemError(
            f"the certificate expires in {days:.0f} days", "renew it", Outcome.WARNING
        )
    return f"the certificate is trusted, for {days:.0f} more days"


async def check_ringmesh(url: SplitResult, timeout: float) -> str:
    """Ask for the server's endpoints."""
    try:
        endpoints = await discover(url.geturl(), timeout=timeout)
    except RingmeshError as error:
        raise ProblemError(
            str(error),
            "is this the address of a Ringmesh server, and does it publish its application "
            "(publish_application)?",
        ) from error
    return f"a Ringmesh server, chat at {endpoints.chat_url}"


async def check_clock(url: SplitResult, timeout: float) -> str:
    """Compare our clock with the server's ``Date``."""
    async with httpx2.AsyncClient(timeout=timeout) as client:
        asked = time.time()
        try:
            response = await client.get(f"{url.geturl()}/{DISCOVERY_PATH}")
        except httpx2.HTTPError as error:
            raise ProblemError(str(error), "see above") from error
        answered = time.time()
    skew = None
    with suppress(KeyError, ValueError, TypeError):
        date = parsedate_to_datetime(response.headers["Date"])
        # The header has whole seconds.
        skew = (asked + answered) / 2 - date.replace(tzinfo=date.tzinfo or UTC).timestamp() - 0.5
    if skew is None:
        raise ProblemError(
            "the server does not tell its time", "compare them yourself", Outcome.WARNING
        )
    if abs(skew) > MAX_CLOCK_SKEW:
        word = "ahead of" if skew > 0 else "behind"
        raise ProblemError(
            f"our clock is {abs(skew):.0f} s {word} the server's",
            "set both by NTP: signed requests, certificates and relay credentials depend on time",
            Outcome.WARNING,
        )
    return "our clock and the server's agree"


def _address(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)


def _is_local(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"
