"""Heads of requests that never end, and other ways to hold a connection."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ringmesh.server import http_protocol
from tests.server.api_client import Api, serving

REQUEST = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
LIMIT = 60


async def connect(api: Api) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A bare connection to the server."""
    host, port = api.server.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The status line of one answer, whose body is read too."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"content-length" in line
    )
    await reader.readexactly(length)
    return head.split(b"\r\n")[0]


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("sent", [b"G", b"GET /health HTTP/1.1\r\nHost: x\r\nA"])
async def test_slow_heads_are_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, sent: bytes
) -> None:
    """A head that does not end in time ends the connection, the first one and later ones, although
    bytes keep coming; others are answered meanwhile."""
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.5)
    async with serving(tmp_path) as api, asyncio.timeout(LIMIT):
        reader, writer = await connect(api)
        for _ in range(before):
            writer.write(REQUEST)
            assert await answer(reader) == b"HTTP/1.1 200 OK"
        writer.write(sent)
        closed = asyncio.create_task(reader.read())
        while not closed.done():
            if sent != b"G":
                writer.write(b"a")
            assert (await api.get("/health")).status_code == 200
            await asyncio.wait([closed], timeout=0.05)
        writer.close()


async def test_silent_connections_are_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection on which nothing is ever sent ends."""
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    async with serving(tmp_path) as api, asyncio.timeout(LIMIT):
        reader, writer = await connect(api)
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("line", [b"GET /", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nname: "])
async def test_endless_heads_are_cut_off(tmp_path: Path, line: bytes) -> None:
    """A head that goes on and on is refused once it is larger than any sensible one."""
    async with serving(tmp_path) as api, asyncio.timeout(LIMIT):
        reader, writer = await connect(api)
        writer.write(line)
        sent = 0
        try:
            while not reader.at_eof() and sent < 50_000_000:
                writer.write(b"x" * 1000 if line[-2:] != b"\r\n" else b"a: b\r\n" * 200)
                sent += 1000
                await asyncio.wait_for(writer.drain(), LIMIT)
                await asyncio.sleep(0)
        except ConnectionError:
            pass
        assert sent < 50_000_000
        writer.close()
        assert (await api.get("/health")).status_code == 200


async def test_slow_answers_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for a head does not bound the answer, and requests sent at once are all answered."""
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    async with serving(tmp_path) as api, asyncio.timeout(LIMIT):
        original = api.server.accounts.applications.default

        async def slow() -> object:
            await asyncio.sleep(0.5)
            return await original()

        monkeypatch.setattr(api.server.accounts.applications, "default", slow)
        reader, writer = await connect(api)
        writer.write(REQUEST * 3)
        for _ in range(3):
            assert await answer(reader) == b"HTTP/1.1 200 OK"
        writer.close()
