"""A whole server: REST and chat together, start and stop."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from ringmesh.errors import ConfigurationError
from ringmesh.server import app
from ringmesh.server.app import Server
from ringmesh.server.data_folder import open_accounts
from ringmesh.server.settings import Settings, load_settings
from tests.chat.host import Client
from tests.server.api_client import Api, serving

LIMIT = 20.0
"""Seconds that anything may take here; only failures take that long."""


async def chat(user: Api) -> Client:
    """This user's chat stream, logged in with the token."""
    url = user.server.url.replace("http", "ws") + "/chat"
    websocket = await connect(
        url, subprotocols=[Subprotocol("xmpp")], compression=None, proxy=None, ping_interval=None
    )
    client = Client(websocket)
    assert user.user is not None
    assert user.token is not None
    await client.log_in(f"{user.user['id']}-{user.application.id}", user.token)
    return client


async def test_who_is_online(tmp_path: Path) -> None:
    """``/users/online`` shows who has a chat stream, in pages and as a count."""
    async with serving(tmp_path) as api:
        users = [await api.as_user(login) for login in ("alice", "bobby", "carol")]
        for user in users[:2]:
            await chat(user)
        reader = users[2]
        online = (await reader.get("/users/online.json")).json()["users"]
        assert [user["login"] for user in online] == ["alice", "bobby"]
        page = (await reader.get("/users/online?limit=1&offset=1")).json()["users"]
        assert [user["login"] for user in page] == ["bobby"]
        assert (await reader.get("/users/online?count=true")).json() == {"count": 2}


async def test_reject_reaches_the_caller(tmp_path: Path) -> None:
    """``POST /calls/reject`` becomes a signal from the user who sent it, with the call's id."""
    async with serving(tmp_path) as api:
        alice, bob = await api.as_user("alice"), await api.as_user("bobby")
        assert alice.user is not None
        assert bob.user is not None
        caller = await chat(alice)
        body = {
            "sessionID": "call-1",
            "recipientId": alice.user["id"],
            "platform": "web",
            "userInfo": {"busy": "true"},
        }
        assert (await bob.post("/calls/reject.json", body)).json() == {}
        signal = await caller.receive()
        assert signal.get("type") == "headline"
        sender = f"{bob.user['id']}-{api.application.id}@{api.server.settings.chat_domain}"
        assert (signal.get("from") or "").partition("/")[0] == sender
        parameters = signal.child("extraParams")
        assert parameters is not None
        assert parameters.child_text("signalType") == "reject"
        assert parameters.child_text("sessionID") == "call-1"


@pytest.mark.parametrize("way", ["rest", "another process"])
async def test_removed_users_leave_the_chat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A removed user's streams are closed, also when a command removed the user."""
    monkeypatch.setattr(app, "HOUSEKEEPING_SECONDS", 0.05)
    async with serving(tmp_path) as api:
        alice, bob = await api.as_user("alice"), await api.as_user("bobby")
        assert alice.user is not None
        leaving, staying = await chat(alice), await chat(bob)
        if way == "rest":
            await alice.delete(f"/users/{alice.user['id']}")
        else:
            other = await open_accounts(tmp_path, Settings())
            user = await other.users.get(api.application.id, alice.user["id"])
            assert user is not None
            await other.users.remove(user)
            await other.close()
        async with asyncio.timeout(LIMIT):
            await leaving.end()
        assert (await bob.get("/users/online?count=true")).json() == {"count": 1}
        await staying.websocket.close()


async def test_stop_closes_streams_properly(tmp_path: Path) -> None:
    """At shutdown a client is told by a closing handshake, not cut off."""
    async with serving(tmp_path) as api:
        client = await chat(await api.as_user("alice"))
        stopping = asyncio.create_task(api.server.stop())
        async with asyncio.timeout(LIMIT):
            frames, code = await client.end()
            await stopping
        assert any(frame.startswith("<close ") for frame in frames)
        assert code in (1000, 1001)


async def test_restart_keeps_everything(tmp_path: Path) -> None:
    """Users, tokens and the application outlive a restart."""
    async with serving(tmp_path) as api:
        alice = await api.as_user("alice")
    async with serving(tmp_path) as again:
        assert again.application == api.application
        assert again.server.created is False
        session = Api(again.http, again.application, again.server, alice.token)
        assert (await session.get("/session")).json()["session"]["user"]["login"] == "alice"


async def test_failed_start_leaves_nothing(tmp_path: Path) -> None:
    """A start that fails frees the port, so that the next one can have it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError):
        await Server(tmp_path / "file", load_settings(port=port)).start()
    missing = tmp_path / "missing.pem"
    settings = load_settings(port=port, tls_certificate=missing, tls_key=missing)
    with pytest.raises(ConfigurationError, match="certificate"):
        await Server(tmp_path, settings).start()
    async with Server(tmp_path, load_settings(port=port)) as server:
        assert server.url == f"http://127.0.0.1:{port}"
        with pytest.raises(ConfigurationError, match=f"port {port}"):
            await Server(tmp_path / "other", load_settings(port=port)).start()
