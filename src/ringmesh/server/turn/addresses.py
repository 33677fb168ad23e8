"""Which addresses this machine has."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

IpAddress = IPv4Address | IPv6Address

_FIB_TRIE = Path("/proc/net/fib_trie")
_IF_INET6 = Path("/proc/net/if_inet6")
_LOCAL = re.compile(r"\|-- ([\d.]+)\n\s+/32 host LOCAL")
_ELSEWHERE = {4: "192.0.2.1", 6: "2001:db8::1"}  # documentation addresses: nothing is sent there


def own_addresses() -> set[IpAddress]:
    """Every address of this machine, as far as the system tells."""
    found: set[IpAddress] = set()
    with suppress(OSError):
        for text in _LOCAL.findall(_FIB_TRIE.read_text()):
            found.add(IPv4Address(text))
    with suppress(OSError):
        for line in _IF_INET6.read_text().splitlines():
            found.add(IPv6Address(bytes.fromhex(line[:32])))
    return found | {address for address in map(outgoing_address, (4, 6)) if address is not None}


def outgoing_address(version: int) -> IpAddress | None:
    """Our address on the way to the rest of the world; None without such a way."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((_ELSEWHERE[version], 9))
        return ip_address(probe.getsockname()[0])
    return None


def free_port(host: IpAddress) -> int:
    """A port that is free for UDP and for TCP on this address."""
    family = socket.AF_INET if host.version == 4 else socket.AF_INET6
    while True:
        with (
            socket.socket(family, socket.SOCK_STREAM) as tcp,
            socket.socket(family, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind((str(host), 0))
            port: int = tcp.getsockname()[1]
            with suppress(OSError):
                udp.bind((str(host), port))
                return port
