"""STUN messages, against the published vectors and against nonsense."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmesh.errors import ConfigurationError, ProtocolError
from ringmesh.stun.message import (
    Attribute,
    Kind,
    Message,
    Method,
    TransportAddress,
    decode,
    has_integrity,
    long_term_key,
    pack_address,
)
from ringmesh.stun.url import ServerUrl, Transport

# RFC 5769 section 2.4: a request with long-term authentication.
LONG_TERM_REQUEST = bytes.fromhex(
    "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aa"
    "e38383e382afe382b900000015001c662f2f3439396b393534643"
    "64f4c33346f4c39465354767936347341001400"
    "0b6578616d706c652e6f7267000008001 4f67024656dd64a3e02b8e0712e85c9a28ca89666".replace(" ", "")
)
# RFC 5769 section 2.2: a response with an IPv4 address.
RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147"
    "e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)


def test_response_vector() -> None:
    """The address in RFC 5769's response is read, its integrity confirmed."""
    message = decode(RESPONSE)
    assert (message.method, message.kind) == (Method.BINDING, Kind.SUCCESS)
    address = message.address(Attribute.XOR_MAPPED_ADDRESS)
    assert address == TransportAddress.of("192.0.2.1", 32853)
    assert has_integrity(RESPONSE, b"VOkJxbRl1RmTxUk/WvJxBt")
    assert not has_integrity(RESPONSE, b"another")


def test_long_term_vector() -> None:
    """RFC 5769's request is signed with the key we derive (after SASLprep of its password)."""
    key = long_term_key("\u30de\u30c8\u30ea\u30c3\u30af\u30b9", "example.org", "TheMatrIX")
    assert has_integrity(LONG_TERM_REQUEST, key)


@given(
    method=st.sampled_from(list(Method)),
    kind=st.sampled_from(list(Kind)),
    identifier=st.binary(min_size=12, max_size=12),
    values=st.lists(st.tuples(st.integers(0x4000, 0x7FFF), st.binary(max_size=50)), max_size=5),
    key=st.none() | st.binary(min_size=1, max_size=20),
)
def test_round_trip(
    method: Method,
    kind: Kind,
    identifier: bytes,
    values: list[tuple[int, bytes]],
    key: bytes | None,
) -> None:
    """What is written is read again, and signed messages prove who wrote them."""
    data = Message(method, kind, identifier, tuple(values)).encode(key)
    read = decode(data)
    assert (read.method, read.kind, read.transaction_id) == (method, kind, identifier)
    assert read.attributes[: len(values)] == tuple(values)
    if key is not None:
        assert has_integrity(data, key)
        assert not has_integrity(data, key + b"x")


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::7"])
def test_addresses(host: str) -> None:
    """Addresses of both families survive the XOR."""
    address = TransportAddress.of(host, 4711)
    identifier = bytes(range(12))
    packed = pack_address(address, identifier)
    message = Message(1, Kind.SUCCESS, identifier, ((Attribute.XOR_PEER_ADDRESS, packed),))
    assert message.address(Attribute.XOR_PEER_ADDRESS) == address


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: RESPONSE[:20] + tail))
def test_nonsense(data: bytes) -> None:
    """Arbitrary bytes are a message or a `ProtocolError`, never anything else."""
    with contextlib.suppress(ProtocolError):
        message = decode(data)
        message.error()
        message.address(Attribute.XOR_MAPPED_ADDRESS)
        has_integrity(data, b"key")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("stun:a.example", ServerUrl(False, "a.example", 3478, Transport.UDP)),
        ("turn:10.0.0.1:443?transport=tcp", ServerUrl(True, "10.0.0.1", 443, Transport.TCP)),
        ("turns:[2001:db8::1]:99", ServerUrl(True, "2001:db8::1", 99, Transport.TLS)),
        ("turns:a", ServerUrl(True, "a", 5349, Transport.TLS)),
    ],
)
def test_urls(url: str, expected: ServerUrl) -> None:
    """URLs as RFC 7064 and RFC 7065 have them."""
    assert ServerUrl.parse(url) == expected


@pytest.mark.parametrize(
    "url", ["", "turn", "http://a", "turn:", "turn:a:0", "turn:a:65536", "turn:a?transport=sctp",
            "turns:a?transport=udp", "turn:a b", "turn:user@a"],
)  # fmt: skip
def test_bad_urls(url: str) -> None:
    """Anything else is an error with the URL in it."""
    with pytest.raises(ConfigurationError, match=r"URL|DTLS"):
        ServerUrl.parse(url)
