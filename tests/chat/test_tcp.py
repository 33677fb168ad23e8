"""Streams over TCP: logging in, exchanging signals, closing."""

from __future__ import annotations

import asyncio

import pytest

from ringmesh.server.chat import ChatLimits
from ringmesh.server.chat.closing import CloseReason
from tests.chat.conversation import CONVERSATIONS, play
from tests.chat.host import DOMAIN, LIMIT, signal, user
from tests.chat.tcp import END, HEADER, tcp_running


@pytest.mark.parametrize("script", sorted(each.stem for each in CONVERSATIONS.glob("*.txt")))
async def test_what_the_sdks_say_is_answered_as_they_expect(script: str) -> None:
    """Whole dialogues of native SDKs, byte by byte, over a real socket."""
    async with tcp_running() as tcp:
        tcp.host.passwords[1, 1] = "secret"
        client = await tcp.client()
        await play(client, script)
        await tcp.host.until(lambda: tcp.host.chat.connection_count() == 0)


@pytest.mark.parametrize("port", ["starttls", "direct", "plain"])
async def test_signals_pass_between_tcp_and_websocket(port: str) -> None:
    """Whoever comes over TCP meets those who come over WebSocket, in both directions."""
    async with tcp_running() as tcp:
        native = await tcp.online(1, "flutter_0123456789", port)
        browser = await tcp.host.online(2)
        assert native.jid == f"1-1@{DOMAIN}/flutter_0123456789"
        await native.send(signal(user(2), extra="<sdp>v=0\r\na=x</sdp>"))
        heard = await browser.receive_text()
        assert f'from="{native.jid}"' in heard
        assert "<sdp>v=0\r\na=x</sdp>" in heard
        await browser.send(signal(user(1), "accept"))
        assert (await native.receive()).get("from") == browser.jid


async def test_header_and_features_come_in_one_write() -> None:
    """One mobile SDK never recovers from a part of them."""
    async with tcp_running() as tcp:
        client = await tcp.client("plain")
        await client.send(HEADER)
        async with asyncio.timeout(LIMIT):
            first = await client.reader.read(65_536)
        assert first.startswith(b"<stream:stream ")
        assert first.endswith(b"</stream:features>")


async def test_the_clients_end_is_answered_and_the_socket_closed() -> None:
    """Mobile SDKs wait for the server to close the connection."""
    async with tcp_running() as tcp:
        client = await tcp.online(1)
        await client.send(END)
        assert await client.end() == ['<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>']
        await tcp.host.until(lambda: not tcp.host.chat.is_online(1, 1))


async def test_a_server_that_stops_closes_without_an_end_tag() -> None:
    """A mobile SDK connects again only after a connection that broke."""
    async with tcp_running() as tcp:
        client = await tcp.online(1)
        closing = asyncio.create_task(tcp.host.chat.close())
        assert await client.end() == []
        client.writer.close()
        await closing


async def test_a_silent_client_is_asked_and_then_given_up() -> None:
    """The server asks with a ping that every client answers; who does not is gone."""
    async with tcp_running(ChatLimits(idle_seconds=0.3)) as tcp:
        client = await tcp.online(1)
        ping = await client.receive()
        assert (ping.name, ping.get("type"), ping.get("to")) == ("iq", "get", client.jid)
        assert ping.get("from") == DOMAIN
        assert ping.children[0].xmlns == "urn:xmpp:ping"
        await client.send(f'<iq type="result" id="{ping.get("id")}"/>')
        while (await client.end_or_ping()) is not None:
            pass
        assert tcp.host.chat.closed_by[CloseReason.SILENT] == 1


async def test_white_space_is_a_sign_of_life() -> None:
    """Clients keep a connection alive with single blanks (RFC 6120 section 4.6.1)."""
    async with tcp_running(ChatLimits(idle_seconds=0.3)) as tcp:
        client = await tcp.online(1)
        for _ in range(20):
            await client.send(" ")
            await asyncio.sleep(0.05)
        assert tcp.host.chat.is_online(1, 1)
        await client.ping()
