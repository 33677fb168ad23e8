"""Getting from HTTP to the chat: one port for both."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chat.host import LIMIT, Host, running, signal, user

UPGRADE = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "xmpp",
}


class Http:
    """An HTTP/1.1 connection, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(
        self, path: str, headers: Mapping[str, str | None], method: str = "GET"
    ) -> tuple[int, dict[str, str]]:
        """Send a request; status and headers of the answer. Headers that are None stay away."""
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        self.writer.write("\r\n".join((f"{method} {path} HTTP/1.1", *lines, "", "")).encode())
        async with asyncio.timeout(LIMIT):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *fields = head.strip().split("\r\n")
        split = (field.split(":", 1) for field in fields)
        return int(status.split()[1]), {name.lower(): value.strip() for name, value in split}

    async def body(self, length: int) -> bytes:
        """Read that much of a body."""
        async with asyncio.timeout(LIMIT):
            return await self.reader.readexactly(length)


async def _connect(host: Host) -> Http:
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    host.leaves_open(writer.transport)
    return Http(reader, writer)


@pytest.mark.parametrize("path", ["/chat", "/", "/chat?x=1"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Connection": "keep-alive, Upgrade"},  # Firefox, proxies
        {"Upgrade": "WebSocket", "Connection": "upgrade"},
        {"Sec-WebSocket-Protocol": "other, xmpp"},
        {"Cookie": "x" * 6000},
        {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
    ],
)
async def test_an_upgrade_is_accepted(path: str, headers: dict[str, str]) -> None:
    """However browsers, SDKs and proxies write it; native SDKs ask for the root."""
    async with running() as host:
        http = await _connect(host)
        status, answer = await http.request(path, UPGRADE | headers)
        assert status == 101
        assert answer["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert answer["sec-websocket-protocol"] == "xmpp"
        assert "sec-websocket-extensions" not in answer


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/other", "GET", {}, 404),
        ("/chat/x", "GET", {}, 404),
        ("/chat", "POST", {}, 405),
        ("/chat", "GET", {"Sec-WebSocket-Protocol": None}, 400),
        ("/chat", "GET", {"Sec-WebSocket-Protocol": "xmppx"}, 400),
        ("/chat", "GET", {"Sec-WebSocket-Version": "12"}, 426),
        ("/chat", "GET", {"Sec-WebSocket-Version": None}, 426),
        ("/chat", "GET", {"Sec-WebSocket-Key": None}, 400),
        ("/chat", "GET", {"Sec-WebSocket-Key": "dG9vIHNob3J0"}, 400),
        ("/chat", "GET", {"Sec-WebSocket-Key": "é" * 20}, 400),
    ],
)
async def test_other_upgrades_get_an_http_answer(
    path: str, method: str, headers: dict[str, str | None], status: int
) -> None:
    """The answer says what is wrong, in the form of the API's errors."""
    async with running() as host:
        http = await _connect(host)
        answered, answer = await http.request(path, UPGRADE | headers, method)
        assert answered == status
        assert answer["content-type"] == "application/json; charset=utf-8"
        assert (await http.body(int(answer["content-length"]))).startswith(b'{"errors":')
        assert await http.reader.read() == b""
        assert host.chat.connection_count() == 0


async def test_requests_and_the_chat_share_a_connection() -> None:
    """A proxy may send requests and then an upgrade over one connection."""
    async with running(timeout_keep_alive=0.2) as host:
        chat, page = await _connect(host), await _connect(host)
        for _ in range(2):
            assert (await chat.request("/page", {"Host": "x"}))[0] == 200
            assert await chat.body(2) == b"ok"
        assert (await chat.request("/chat", UPGRADE))[0] == 101
        assert (await page.request("/page", {"Host": "x"}))[0] == 200
        async with asyncio.timeout(LIMIT):
            assert await page.reader.read() == b"ok"  # until requests are kept alive no longer
        assert host.chat.connection_count() == 1


async def test_requests_are_served_beside_the_chat() -> None:
    """One port for both."""
    async with running() as host:
        client = await host.online(1)
        http = await _connect(host)
        assert (await http.request("/", {"Host": "x"}))[0] == 200
        await client.ping()


async def test_the_chat_speaks_tls(tmp_path: Path) -> None:
    """With a certificate the same port serves ``https`` and ``wss``, in both directions."""
    certificate, key = _make_certificate(tmp_path)
    async with running(ssl_certfile=certificate, ssl_keyfile=key) as host:
        trust = ssl.create_default_context(cafile=certificate)
        host.passwords[1, 1] = host.passwords[1, 2] = "secret"
        sender, receiver = await host.client(trust), await host.client(trust)
        await sender.log_in("1-1", "secret")
        await receiver.log_in("2-1", "secret")
        for size in (1, 7000, 30_000, 60_000):
            for _ in range(3):
                await sender.send(signal(user(2), extra=f"<sdp>{'x' * size}</sdp>"))
        for size in (1, 7000, 30_000, 60_000):
            for _ in range(3):
                assert "x" * size + "</sdp>" in await receiver.receive_text()
        await sender.ping()


async def test_the_client_address_is_known() -> None:
    """Logins are counted against the address that the socket, or a trusted proxy, tells."""
    async with running() as host:
        await host.online(1)
        assert host.asked == ["127.0.0.1"]


def _make_certificate(folder: Path) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key
