"""Clients that break rules harm themselves only."""

from __future__ import annotations

import asyncio
import struct

import pytest
import structlog

from ringmesh.server.chat import ChatLimits
from ringmesh.server.chat.closing import CloseReason
from tests.chat.host import Client, Host, running, signal, user

SECRET = "v=0 not for logs"


async def _bystanders(host: Host) -> tuple[Client, Client]:
    return await host.online(101), await host.online(102)


async def _can_talk(one: Client, other: Client) -> None:
    """Signals pass between two clients, and nothing else has reached them."""
    await one.send(signal(user(102)))
    assert (await other.receive()).get("from") == one.jid
    await one.ping()
    await other.ping()


TO = f'to="{user(102)}" type="headline"'


@pytest.mark.parametrize(
    "frame",
    [
        f"<message {TO}><a></message>",
        f"<message {TO}>",
        f"<message {TO}/><message {TO}/>",
        f"<message {TO}/></message>",
        f"<message {TO}>&nbsp;</message>",
        f"<message {TO}>\x01</message>",
        f"<message {TO}><!-- x --></message>",
        f"<message {TO}><?x y?></message>",
        f'<!DOCTYPE m [<!ENTITY x "y">]><message {TO}>&x;</message>',
        f"<message {TO} {TO}/>",
        f"<message {TO}><x:a/></message>",
        f"<message {TO}>" + "<a>" * 1000 + "</a>" * 1000 + "</message>",
        "no element at all",
        f'<stream:stream xmlns="jabber:client"><message {TO}/>',
        f'<message {TO}><sent xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">'
        f'<message xmlns="jabber:client" from="{user(1)}"/></forwarded></sent></message>',
    ],
)
async def test_a_broken_stanza_ends_only_its_own_stream(frame: str) -> None:
    """The sender gets a stream error and is closed; nothing of it reaches anybody."""
    async with running() as host:
        one, other = await _bystanders(host)
        attacker = await host.online(1)
        await attacker.send(frame)
        frames, code = await attacker.end()
        assert "<stream:error" in frames[0]
        assert frames[-1].startswith("<close ")
        assert code == 1008
        await _can_talk(one, other)


async def test_text_that_is_not_utf8_ends_only_its_own_stream() -> None:
    """A text frame with wrong bytes is not relayed."""
    async with running() as host:
        one, other = await _bystanders(host)
        attacker = await host.online(1)
        await attacker.websocket.send(b"<message " + TO.encode() + b">\xff</message>", text=True)
        frames, _ = await attacker.end()
        assert "<stream:error" in frames[0]
        await _can_talk(one, other)


async def test_a_binary_frame_ends_the_stream() -> None:
    """XMPP over WebSocket is text (RFC 7395 section 3.2)."""
    async with running() as host:
        one, other = await _bystanders(host)
        attacker = await host.online(1)
        await attacker.send(signal(user(102)).encode())
        frames, code = await attacker.end()
        assert "<unsupported-encoding" in frames[0]
        assert code == 1003
        await _can_talk(one, other)


@pytest.mark.parametrize("fragments", [1, 3])
async def test_a_message_that_is_too_long_is_refused(fragments: int) -> None:
    """Whole or in pieces, a message has at most 64 KiB."""
    async with running() as host:
        one, other = await _bystanders(host)
        attacker = await host.online(1)
        text = signal(user(102), extra=f"<sdp>{'x' * 66_000}</sdp>")
        size = len(text) // fragments + 1
        await attacker.websocket.send([text[i : i + size] for i in range(0, len(text), size)])
        _, code = await attacker.end()
        assert code == 1009
        await _can_talk(one, other)


@pytest.mark.parametrize("size", [1, 700, 30_000])
async def test_fragments_are_put_together(size: int) -> None:
    """A message may come in any number of frames, with pings in between."""
    async with running() as host:
        sender, receiver = await host.online(1), await host.online(2)
        text = signal(user(2), extra=f"<sdp>{'x' * (60_000 if size > 1 else 100)}é</sdp>")
        pieces = [text.encode()[i : i + size] for i in range(0, len(text.encode()), size)]
        transport = sender.websocket.transport
        for number, piece in enumerate(pieces):
            opcode = (0x1 if number == 0 else 0x0) | (0x80 if number == len(pieces) - 1 else 0)
            transport.write(_frame(opcode, piece) + _frame(0x89, b""))
        frame = await receiver.receive_text()
        assert frame[frame.index("<extraParams") :] == text[text.index("<extraParams") :]
        await sender.ping()


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x05hello",  # not masked
        b"\x83\x80\0\0\0\0",  # unknown opcode
        b"\x09\x80\0\0\0\0",  # a ping in fragments
        b"\x80\x80\0\0\0\0",  # a continuation of nothing
        b"\x01\x80\0\0\0\0\x81\x80\0\0\0\0",  # a message within a message
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",  # 2**64 - 1 bytes announced
        b"\x81\xff" + struct.pack(">Q", 2**40) + b"\0\0\0\0" + b"x" * 100_000,  # a TiB announced
        b"\x88\x81\0\0\0\0\x03",  # a closing frame with half a code
        b"GET / HTTP/1.1\r\n\r\n" * 20,
        bytes(range(256)) * 40,
    ],
)
async def test_broken_websocket_frames_end_only_their_own_connection(data: bytes) -> None:
    """What is no WebSocket (RFC 6455) is closed without a word to others."""
    async with running() as host:
        one, other = await _bystanders(host)
        attacker = await host.online(1)
        attacker.websocket.transport.write(data)
        await attacker.end()
        await host.until(lambda: not host.chat.is_online(1, 1))
        await host.until(lambda: host.chat.connection_count() == 2)
        await _can_talk(one, other)


