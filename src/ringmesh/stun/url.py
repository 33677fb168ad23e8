"""Addresses of STUN and TURN servers (RFC 7064, RFC 7065)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ringmesh.errors import ConfigurationError

_URL = re.compile(
    r"(?P<scheme>stuns?|turns?):(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:?\[\]/@]+)(?::(?P<port>\d{1,5}))?"
    r"(?:\?transport=(?P<transport>udp|tcp))?"
)


class Transport(StrEnum):
    """How a server is reached."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """Where a STUN or TURN server is."""

    relay: bool
    host: str
    port: int
    transport: Transport

    @classmethod
    def parse(cls, url: str) -> ServerUrl:
        """Raises `ConfigurationError` for what is no such URL, and for TURN over DTLS."""
        match = _URL.fullmatch(url)
        if match is None or not 0 < int(match["port"] or 1) < 65_536:
            raise ConfigurationError(f"{url!r} is no STUN or TURN URL")
        secure = match["scheme"].endswith("s")
        if secure and match["transport"] == "udp":
            raise ConfigurationError(f"{url!r}: TURN over DTLS is not supported")
        plain = Transport((match["transport"] or "udp").upper())
        return cls(
            relay=match["scheme"].startswith("turn"),
            host=match["host"].strip("[]"),
            port=int(match["port"] or (5349 if secure else 3478)),
            transport=Transport.TLS if secure else plain,
        )
