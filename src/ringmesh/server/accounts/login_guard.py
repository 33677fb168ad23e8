"""Limits on failed logins, for REST and chat alike, and on new accounts."""

from __future__ import annotations

import ipaddress

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from ringmesh.errors import RequestError
from ringmesh.server.settings import Settings

_FROM_ANYWHERE = 10
"""How many times more failures an account may have from all addresses together than from one.

Were it the same number, anybody could lock anybody out.
"""


class LoginGuard:
    """Counts failed logins per account and address, per account, and per address.

    An address is an IPv4 address or the /64 network of an IPv6 one.
    """

    def __init__(self, settings: Settings) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        window = settings.failed_login_window_seconds
        account, address = settings.failed_logins_per_account, settings.failed_logins_per_address
        self._pair = RateLimitItemPerSecond(account, window, "pair")
        self._account = RateLimitItemPerSecond(account * _FROM_ANYWHERE, window, "account")
        self._address = RateLimitItemPerSecond(address, window, "address")
        self._new = RateLimitItemPerSecond(settings.new_accounts_per_address, window, "new")

    def check(self, account: str, address: str) -> None:
        """Raises `RequestError` 429 when too many attempts have failed."""
        for item, *names in self._counters(account, address):
            if not self._limiter.test(item, *names):
                text = "Too many failed log-ins, try again in a few minutes"
                raise RequestError(429, {"base": [text]})

    def failed(self, account: str, address: str) -> None:
        """Count a wrong password or token."""
        for item, *names in self._counters(account, address):
            self._limiter.hit(item, *names)

    def succeeded(self, account: str, address: str) -> None:
        """Forget this account's failures from this address."""
        self._limiter.clear(self._pair, account, _network(address))

    def count_new_account(self, address: str) -> None:
        """Raises `RequestError` 429 when too many accounts have been made from this address."""
        if not self._limiter.hit(self._new, _network(address)):
            text = "Too many new accounts, try again in a few minutes"
            raise RequestError(429, {"base": [text]})

    def _counters(self, account: str, address: str) -> list[tuple[RateLimitItem, *tuple[str, ...]]]:
        network = _network(address)
        return [
            (self._pair, account, network),
            (self._account, account),
            (self._address, network),
        ]


def _network(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        mapped = ip.ipv4_mapped
        return str(mapped or ipaddress.ip_network((int(ip), 64), strict=False))
    return str(ip)