async def test_who_does_not_read_is_cut_off_and_nobody_waits() -> None:
    """A receiver that stops reading loses its connection; its sender's other partners get all."""
    limits = ChatLimits(outgoing_bytes=65_536, burst_bytes=10**9)
    async with running(limits) as host:
        sender, slow, reader = await host.online(1), await host.online(2), await host.online(3)
        slow.websocket.transport.pause_reading()
        extra = f"<sdp>{'x' * 50_000}</sdp>"

        async with asyncio.timeout(60):
            while host.chat.is_online(1, 2):
                await sender.send(signal(user(2), extra=extra))
                await sender.send(signal(user(3), extra=extra))
                await reader.receive()
        await sender.ping()
        await host.until(lambda: host.chat.closed_by[CloseReason.TOO_SLOW] == 1)
        assert host.chat.connection_count() == 2


async def test_a_flood_is_stopped() -> None:
    """Far more than calls need: the stream ends with a policy violation, others are served."""
    limits = ChatLimits(burst_bytes=100_000, rate_bytes=1000)
    async with running(limits) as host:
        one, other = await _bystanders(host)
        attacker = await host.online(1)
        for _ in range(200):
            await attacker.send(signal(user(102), extra=f"<sdp>{'x' * 1000}</sdp>"))
        frames, code = await attacker.end()
        assert "<policy-violation" in frames[0]
        assert code == 1008
        assert len(await other.drain()) < 200
        await _can_talk(one, other)


async def test_a_flood_of_pings_is_stopped() -> None:
    """Control frames cost the server something too."""
    async with running(ChatLimits(burst_bytes=100_000, rate_bytes=1000)) as host:
        one, other = await _bystanders(host)
        attacker = await host.online(1)
        attacker.websocket.transport.write(_frame(0x89, b"x" * 100) * 1000)
        frames, _ = await attacker.end()
        assert "<policy-violation" in frames[0]
        await _can_talk(one, other)


async def test_the_rate_limit_forgives_what_calls_send() -> None:
    """A burst of a call's worth of signals, over and over, stays below the limit."""
    async with running() as host:
        sender, receiver = await host.online(1), await host.online(2)
        for _ in range(500):
            await sender.send(signal(user(2), extra=f"<sdp>{'x' * 4000}</sdp>"))
        for _ in range(500):
            await receiver.receive()
        await sender.ping()


@pytest.mark.parametrize(
    "frame",
    [
        '<x xmlns="urn:nobody:knows"/>',
        '<enable xmlns="urn:xmpp:sm:3"/>',
        '<r xmlns="urn:xmpp:sm:3"/>',
        '<presence xmlns="jabber:client"/>',
        f'<presence to="{user(102)}" xmlns="jabber:client"/>',
        '<presence type="unavailable"/>',
        '<iq type="result" id="1" xmlns="jabber:client"/>',
        '<message xmlns="urn:other" to="102-1@chat.test"/>',
        " ",
        "",
    ],
)
async def test_the_unknown_is_tolerated(frame: str) -> None:
    """SDKs send things that mean nothing here; that must not end their stream."""
    async with running() as host:
        one, other = await _bystanders(host)
        client = await host.online(1)
        await client.send(frame)
        if "enable" in frame:
            assert (await client.receive()).name == "enabled"
        await client.ping()
        await _can_talk(one, other)


async def test_acknowledgements_count_what_was_handled() -> None:
    """XEP-0198: after enabling, ``<r/>`` is answered with the number of stanzas since."""
    async with running() as host:
        client = await host.online(1)
        await client.send('<enable xmlns="urn:xmpp:sm:3"/>')
        assert (await client.receive()).name == "enabled"
        for _ in range(3):
            await client.send(signal(user(2)))
        await client.ping()
        await client.send('<r xmlns="urn:xmpp:sm:3"/>')
        answer = await client.receive()
        assert (answer.name, answer.get("h")) == ("a", "4")


async def test_contents_are_not_logged() -> None:
    """Connections and their ends are logged with a reason, never what was said in them."""
    with structlog.testing.capture_logs() as lines:
        async with running() as host:
            sender = await host.online(1)
            host.passwords[1, 1] = "changed"
            await sender.send(signal(user(2), extra=f"<sdp>{SECRET}</sdp>"))
            await sender.send(f"<message>{SECRET}")
            await sender.end()
            await host.until(lambda: host.chat.connection_count() == 0)
    output = repr(lines)
    assert "stream-error" in output
    assert "not-well-formed" in output
    for text in (SECRET, "secret", "extraParams"):
        assert text not in output


def _frame(first: int, payload: bytes) -> bytes:
    """One frame as clients send them, with a mask of zeros."""
    if len(payload) < 126:
        header = bytes([first, 0x80 | len(payload)])
    else:
        header = bytes([first, 0x80 | 126]) + struct.pack(">H", len(payload))
    return header + bytes(4) + payload
