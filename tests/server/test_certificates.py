"""Certificates of a running server: replaced ones, and the one it makes itself."""

from __future__ import annotations

import asyncio
import datetime
import os
import shutil
import signal
import socket
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from ringmesh.errors import ConfigurationError
from ringmesh.server.certificates import self_signed
from ringmesh.server.settings import Settings
from tests.chat.tcp import HEADER, TcpClient, client_context
from tests.server.api_client import serving
from tests.server.test_commands import served

_XMPP = Subprotocol("xmpp")
PORTS = {"xmpp_port": 0, "xmpps_port": 0, "wss_port": 0}
LIMIT = 20.0
"""Seconds that anything may take here, less than the server needs to notice by itself."""


def _make(folder: Path) -> int:
    """A new certificate in `folder`; its serial number."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    self_signed(folder, ("localhost", "127.0.0.1"))
    return _kept(folder).serial_number


def _kept(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "self-signed.pem").read_bytes())


def _settings(folder: Path) -> dict[str, Path]:
    return {
        "chat_tls_certificate": folder / "self-signed.pem",
        "chat_tls_key": folder / "self-signed.key",
    }


async def _stream(port: int, *, direct: bool) -> TcpClient:
    """A secure stream that has not been logged in."""
    tls = client_context() if direct else None
    client = TcpClient(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))
    if not direct:
        await client.open()
        await client.start_tls()
    await client.open()
    return client


def _serial(client: TcpClient) -> int:
    certificate = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(certificate).serial_number


async def _served_serials(ports: dict[str, int]) -> set[int]:
    """What new connections get on every port."""
    serials = set()
    for name, direct in (("xmpp_port", False), ("xmpps_port", True)):
        client = await _stream(ports[name], direct=direct)
        serials.add(_serial(client))
        client.writer.transport.abort()
    url = f"wss://127.0.0.1:{ports['wss_port']}/chat"
    async with connect(url, ssl=client_context(), proxy=None, subprotocols=[_XMPP]) as websocket:
        tls = websocket.transport.get_extra_info("ssl_object")
        serials.add(x509.load_der_x509_certificate(tls.getpeercert(True)).serial_number)
    return serials


async def test_a_replaced_certificate_is_for_new_connections(tmp_path: Path) -> None:
    """Every port serves it from then on; streams that are there go on under the old one. A
    certificate whose key has not come yet changes nothing."""
    folder, new = tmp_path / "certificates", tmp_path / "new"
    first, second = _make(folder), _make(new)
    async with (
        asyncio.timeout(LIMIT),
        serving(tmp_path / "data", **_settings(folder), **PORTS) as api,
    ):
        ports = api.server.ports
        user = await api.as_user("alice")
        assert user.user is not None
        assert user.token is not None
        clients = []
        for name, direct in (("xmpp_port", False), ("xmpps_port", True)):
            client = await _stream(ports[name], direct=direct)
            local_part = f"{user.user['id']}-{api.application.id}"
            assert (await client.authenticate(local_part, user.token)).name == "success"
            await client.bind()
            clients.append(client)
        shutil.copy(new / "self-signed.pem", folder)
        api.server.refresh_certificates()
        assert await _served_serials(ports) == {first}
        shutil.copy(new / "self-signed.key", folder)
        api.server.refresh_certificates()
        assert await _served_serials(ports) == {second}
        for client in clients:
            await client.ping()
            assert _serial(client) == first
            client.writer.transport.abort()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
def test_sighup_reads_the_certificate_again(tmp_path: Path) -> None:
    """``kill -HUP`` takes a renewed certificate into use and ends no stream."""
    folder = tmp_path / "certificates"
    first = _make(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "server.toml"
    files = "".join(f'{name} = "{path}"\n' for name, path in _settings(folder).items())
    config.write_text(f"{files}xmpps_port = {port}\n")
    with served(tmp_path / "data", "--config", str(config)) as (process, _, _), _tls(port) as old:
        assert _serial_of(old) == first
        second = _make(folder)
        os.kill(process.pid, signal.SIGHUP)
        end = time.monotonic() + LIMIT
        serial = first
        while serial != second and time.monotonic() < end:
            with _tls(port) as new:
                serial = _serial_of(new)
        assert serial == second
        old.sendall(HEADER.encode())
        assert old.recv(65_536).startswith(b"<stream:stream ")
        assert process.poll() is None


def _tls(port: int, context: ssl.SSLContext | None = None, name: str = "") -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), LIMIT)
    return (context or client_context()).wrap_socket(plain, server_hostname=name or "localhost")


def _serial_of(connection: ssl.SSLSocket) -> int:
    certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


async def test_a_self_signed_certificate_is_one_that_can_be_trusted(tmp_path: Path) -> None:
    """Who is told to trust the file in the data folder gets through, by every name, and with the
    strictest checks."""
    domain = Settings().chat_domain
    async with serving(tmp_path, chat_self_signed=True, **PORTS) as api, asyncio.timeout(LIMIT):
        context = ssl.create_default_context(cafile=tmp_path / "self-signed.pem")
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        port = api.server.ports["xmpps_port"]
        for name in (domain, "localhost", "127.0.0.1", "::1"):
            connection = await asyncio.to_thread(_tls, port, context, name)
            assert _serial_of(connection) == _kept(tmp_path).serial_number
            connection.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(_tls, port, context, "example.com")
    made, now = _kept(tmp_path), datetime.datetime.now(datetime.UTC)
    assert made.not_valid_before_utc < now
    assert datetime.timedelta(days=300) < made.not_valid_after_utc - now
    assert made.not_valid_after_utc - now < datetime.timedelta(days=398)


def test_a_self_signed_certificate_is_kept(tmp_path: Path) -> None:
    """Restarts use it again, as long as it is for the names; others cannot read its key."""
    before = _make(tmp_path / "folder")
    folder = tmp_path / "folder"
    if os.name == "posix":
        assert (folder / "self-signed.key").stat().st_mode & 0o777 == 0o600
    self_signed(folder, ("localhost", "127.0.0.1"))
    assert _kept(folder).serial_number == before
    self_signed(folder, ("chat.example", "localhost"))
    renamed = _kept(folder)
    assert renamed.serial_number != before
    names = renamed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["chat.example", "localhost"]


def test_a_self_signed_certificate_that_is_no_use_is_made_again(tmp_path: Path) -> None:
    """Half a pair, or a file that holds something else, does not keep the server from starting."""
    _make(tmp_path / "folder")
    folder = tmp_path / "folder"
    names = ("localhost", "127.0.0.1")
    for spoil in (
        (folder / "self-signed.pem").unlink,
        (folder / "self-signed.key").unlink,
        lambda: (folder / "self-signed.pem").write_text("nothing"),
    ):
        before = _kept(folder).serial_number
        spoil()
        self_signed(folder, names)
        assert _kept(folder).serial_number != before


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It is told as a mistake in the configuration."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError):
        self_signed(tmp_path / "file", ("localhost",))
