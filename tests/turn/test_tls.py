"""Relays reached over TLS (``turns:``), with certificates to trust and with others."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from ringmesh.client.doctor_findings import Outcome, ProblemError
from ringmesh.client.doctor_media import check_candidates, check_servers
from ringmesh.ice import IceServer
from ringmesh.media.wrtc_engine import WrtcEngine
from ringmesh.server.turn import ManagedRelay
from ringmesh.server.turn.addresses import free_port
from ringmesh.stun.probe import Verdict, probe_relay
from tests.interop.browser import CHROMIUM_FLAGS
from tests.turn.relays import credentials, make_certificate, managed_relay

RELAYED_HELLO = """async (server) => {
    const configuration = {iceServers: [server], iceTransportPolicy: 'relay'};
    const ends = [new RTCPeerConnection(configuration), new RTCPeerConnection(configuration)];
    const gathered = ends.map((end) => new Promise((done) => {
        end.onicegatheringstatechange = () => end.iceGatheringState === 'complete' && done();
    }));
    const channel = ends[0].createDataChannel('hello');
    const heard = new Promise((done) => {
        ends[1].ondatachannel = (event) => { event.channel.onmessage = (word) => done(word.data); };
    });
    channel.onopen = () => channel.send('hello');
    await ends[0].setLocalDescription();
    await gathered[0];
    if (!ends[0].localDescription.sdp.includes('typ relay')) return 'no relay';
    await ends[1].setRemoteDescription(ends[0].localDescription);
    await ends[1].setLocalDescription();
    await gathered[1];
    await ends[0].setRemoteDescription(ends[1].localDescription);
    return await heard;
}"""


@asynccontextmanager
async def tls_relay(
    folder: Path, name: str = "localhost"
) -> AsyncIterator[tuple[ManagedRelay, str]]:
    """A relay whose certificate is for this name, and its URL over TLS at this machine."""
    certificate, key = make_certificate(folder, f"DNS:{name}")
    port = free_port(ip_address("127.0.0.1"))
    async with managed_relay(
        public_url=f"https://{name}",
        tls_certificate=certificate,
        tls_key=key,
        turn_extra_ports=(port,),
    ) as relay:
        url = f"turns:{name}:{port}?transport=tcp"
        assert url in relay.settings.turn_urls, "users are told of it"
        yield relay, url.replace(name, "localhost")


def pin(certificate: Path) -> str:
    """By which Chromium can be told to trust this certificate's key."""
    public = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-pubkey", "-noout"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "der"],
        input=public, check=True, capture_output=True,
    ).stdout  # fmt: skip
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


async def test_relay_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with certificate and public URL names its relay over TLS too, and it relays."""
    async with tls_relay(tmp_path) as (relay, url):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        result = await probe_relay(url, *credentials(relay))
        assert result.works, result


async def test_untrusted_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor names the certificate as the cause; the media engine goes by its own list."""
    async with tls_relay(tmp_path) as (relay, url):
        server = IceServer((url,), *credentials(relay))
        (check,) = await check_servers([server])
        assert check.outcome is Outcome.FAILED
        assert "certificate is not trusted: self-signed" in check.detail
        assert "certificate for the very name" in (check.remedy or "")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        with pytest.raises(ProblemError, match="no relay"):
            await check_candidates(WrtcEngine(), [server])


async def test_certificate_for_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted certificate counts for its own name alone."""
    async with tls_relay(tmp_path, "relay.example") as (relay, url):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        result = await probe_relay(url, *credentials(relay))
        assert result.verdict is Verdict.UNTRUSTED
        assert "Hostname mismatch" in result.detail


async def test_no_tls_there() -> None:
    """A port that speaks no TLS is told as such."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"SSH-2.0-OpenSSH\r\n")

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        result = await probe_relay(f"turns:127.0.0.1:{port}", "name", "password")
    assert result.verdict is Verdict.UNREACHABLE
    assert "no TLS connection" in result.detail


@pytest.mark.browser
@pytest.mark.parametrize("trusted", [True, False])
async def test_chromium_over_tls(tmp_path: Path, trusted: bool) -> None:
    """Chromium relays over TLS, where it trusts the certificate, and only there."""
    async with tls_relay(tmp_path) as (relay, url), async_playwright() as playwright:
        flags = list(CHROMIUM_FLAGS)
        if trusted:
            flags.append(
                f"--ignore-certificate-errors-spki-list={pin(tmp_path / 'certificate.pem')}"
            )
        path = os.environ.get("RINGMESH_CHROMIUM") or shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=path, args=flags)
        try:
            name, password = credentials(relay)
            server = {"urls": url, "username": name, "credential": password}
            page = await browser.new_page()
            heard = await page.evaluate(RELAYED_HELLO, server)
        finally:
            await browser.close()
    assert heard == ("hello" if trusted else "no relay")
