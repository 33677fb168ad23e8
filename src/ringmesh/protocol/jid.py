"""XMPP addresses (RFC 7622), and how user ids are written as addresses.

A user is ``{user id}-{application id}@{domain}``; a device of the user adds ``/{resource}``.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import lru_cache

from ringmesh.errors import ProtocolError

MAX_PART_BYTES = 1023
"""Most octets a local, domain or resource part may have (RFC 7622 section 3)."""

_LOCAL_REFUSED = re.compile(r"[\x00-\x20\x7f-\xa0\"&'/:<>@]")
_DOMAIN_REFUSED = re.compile(r"[\x00-\x20\x7f-\xa0\"&'/<>@\\]")
_RESOURCE_REFUSED = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_USER_LOCAL = re.compile(r"([0-9]{1,18})-(.+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class JID:
    """An address; empty `local` or `resource` means that the part is absent."""

    local: str
    domain: str
    resource: str = ""

    @staticmethod
    def parse(text: str) -> JID:
        """Read an address; local part and domain come out in lower case.

        Raises:
            ProtocolError: a part is missing, too long or holds a character it must not.
        """
        return _parse(text)

    def bare(self) -> JID:
        """The address without its resource."""
        return JID(self.local, self.domain) if self.resource else self

    def with_resource(self, resource: str) -> JID:
        """The address of one device of this user.

        Raises:
            ProtocolError: the resource is empty, too long or holds control characters.
        """
        _check_part("resource", resource, _RESOURCE_REFUSED)
        return JID(self.local, self.domain, resource)

    @property
    def user_id(self) -> int | None:
        """The user id in the local part, or None where there is none."""
        match = _USER_LOCAL.fullmatch(self.local)
        return int(match[1]) if match else None

    @property
    def app_id(self) -> str | None:
        """The application id in the local part, or None where there is none."""
        match = _USER_LOCAL.fullmatch(self.local)
        return match[2] if match else None

    def __str__(self) -> str:
        text = f"{self.local}@{self.domain}" if self.local else self.domain
        return f"{text}/{self.resource}" if self.resource else text


def user_jid(user_id: int, app_id: int | str, domain: str) -> JID:
    """The bare address of a user."""
    return JID.parse(f"{user_id}-{app_id}@{domain}")


@lru_cache(maxsize=256)  # a login and its signals repeat the same few addresses
def _parse(text: str) -> JID:
    bare, slash, resource = text.partition("/")
    local, at, domain = bare.rpartition("@")
    local, domain = local.lower(), domain.lower().removesuffix(".")
    if at:
        _check_part("local part", local, _LOCAL_REFUSED)
    _check_part("domain", domain, _DOMAIN_REFUSED)
    if slash:
        _check_part("resource", resource, _RESOURCE_REFUSED)
    return JID(local, sys.intern(domain), resource)  # nearly all addresses have the same


def _check_part(what: str, text: str, refused: re.Pattern[str]) -> None:
    if not text:
        raise ProtocolError(f"address with an empty {what}")
    if len(text.encode(errors="replace")) > MAX_PART_BYTES:
        raise ProtocolError(f"address whose {what} is longer than {MAX_PART_BYTES} octets")
    if refused.search(text) or not text.isprintable():
        raise ProtocolError(f"address whose {what} holds a character that is not allowed")
