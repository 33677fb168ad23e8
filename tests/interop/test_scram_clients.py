"""Clients that others wrote, at a server that offers SCRAM: they do not tell the password."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from unittest.mock import patch

import pytest
import pytest_asyncio

import ringmesh
from ringmesh.protocol.jid import user_jid
from ringmesh.server.accounts.user_input import UserInput
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from tests.interop.browser import Endpoints
from tests.interop.conftest import PASSWORD
from tests.interop.native_peer import native_peer
from tests.interop.node_peer import node_peer


def own_address() -> str:
    """An address of this machine that is not loopback. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@pytest_asyncio.fixture(loop_scope="session")
async def scram_server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server that offers SCRAM, also to other machines."""
    ports = {"xmpp_port": 0, "xmpps_port": 0}
    settings = load_settings(port=0, host="0.0.0.0", chat_self_signed=True, scram=True, **ports)
    async with Server(tmp_path, settings) as running:
        yield running


@pytest.mark.parametrize("direct_tls", [False, True], ids=["starttls", "xmpps"])
async def test_slixmpp(scram_server: Server, login: Callable[[], str], direct_tls: bool) -> None:
    """slixmpp takes the strongest mechanism, and is online with it."""
    found = await ringmesh.discover(scram_server.url)
    name = login()
    user = await scram_server.accounts.users.create(
        found.app_id, UserInput(login=name, password=PASSWORD)
    )
    async with ringmesh.connect(endpoints=found, login=name, password=PASSWORD):
        pass  # the server has seen the password once, and keeps keys of it
    port = scram_server.ports["xmpps_port" if direct_tls else "xmpp_port"]
    jid = f"{user_jid(user.id, found.app_id, found.chat_domain)}/native-0123456789"
    certificate = scram_server.data_dir / "self-signed.pem"
    async with native_peer(jid, PASSWORD, port, certificate, direct_tls=direct_tls) as peer:
        assert peer.client.plugin["feature_mechanisms"].mech.name == "SCRAM-SHA-256"


@pytest.mark.parametrize("transport", ["ws", "xmpps"])
async def test_npm_sdk_in_node(
    scram_server: Server, login: Callable[[], str], transport: str
) -> None:
    """The JavaScript SDK in Node proves that it knows the password, also where there is no TLS
    and the server is another machine: there it would not tell it."""
    found = await ringmesh.discover(scram_server.url)
    chat_url = {
        "ws": found.chat_url.replace("127.0.0.1", own_address()),
        "xmpps": f"xmpps://localhost:{scram_server.ports['xmpps_port']}",
    }[transport]
    endpoints = Endpoints(
        application_id=found.app_id,
        auth_key=found.auth_key,
        api_url=found.api_url,
        chat_domain=found.chat_domain,
        chat_url=chat_url,
    )
    scram = scram_server.accounts.scram
    assert scram is not None
    certificate = scram_server.data_dir / "self-signed.pem"
    with patch.object(scram, "answered", wraps=scram.answered) as answered:
        async with node_peer(
            endpoints, chat_url, login(), PASSWORD, certificate, transport == "xmpps"
        ) as peer:
            assert [call.args[1:] for call in answered.call_args_list] == [
                (peer.user_id, answered.call_args.args[2], True)
            ]
