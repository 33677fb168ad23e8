"""The configuration of coturn: what the relay must never reach, limits, and nothing superfluous."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path

from ringmesh.server.turn.addresses import IpAddress

Network = IPv4Network | IPv6Network

FORBIDDEN_PEERS: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, with the clouds' metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "::/96",  # unspecified, loopback, IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "64:ff9b::/96",  # NAT64: would lead to any of the IPv4 networks above
        "64:ff9b:1::/48",
        "100::/64",  # discard
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "fc00::/7",  # unique local, with metadata services
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local
        "ff00::/8",  # multicast
    )
)
"""Where packets from a relay have no business (RFC 6890 and its IPv6 relatives)."""

TLS_PORT = 5349


@dataclass(frozen=True, slots=True, kw_only=True)
class CoturnConfig:
    """What differs between installations.

    Attributes:
        listen: addresses to listen on and to relay from.
        external: the address under which the first of `listen` is known outside, behind 1:1 NAT.
        extra_ports: further ports, UDP and TCP.
        relay_ports: first and last port of relays.
        own_addresses: what this machine has besides; its services are no peers.
        allowed_peers: exceptions from what is forbidden.
        allocations: of all users together; `allocations_per_user` of one.
        max_bytes_per_second: per allocation and direction.
        certificate: with `key`, for TLS.
    """

    folder: Path
    secret: str = field(repr=False)
    realm: str
    listen: Sequence[IpAddress]
    external: IpAddress | None
    port: int
    extra_ports: Sequence[int]
    relay_ports: tuple[int, int]
    own_addresses: frozenset[IpAddress]
    allowed_peers: Sequence[Network]
    allocations: int
    allocations_per_user: int
    max_bytes_per_second: int
    certificate: Path | None = None
    key: Path | None = None

    def text(self) -> str:
        """The file for ``turnserver -c``."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield from self._listening()
        yield from self._peers()
        yield from (
            f"realm={self.realm}",
            "use-auth-secret",
            f"static-auth-secret={self.secret}",
            "fingerprint",
            "stale-nonce=3600",
            f"user-quota={self.allocations_per_user}",
            f"total-quota={self.allocations}",
            f"max-bps={self.max_bytes_per_second}",
            # TCP relays (RFC 6062) could open connections to any service; calls never use them.
            "no-tcp-relay",
            "no-multicast-peers",
            "no-cli",
            "no-rfc5780",
            "no-stun-backward-compatibility",
            "no-software-attribute",
            f"userdb={self.folder / 'turndb'}",
            f"pidfile={self.folder / 'pid'}",
            "log-file=stdout",
            "simple-log",
        )

    def _listening(self) -> Iterator[str]:
        for address in self.listen:
            yield f"listening-ip={address}"
            yield f"relay-ip={address}"
            host = f"[{address}]" if address.version == 6 else str(address)
            for port in self.extra_ports:
                yield f"aux-server={host}:{port}"
        if all(address.version == 6 for address in self.listen):
            yield "allocation-default-address-family=keep"
        if self.external is not None:
            yield f"external-ip={self.external}/{self.listen[0]}"
        yield f"listening-port={self.port}"
        yield f"min-port={self.relay_ports[0]}"
        yield f"max-port={self.relay_ports[1]}"
        if self.certificate is not None:
            yield f"tls-listening-port={TLS_PORT}"
            yield f"cert={self.certificate}"
            yield f"pkey={self.key}"
            yield "no-tlsv1"
            yield "no-tlsv1_1"
        else:
            yield "no-tls"
        yield "no-dtls"

    def _peers(self) -> Iterator[str]:
        for network in FORBIDDEN_PEERS:
            yield f"denied-peer-ip={_range(network)}"
        # Two people who can only use the relay meet at its own address.
        relays = {*self.listen, *({self.external} if self.external is not None else ())}
        for address in sorted(self.own_addresses - relays, key=str):
            yield f"denied-peer-ip={address}"
        for address in sorted(relays, key=str):
            yield f"allowed-peer-ip={address}"
        for network in self.allowed_peers:
            yield f"allowed-peer-ip={_range(network)}"
        if any(network.is_loopback for network in self.allowed_peers):
            yield "allow-loopback-peers"


def _range(network: Network) -> str:
    # A range that begins with "::" matches every address, of IPv4 too.
    first = network[0] if network[0] != IPv6Address(0) else network[1]
    return f"{first}-{network[-1]}"
