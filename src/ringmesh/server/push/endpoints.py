"""Which addresses of browsers' push services the server goes to: no private networks (SSRF)."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

_MAX_URL = 2048
_NAMES_WITHIN = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test", ".invalid")


def check_endpoint(url: str, allowed_hosts: Collection[str] = ()) -> None:
    """Refuse a push endpoint that is no https URL of a public host, as far as its text tells.

    Where the name leads is checked when connecting, with `is_public`.

    Args:
        allowed_hosts: ``host`` or ``host:port`` that are good whatever they are.

    Raises:
        ValueError: says what is wrong.
    """
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"must be a URL of at most {_MAX_URL} ASCII characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is no URL") from None
    if parts.scheme != "https" or not host:
        raise ValueError("must begin with https://")
    if parts.username is not None or parts.password is not None or "\\" in url:
        raise ValueError("must not contain a user name or backslashes")
    if is_allowed_host(host, port, allowed_hosts):
        return
    address = _literal(host)
    if address is not None:
        if not is_public(address):
            raise ValueError("leads into a private network")
    elif "." not in host.rstrip(".") or f".{host.rstrip('.')}".endswith(_NAMES_WITHIN):
        raise ValueError("leads into a private network")
    elif host.rstrip(".").rpartition(".")[2].isdecimal() or host.lower().startswith("0x"):
        raise ValueError("has an address in an unusual form")  # 0177.0.0.1, 127.1


def is_allowed_host(host: str, port: int | None, allowed_hosts: Collection[str]) -> bool:
    """Whether the administrator allows a host that may be private."""
    return host in allowed_hosts or f"{host}:{port or 443}" in allowed_hosts


def is_public(address: IPv4Address | IPv6Address | str) -> bool:
    """Whether an address that a name resolved to is on the Internet, for all to reach."""
    parsed = ip_address(address.partition("%")[0]) if isinstance(address, str) else address
    for inner in _embedded(parsed):
        if not inner.is_global or inner.is_multicast or inner.is_reserved:
            return False
    return True


def _embedded(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address and IPv4 addresses that it carries (mapped, 6to4, Teredo, NAT64)."""
    if isinstance(address, IPv4Address):
        return [address]
    inner: list[IPv4Address | IPv6Address] = []
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        inner.append(address.sixtofour)
    if address.teredo is not None:
        inner.extend(address.teredo)
    if int(address) >> 32 == 0x0064_FF9B << 64:
        return [IPv4Address(int(address) & 0xFFFF_FFFF)]
    return [address, *inner]


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
