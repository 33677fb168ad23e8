"""TCP clients that break rules harm themselves only."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from ringmesh.server.chat import ChatLimits
from ringmesh.server.chat.closing import CloseReason
from tests.chat.host import Client, signal, user
from tests.chat.tcp import HEADER, TcpClient, TcpHost, tcp_running

CLOSE = '<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>'
TO = f'to="{user(102)}" type="headline"'
STARTTLS = '<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>'
PLAIN = '<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">ADEtMQBzZWNyZXQ=</auth>'


async def _bystanders(tcp: TcpHost) -> tuple[Client, TcpClient]:
    return await tcp.host.online(101), await tcp.online(102)


async def _can_talk(one: Client, other: TcpClient) -> None:
    """Signals pass between two clients, and nothing else has reached them."""
    await one.send(signal(user(102)))
    assert (await other.receive()).get("from") == one.jid
    await other.send(signal(user(101)))
    assert (await one.receive()).get("from") == other.jid
    await one.ping()
    await other.ping()


def _condition(frames: list[str]) -> str:
    """The condition of the stream error that came before the end tag."""
    assert frames[-1] == CLOSE
    error = next(frame for frame in frames if frame.startswith("<stream:error"))
    return error.partition("><")[2].partition(" ")[0]


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (f"<message {TO}><a></message>", "not-well-formed"),
        ("<message/></message>", "not-well-formed"),
        (f"<message {TO}>&nbsp;</message>", "not-well-formed"),
        (f"<message {TO}><!-- x --></message>", "restricted-xml"),
        (f"<message {TO}><?x y?></message>", "restricted-xml"),
        ("<!DOCTYPE x [", "restricted-xml"),
        (f"<message {TO} {TO}/>", "not-well-formed"),
        (f"<message {TO}><x:a/></message>", "not-well-formed"),
        (f"<message {TO}>" + "<a>" * 10_000, "policy-violation"),
        (f"<message {TO}>" + "x" * 70_000, "policy-violation"),
        (f"<message {TO} " + " ".join(f"a{i}=''" for i in range(100)) + "/>", "not-well-formed"),
        (f"<message {TO}>".encode() + b"\xff\xfe</message>", "not-well-formed"),
        ("text", "not-well-formed"),
        (HEADER, "policy-violation"),
        (HEADER.replace("jabber:client", "jabber:server"), "invalid-namespace"),
        (f'<message {TO}><sent xmlns="urn:xmpp:carbons:2"><forwarded/></sent></message>',
         "not-well-formed"),
    ],
)  # fmt: skip
async def test_what_breaks_the_stream_ends_only_it(data: str | bytes, condition: str) -> None:
    """The sender gets the right stream error and is closed; nothing of it reaches anybody."""
    async with tcp_running() as tcp:
        one, other = await _bystanders(tcp)
        attacker = await tcp.online(1)
        await attacker.send(data)
        assert _condition(await attacker.end()) == condition
        await _can_talk(one, other)


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        ("GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
        ("<message/>", "bad-format"),
        (HEADER.replace("http://etherx", "http://example"), "invalid-namespace"),
        ("<?xml version='1.0' encoding='UTF-16'?>", "unsupported-encoding"),
        ("<!DOCTYPE x>", "restricted-xml"),
        (HEADER + '<message to="x@y"/>', "not-authorized"),
        (HEADER + "<a>" + "x" * 20_000, "policy-violation"),
    ],
)
async def test_strangers_who_speak_no_xmpp(data: str, condition: str) -> None:
    """Before the login the error comes in a stream of its own, and strangers may say little."""
    async with tcp_running() as tcp:
        client = await tcp.client("plain")
        await client.send(data)
        frames = await client.end()
        assert frames[0].startswith("<open ")
        assert _condition(frames) == condition


async def test_a_login_may_come_byte_by_byte() -> None:
    """The network may cut anywhere."""
    async with tcp_running() as tcp:
        tcp.host.passwords[1, 1] = "secret"
        client = await tcp.client("plain")
        bind = '<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>'
        for step, answers in ((HEADER, 2), (PLAIN, 1), (HEADER, 2), (bind, 1)):
            for byte in step.encode():
                await client.send(bytes([byte]))
                await asyncio.sleep(0)
            for _ in range(answers):
                await client.receive()
        assert tcp.host.chat.is_online(1, 1)


async def test_a_hundred_megabytes_of_white_space() -> None:
    """They are thrown away as they come, and end as a flood."""
    async with tcp_running() as tcp:
        one, other = await _bystanders(tcp)
        attacker = await tcp.online(1)
        blanks = b" \n" * 500_000
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                await attacker.send(blanks)
        await tcp.host.until(lambda: tcp.host.chat.closed_by[CloseReason.FLOOD] == 1)
        await _can_talk(one, other)


@pytest.mark.parametrize("port", ["starttls", "direct", "plain"])
@pytest.mark.parametrize("said", ["", "<?xml", HEADER, HEADER + "<auth"])
async def test_a_client_that_dawdles_is_closed(port: str, said: str) -> None:
    """There is a time to log in, whatever part of it was done."""
    async with tcp_running(ChatLimits(idle_seconds=0.2, login_seconds=0.2)) as tcp:
        client = await tcp.client(port)
        await client.send(said)
        frames = await client.end()
        assert _condition(frames) == "connection-timeout"


async def test_a_tls_handshake_that_never_ends() -> None:
    """Somebody who begins TLS and stops is gone after the time to log in."""
    async with tcp_running(ChatLimits(idle_seconds=0.2, login_seconds=0.2)) as tcp:
        _, writer = await asyncio.open_connection("127.0.0.1", tcp.ports["direct"])
        tcp.host.leaves_open(writer.transport)
        writer.write(b"\x16\x03\x01\x02\x00\x01")
        await tcp.host.until(lambda: tcp.host.chat.closed_by[CloseReason.LOGIN_TIMEOUT] == 1)
        await tcp.host.until(lambda: tcp.host.chat.connection_count() == 0)


@pytest.mark.parametrize(
    ("port", "start"), [("direct", b"\x16\x03\x01\x40\x00\x01\x00"), ("plain", b"")]
)
async def test_who_says_a_little_all_the_time_is_closed(port: str, start: bytes) -> None:
    """Dripping bytes buy no time: neither those of a handshake nor white space."""
    async with tcp_running(ChatLimits(idle_seconds=0.2, login_seconds=0.2)) as tcp:
        _, writer = await asyncio.open_connection("127.0.0.1", tcp.ports[port])
        tcp.host.leaves_open(writer.transport)
        writer.write(start)

        async def drip() -> None:
            while True:
                writer.write(b" ")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        await tcp.host.until(lambda: tcp.host.chat.closed_by[CloseReason.LOGIN_TIMEOUT] == 1)
        dripping.cancel()
        await tcp.host.until(lambda: tcp.host.chat.connection_count() == 0)


async def test_what_is_no_tls_is_closed() -> None:
    """Clear text on the port for TLS, and instead of TLS after STARTTLS."""
    async with tcp_running() as tcp:
        reader, writer = await asyncio.open_connection("127.0.0.1", tcp.ports["direct"])
        tcp.host.leaves_open(writer.transport)
        writer.write(HEADER.encode())
        assert HEADER.encode() not in await reader.read()
        client = await tcp.client()
        await client.open()
        await client.send(STARTTLS)
        assert (await client.receive()).name == "proceed"
        await client.send(HEADER + PLAIN)
        assert b"<" not in await client.reader.read()


@pytest.mark.parametrize("injected", [HEADER, PLAIN, "x", "<"])
async def test_nothing_can_be_slipped_in_before_tls(injected: str) -> None:
    """Clear text behind ``<starttls/>`` ends the connection (RFC 6120 section 5.4.3.3)."""
    async with tcp_running() as tcp:
        tcp.host.passwords[1, 1] = "secret"
        client = await tcp.client()
        await client.open()
        await client.send(STARTTLS + injected)
        assert await client.end() in ([], ['<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>'])
        assert not tcp.host.asked


async def test_starttls_is_begun_once() -> None:
    """Who asks for TLS inside of TLS, or where it is not offered, is closed."""
    async with tcp_running() as tcp:
        for port in ("starttls", "plain"):
            client = await tcp.client(port)
            await client.open()
            if port == "starttls":
                await client.start_tls()
                await client.open()
            await client.send(STARTTLS)
            frames = await client.end()
            assert frames[0] == '<failure xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>'


async def test_no_password_in_clear_text_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where TLS is stripped there is no login: nothing but STARTTLS is offered or taken."""
    monkeypatch.setattr("ringmesh.server.chat.tcp_wire.is_loopback", lambda _: False)
    async with tcp_running() as tcp:
        tcp.host.passwords[1, 1] = "secret"
        client = await tcp.client()
        features = await client.open()
        assert [each.name for each in features.children] == ["starttls"]
        assert [each.name for each in features.children[0].children] == ["required"]
        await client.send(PLAIN)
        refusal = await client.receive()
        assert [each.name for each in refusal.children] == ["encryption-required"]
        assert not tcp.host.asked
        await client.start_tls()
        features = await client.open()
        assert [each.name for each in features.children] == ["mechanisms"]
        assert (await client.authenticate("1-1", "secret")).name == "success"


@pytest.mark.parametrize(
    "resource", ["x" * 1024, "&#127;", "&#9;", "a\u200eb", " ", "1-1@chat.test/x", "&lt;x&gt;"]
)
async def test_strange_resources(resource: str) -> None:
    """The server makes a resource, or takes one that is an address part; never another user's."""
    async with tcp_running() as tcp:
        await tcp.host.online(5)
        client = await tcp.online(1, resource)
        assert client.jid.startswith("1-1@chat.test/")
        await client.ping()


async def test_a_slow_reader_is_cut_off() -> None:
    """Nobody waits for a client that does not read, under TLS neither."""
    limits = ChatLimits(outgoing_bytes=100_000, burst_bytes=1_000_000_000)
    async with tcp_running(limits) as tcp:
        one, other = await _bystanders(tcp)
        slow = await tcp.online(1, port="direct")
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        stanza = signal(user(1), extra=f"<sdp>{'x' * 60_000}</sdp>")
        while tcp.host.chat.is_online(1, 1):
            await one.send(stanza)
            await one.ping()
        await tcp.host.until(lambda: tcp.host.chat.closed_by[CloseReason.TOO_SLOW] == 1)
        await _can_talk(one, other)
