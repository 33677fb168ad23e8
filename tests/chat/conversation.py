"""Conversations of SDKs as scripts, played over real sockets."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.chat.host import LIMIT, Client
from tests.chat.tcp import TcpClient, client_context

CONVERSATIONS = Path(__file__).with_name("conversations")


async def play(client: TcpClient | Client, script: str, peer: Client | None = None) -> None:
    """Play a conversation of a client, and of the peer whom it calls.

    Lines begin with ``C:`` (the client writes this, ``\\n`` is a line end), ``S:`` (just this comes
    next, with anything in the place of ``…``), ``P:`` and ``H:`` (the peer writes and hears this),
    ``TLS`` (the client begins it), ``END`` (the server closes the connection), ``after`` (another
    conversation comes first) or ``#`` (a remark).

    Args:
        script: name of a file in the folder of conversations.
    """
    for line in (CONVERSATIONS / f"{script}.txt").read_text().splitlines():
        mark, _, text = line.partition(" ")
        text = text.replace("\\n", "\n").replace("\\r", "\r")
        if mark == "after":
            await play(client, text, peer)
        elif mark in ("C:", "P:"):
            await _one_of(mark, client, peer).send(text)
        elif mark in ("S:", "H:"):
            await _hear(_one_of(mark, client, peer), text)
        elif mark == "TLS":
            assert isinstance(client, TcpClient)
            await client.writer.start_tls(client_context())
        elif mark == "END":
            await _hear_the_end(client)
        else:
            assert mark == "#", line


def _one_of(mark: str, client: TcpClient | Client, peer: Client | None) -> TcpClient | Client:
    if mark in ("C:", "S:"):
        return client
    assert peer is not None
    return peer


async def _hear(who: TcpClient | Client, text: str) -> None:
    expected = re.compile(re.escape(text).replace("…", "[^<>]*?").encode())
    if isinstance(who, Client):
        frame = await who.receive_text()
        assert expected.fullmatch(frame.encode()), f"expected {text}, got {frame}"
        return
    heard = b""
    try:
        async with asyncio.timeout(LIMIT):
            while not expected.fullmatch(heard):
                assert len(heard) < len(text) + 200, f"expected {text}, got {heard!r}"
                heard += await who.reader.readuntil(b">")
    except (TimeoutError, asyncio.IncompleteReadError) as error:
        raise AssertionError(f"expected {text}, got {heard!r}") from error


async def _hear_the_end(who: TcpClient | Client) -> None:
    async with asyncio.timeout(LIMIT):
        if isinstance(who, Client):
            assert await who.end() == ([], 1000)
        else:
            assert await who.reader.read() == b""
