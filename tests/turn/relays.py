"""A managed relay on this machine, and credentials for it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ringmesh.server.ice import turn_credentials
from ringmesh.server.settings import Settings, load_settings
from ringmesh.server.turn import ManagedRelay
from ringmesh.stun.client import StunClient, open_client
from ringmesh.stun.url import ServerUrl


def relay_settings(**more: Any) -> Settings:
    """On loopback, whose addresses a relay otherwise refuses as peers."""
    return load_settings(
        **{
            "turn_managed": True,
            "host": "127.0.0.1",
            "turn_port": 0,
            "turn_relay_ports": "40000-40999",
            "turn_allowed_peers": ("127.0.0.1/32",),
            **more,
        }
    )


@asynccontextmanager
async def managed_relay(**more: Any) -> AsyncIterator[ManagedRelay]:
    """A relay that has been started and checked."""
    relay = ManagedRelay(relay_settings(**more))
    await relay.start()
    try:
        await relay.check()
        yield relay
    finally:
        await relay.stop()


def secret_of(relay: ManagedRelay) -> str:
    """What the relay shares with its server."""
    assert relay.settings.turn_secret is not None
    return relay.settings.turn_secret.get_secret_value()


def credentials(relay: ManagedRelay, user: str = "1-1", seconds: int = 600) -> tuple[str, str]:
    """Good ones, for so long."""
    return turn_credentials(secret_of(relay), user, int(time.time()), seconds)


@asynccontextmanager
async def allocated(relay: ManagedRelay, user: str = "1-1") -> AsyncIterator[StunClient]:
    """A client that has a relay."""
    async with open_client(ServerUrl.parse(relay.settings.turn_urls[0])) as client:
        await client.allocate(*credentials(relay, user))
        try:
            yield client
        finally:
            await client.refresh(0)


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for ``IP:…`` or ``DNS:…``, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "30", "-subj", "/CN=test", "-addext", f"subjectAltName={name}",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key
