"""Probing servers that are not there, lie, or say no."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from ringmesh.stun.message import (
    Attribute,
    Kind,
    Message,
    Method,
    TransportAddress,
    decode,
    pack_address,
)
from ringmesh.stun.probe import Verdict, probe_relay, probe_stun

Answer = Callable[[Message], bytes | None]


class _Liar(asyncio.DatagramProtocol):
    """Answers each request as it is told."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._answer(decode(data))
        if answer is not None:
            self._transport.sendto(answer, addr)


@asynccontextmanager
async def lying(answer: Answer) -> AsyncIterator[str]:
    """``host:port`` of a server that answers like this."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Liar(answer), local_addr=("127.0.0.1", 0)
    )
    try:
        yield "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


def error(status: int, **attributes: bytes) -> Answer:
    """Refuses everything."""
    value = struct.pack("!HBB", 0, status // 100, status % 100) + b"No"
    more = tuple((Attribute[name.upper()], text) for name, text in attributes.items())

    def answer(request: Message) -> bytes:
        parts = ((Attribute.ERROR_CODE, value), *more)
        return Message(request.method, Kind.ERROR, request.transaction_id, parts).encode()

    return answer


def unsigned_success(request: Message) -> bytes:
    """Challenges, then grants a relay without knowing the secret."""
    if request.get(Attribute.USERNAME) is None:
        return error(401, realm=b"r", nonce=b"n")(request)
    address = pack_address(TransportAddress.of("192.0.2.1", 1), request.transaction_id)
    parts = ((Attribute.XOR_RELAYED_ADDRESS, address),)
    return Message(Method.ALLOCATE, Kind.SUCCESS, request.transaction_id, parts).encode()


def other_transaction(request: Message) -> bytes:
    """Answers something that was not asked."""
    return Message(request.method, Kind.SUCCESS, bytes(12)).encode()


def without_address(request: Message) -> bytes:
    """Success, but nothing in it."""
    return Message(request.method, Kind.SUCCESS, request.transaction_id).encode()


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (lambda request: b"\x00garbage", Verdict.UNREACHABLE),
        (lambda request: None, Verdict.UNREACHABLE),
        (other_transaction, Verdict.UNREACHABLE),
        (without_address, Verdict.BROKEN),
        (unsigned_success, Verdict.BROKEN),
        (error(401), Verdict.BAD_CREDENTIALS),
        (error(401, realm=b"r", nonce=b"n"), Verdict.BAD_CREDENTIALS),
        (error(438, realm=b"r", nonce=b"n"), Verdict.BAD_CREDENTIALS),
        (error(486), Verdict.FULL),
        (error(508), Verdict.FULL),
        (error(403), Verdict.REFUSED),
        (error(300), Verdict.REFUSED),
    ],
)
async def test_liars(answer: Answer, verdict: Verdict) -> None:
    """Each way of lying or refusing has its verdict, within the time given."""
    async with lying(answer) as at:
        result = await probe_relay(f"turn:{at}", "name", "password", timeout=1)
    assert (result.verdict, result.works) == (verdict, False)


@pytest.mark.parametrize("url", ["turn:127.0.0.1:1", "turn:127.0.0.1:1?transport=tcp"])
async def test_nobody_there(url: str) -> None:
    """A closed port is unreachable."""
    assert (await probe_relay(url, "name", "password")).verdict is Verdict.UNREACHABLE


@pytest.mark.parametrize(
    ("url", "verdict"),
    [("stun:no-such-host.invalid", Verdict.UNREACHABLE), ("http://a", Verdict.BAD_URL)],
)
async def test_bad_addresses(url: str, verdict: Verdict) -> None:
    """Names without an address and what is no URL are told apart."""
    assert (await probe_stun(url)).verdict is verdict
