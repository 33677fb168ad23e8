"""Notices when this machine's network address changes, or the network goes and comes back."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

_logger = logging.getLogger(__name__)

POLL_INTERVAL = 2.0
"""Seconds between two looks where the system does not tell of changes."""

_NETLINK_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # links, addresses and routes, IPv4 and IPv6
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))  # RFC 5737, 3849

Addresses = tuple[str | None, ...]


class NetworkWatcher:
    """Watches the addresses that packets would leave from: to the server, and to the Internet.

    Linux tells of changes by netlink; elsewhere the addresses are looked at every two seconds.
    Looking sends nothing. Interfaces that no packet would use do not matter.

    Args:
        url: the server's.
        on_change: called on the event loop; True: an address changed, False: the network is back
            and the addresses are as they were.
    """

    def __init__(self, url: str, on_change: Callable[[bool], None]) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "localhost"
        self._port = parts.port or 443
        self._on_change = on_change
        self._targets: list[tuple[socket.AddressFamily, str]] = []
        self._known: Addresses = ()
        self._up: tuple[bool, ...] = ()
        self._netlink: socket.socket | None = None
        self._poll: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to watch."""
        loop = asyncio.get_running_loop()
        found: list[tuple[socket.AddressFamily, str]] = []
        with suppress(OSError):
            infos = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
            found = [(info[0], str(info[4][0])) for info in infos]
        self._targets = [*dict.fromkeys(found), *_ELSEWHERE]
        self._known = self._look()
        self._up = tuple(address is not None for address in self._known)
        self._netlink = _open_netlink()
        if self._netlink is not None:
            loop.add_reader(self._netlink, self._told)
        else:
            self._poll = loop.call_later(POLL_INTERVAL, self._poll_now)

    def close(self) -> None:
        """Watch no more."""
        if self._poll is not None:
            self._poll.cancel()
        if self._netlink is not None:
            asyncio.get_running_loop().remove_reader(self._netlink)
            self._netlink.close()
            self._netlink = None

    def check(self) -> None:
        """Look now."""
        addresses = self._look()
        pairs = list(zip(addresses, self._known, strict=True))
        changed = any(new and known and new != known for new, known in pairs)
        back = any(new and not up for new, up in zip(addresses, self._up, strict=True))
        self._known = tuple(new or known for new, known in pairs)
        self._up = tuple(address is not None for address in addresses)
        if changed or back:
            _logger.info("network %s", "address changed" if changed else "is back")
            self._on_change(changed)

    def _look(self) -> Addresses:
        return tuple(_source(family, target) for family, target in self._targets)

    def _told(self) -> None:
        assert self._netlink is not None
        with suppress(OSError):  # none left, or so many that the kernel dropped some
            while self._netlink.recv(65536):
                pass
        self.check()

    def _poll_now(self) -> None:
        self._poll = asyncio.get_running_loop().call_later(POLL_INTERVAL, self._poll_now)
        self.check()


def _source(family: socket.AddressFamily, target: str) -> str | None:
    """The local address towards another one; None without a route."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def _open_netlink() -> socket.socket | None:
    if sys.platform != "linux":
        return None
    try:
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        netlink.setblocking(False)
        netlink.bind((0, _NETLINK_GROUPS))
    except OSError as error:
        _logger.info("no news of the network from the system: %s", error)
        return None
    return netlink
