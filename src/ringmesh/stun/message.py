"""STUN messages: bytes to values and back (RFC 8489 section 5, RFC 8656 section 18). Pure."""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address

from ringmesh.errors import ProtocolError

HEADER_LENGTH = 20
MAX_LENGTH = 65_535
MAGIC_COOKIE = 0x2112A442
FINGERPRINT_XOR = 0x5354554E
INTEGRITY_LENGTH = 20


class Method(IntEnum):
    """Methods of STUN and TURN."""

    BINDING = 0x001
    ALLOCATE = 0x003
    REFRESH = 0x004
    SEND = 0x006
    DATA = 0x007
    CREATE_PERMISSION = 0x008


class Kind(IntEnum):
    """The class of a message."""

    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


class Attribute(IntEnum):
    """Types of the attributes used here."""

    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    LIFETIME = 0x000D
    XOR_PEER_ADDRESS = 0x0012
    DATA = 0x0013
    REALM = 0x0014
    NONCE = 0x0015
    XOR_RELAYED_ADDRESS = 0x0016
    REQUESTED_TRANSPORT = 0x0019
    XOR_MAPPED_ADDRESS = 0x0020
    FINGERPRINT = 0x8028


@dataclass(frozen=True, slots=True)
class TransportAddress:
    """An IP address and a port."""

    host: IPv4Address | IPv6Address
    port: int

    @classmethod
    def of(cls, host: str, port: int) -> TransportAddress:
        """From text. Raises `ValueError` for what is no IP address."""
        return cls(ip_address(host), port)

    def __str__(self) -> str:
        return (
            f"[{self.host}]:{self.port}" if self.host.version == 6 else f"{self.host}:{self.port}"
        )


@dataclass(frozen=True, slots=True)
class Message:
    """One STUN message. Attributes keep their order; only the first of a type counts."""

    method: int
    kind: Kind
    transaction_id: bytes
    attributes: tuple[tuple[int, bytes], ...] = field(default=())

    def get(self, attribute: Attribute) -> bytes | None:
        """The value of the first attribute of this type."""
        return next((value for name, value in self.attributes if name == attribute), None)

    def address(self, attribute: Attribute) -> TransportAddress | None:
        """A XOR-ed address (RFC 8489 section 14.2). Raises `ProtocolError` for a broken one."""
        value = self.get(attribute)
        return None if value is None else _unpack_address(value, self.transaction_id)

    def error(self) -> tuple[int, str] | None:
        """Code and reason of an error response (RFC 8489 section 14.8)."""
        value = self.get(Attribute.ERROR_CODE)
        if value is None or len(value) < 4:
            return None
        return (value[2] & 7) * 100 + value[3], value[4:].decode(errors="replace")

    def encode(self, key: bytes | None = None) -> bytes:
        """The bytes, with MESSAGE-INTEGRITY when there is a key, and with FINGERPRINT."""
        body = b"".join(_pack_attribute(name, value) for name, value in self.attributes)
        if key is not None:
            signed = self._header(len(body) + 4 + INTEGRITY_LENGTH) + body
            mac = hmac.digest(key, signed, hashlib.sha1)
            body += _pack_attribute(Attribute.MESSAGE_INTEGRITY, mac)
        head = self._header(len(body) + 8)
        check = zlib.crc32(head + body) ^ FINGERPRINT_XOR
        return head + body + _pack_attribute(Attribute.FINGERPRINT, struct.pack("!I", check))

    def _header(self, length: int) -> bytes:
        kind = (self.kind & 1) << 4 | (self.kind & 2) << 7
        method = self.method & 0xF | (self.method & 0x70) << 1 | (self.method & 0xF80) << 2
        return struct.pack("!HHI", method | kind, length, MAGIC_COOKIE) + self.transaction_id


def decode(data: bytes) -> Message:
    """Read one message. Raises `ProtocolError` for anything else."""
    if len(data) < HEADER_LENGTH or data[0] & 0xC0:
        raise ProtocolError("not a STUN message")
    kind, length, cookie = struct.unpack_from("!HHI", data)
    if cookie != MAGIC_COOKIE or length % 4 or len(data) != HEADER_LENGTH + length:
        raise ProtocolError("not a STUN message")
    attributes = []
    at = HEADER_LENGTH
    while at < len(data):
        name, size = struct.unpack_from("!HH", data, at)
        end = at + 4 + size
        if end > len(data):
            raise ProtocolError("a STUN attribute is longer than its message")
        attributes.append((name, data[at + 4 : end]))
        at = end + -size % 4
    return Message(
        method=kind & 0xF | (kind & 0xE0) >> 1 | (kind & 0x3E00) >> 2,
        kind=Kind((kind & 0x10) >> 4 | (kind & 0x100) >> 7),
        transaction_id=data[8:HEADER_LENGTH],
        attributes=tuple(attributes),
    )


def has_integrity(data: bytes, key: bytes) -> bool:
    """Whether a well-formed message carries the right MESSAGE-INTEGRITY (RFC 8489 14.5)."""
    at = HEADER_LENGTH
    while at + 4 <= len(data):
        name, size = struct.unpack_from("!HH", data, at)
        if name == Attribute.MESSAGE_INTEGRITY:
            length = struct.pack("!H", at + 4 + INTEGRITY_LENGTH - HEADER_LENGTH)
            signed = data[:2] + length + data[4:at]
            mac = hmac.digest(key, signed, hashlib.sha1)
            return hmac.compare_digest(mac, data[at + 4 : at + 4 + size])
        at += 4 + size + -size % 4
    return False


def long_term_key(username: str, realm: str, password: str) -> bytes:
    """The key of the long-term credential mechanism (RFC 8489 section 9.2.2)."""
    return hashlib.md5(f"{username}:{realm}:{password}".encode(), usedforsecurity=False).digest()


def pack_address(address: TransportAddress, transaction_id: bytes) -> bytes:
    """The value of a XOR-ed address attribute."""
    family = 1 if address.host.version == 4 else 2
    pad = struct.pack("!I", MAGIC_COOKIE) + transaction_id
    host = _xor(address.host.packed, pad)
    return struct.pack("!BBH", 0, family, address.port ^ MAGIC_COOKIE >> 16) + host


def _unpack_address(value: bytes, transaction_id: bytes) -> TransportAddress:
    if len(value) < 4 or len(value) != {1: 8, 2: 20}.get(value[1]):
        raise ProtocolError("a broken address in a STUN message")
    (port,) = struct.unpack_from("!H", value, 2)
    packed = _xor(value[4:], struct.pack("!I", MAGIC_COOKIE) + transaction_id)
    return TransportAddress(ip_address(packed), port ^ MAGIC_COOKIE >> 16)


def _xor(data: bytes, pad: Iterable[int]) -> bytes:
    return bytes(a ^ b for a, b in zip(data, pad, strict=False))


def _pack_attribute(name: int, value: bytes) -> bytes:
    return struct.pack("!HH", name, len(value)) + value + bytes(-len(value) % 4)
