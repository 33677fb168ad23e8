"""The managed relay and the doctor, seen from inside other networks."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.netlab.world import LIMIT, RELAY, URL, World, world

RINGMESH = Path(sys.executable).with_name("ringmesh")


async def doctor(here: World, host: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Exit code and findings by subject of ``ringmesh doctor`` on a host."""
    ended = await asyncio.to_thread(
        here.lab.run,
        host,
        [RINGMESH, "doctor", "--server", URL, "--login", "alice", "--password", "secret", "--json"],
        timeout=LIMIT,
        env=here.environment(),
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for check in json.loads(ended.stdout)["checks"]:
        found.setdefault(check["subject"], []).append(check)
    return ended.returncode, found


@pytest.mark.parametrize("scenario", ["symmetric", "udp-blocked"])
async def test_doctor(scenario: str) -> None:
    """The doctor finds relays that work over UDP and TCP, and tells a network that blocks UDP."""
    async with world(scenario) as here:
        code, found = await doctor(here, "a")
        assert code == 0
        by_url = {check["detail"].split(": ")[0]: check["outcome"] for check in found["relay"]}
        blocked = scenario == "udp-blocked"
        assert by_url == {
            f"turn:{RELAY}:3478?transport=udp": "warning" if blocked else "ok",
            f"turn:{RELAY}:3478?transport=tcp": "warning" if blocked else "ok",
            f"turn:{RELAY}:443?transport=tcp": "ok",
        }
        assert {check["outcome"] for check in found["stun"]} == {"warning" if blocked else "ok"}
        (candidates,) = found["candidates"]
        kinds = "host, relay" if blocked else "host, relay, srflx"
        assert kinds in candidates["detail"]
        assert found["tls"][0]["outcome"] == "warning"  # the laboratory's certificate is young


PERMIT = """
import asyncio, sys
from ringmesh.client.rest import RestClient
from ringmesh.client.sign_in import discover
from ringmesh.stun.client import RelayRefusedError, open_client
from ringmesh.stun.message import TransportAddress
from ringmesh.stun.url import ServerUrl

async def main(url, *peers):
    ends = await discover(url)
    rest = RestClient(url, app_id=ends.app_id, auth_key=ends.auth_key)
    await rest.create_session({"login": "eve", "password": "secret12"})
    server = (await rest.ice_servers())[-1]
    async with open_client(ServerUrl.parse(server.urls[0])) as client:
        await client.allocate(server.username, server.credential)
        for peer in peers:
            try:
                await client.permit(TransportAddress.of(peer, 443))
                print(peer, "allowed")
            except RelayRefusedError as error:
                print(peer, error.status)
    await rest.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_relay_does_not_reach_the_server() -> None:
    """A signed-in user's relay reaches peers outside, but not the server's own address."""
    async with world("cone") as here:
        ended = await asyncio.to_thread(
            here.lab.run,
            "a",
            [sys.executable, "-c", PERMIT, URL, "203.0.113.10", "192.168.1.2", "198.51.100.12"],
            timeout=LIMIT,
            env=here.environment(),
        )
        assert ended.stdout.split("\n")[:3] == [
            "203.0.113.10 403",
            "192.168.1.2 403",
            "198.51.100.12 allowed",
        ], ended.stderr
