"""``/calls/reject``, ``/ice_servers``, discovery, health, metrics and the page."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest

from ringmesh.server.client_address import client_address
from ringmesh.server.settings import Settings
from tests.server.api_client import SESSION_REQUIRED, Api, errors_of, serving


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("recipients", [4001, "4001", [4001, 4002], "4001,4002", ["4001"]])
async def test_reject(api: Api, recipients: object) -> None:
    """A reject is accepted for one user, a list or text with commas, and answered with JSON."""
    alice = await api.as_user("alice")
    body = {
        "sessionID": "2d4d5a26-5a5b-4f6e-9d49-ef4bd0d4a3b1",
        "recipientId": recipients,
        "platform": "Android",
        "userInfo": {"busy": "true", "deep": {"a": 1}},
    }
    response = await alice.post("/calls/reject.json", body)
    assert (response.status_code, response.json()) == (200, {})


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sessionID": None}, "sessionID"),
        ({"sessionID": "a b"}, "sessionID"),
        ({"sessionID": "x" * 129}, "sessionID"),
        ({"recipientId": None}, "recipientId"),
        ({"recipientId": "x"}, "recipientId"),
        ({"recipientId": [-1]}, "recipientId"),
        ({"recipientId": list(range(1, 40))}, "recipientId"),
        ({"platform": "<x/>"}, "platform"),
        ({"userInfo": "busy"}, "userInfo"),
        ({"userInfo": {"1 2": "x"}}, "userInfo"),
        ({"userInfo": {"x": "\x01"}}, "userInfo"),
    ],
)
async def test_bad_rejects(api: Api, change: dict[str, Any], field: str) -> None:
    """422 names the member that is wrong."""
    alice = await api.as_user("alice")
    body = {"sessionID": "x", "recipientId": 1, **change}
    response = await alice.post("/calls/reject", {k: v for k, v in body.items() if v is not None})
    assert response.status_code == 422, response.text
    assert field in errors_of(response)


@pytest.mark.asyncio(loop_scope="session")
async def test_calls_need_a_user(api: Api) -> None:
    """Only a user rejects calls and gets ICE servers."""
    application = await api.with_session()
    body = {"sessionID": "x", "recipientId": 1}
    assert (await application.post("/calls/reject", body)).status_code == 403
    assert (await application.get("/ice_servers")).status_code == 403
    assert (await api.post("/calls/reject", body)).json() == SESSION_REQUIRED
    assert (await api.get("/ice_servers")).json() == SESSION_REQUIRED


async def test_ice_servers(tmp_path: Path) -> None:
    """Static servers as set, and TURN credentials for this user that a coturn can check."""
    async with serving(
        tmp_path,
        clock=lambda: 1_800_000_000.0,
        ice_servers=[
            {"urls": ["stun:stun.example.org"]},
            {"urls": ["turn:old.example.org"], "username": "u", "credential": "c"},
        ],
        turn_urls=["turn:turn.example.org", "turn:turn.example.org?transport=tcp"],
        turn_secret="shared",
        turn_credential_lifetime_seconds=900,
    ) as api:
        alice = await api.as_user("alice")
        assert alice.user is not None
        answer = (await alice.get("/ice_servers.json")).json()
        assert answer["ttl"] == 900
        static, old, turn = answer["ice_servers"]
        assert static == {"urls": ["stun:stun.example.org"]}
        assert old == {"urls": ["turn:old.example.org"], "username": "u", "credential": "c"}
        assert turn["username"] == f"1800000900:{alice.user['id']}-{api.application.id}"
        mac = hmac.new(b"shared", turn["username"].encode(), hashlib.sha1).digest()
        assert turn["credential"] == base64.b64encode(mac).decode()
        assert turn["urls"] == ["turn:turn.example.org", "turn:turn.example.org?transport=tcp"]


async def test_discovery(tmp_path: Path) -> None:
    """The server's address is enough to learn everything else."""
    async with serving(tmp_path, chat_domain="chat.example.org") as api:
        document = (await api.get("/.well-known/ringmesh.json")).json()
        assert len(base64.urlsafe_b64decode(document.pop("web_push_key") + "=")) == 65
        assert document == {
            "application_id": api.application.id,
            "auth_key": api.application.auth_key,
            "api_url": api.server.url,
            "chat_domain": "chat.example.org",
            "chat_url": api.server.url.replace("http", "ws") + "/chat",
        }
        headers = {"Host": "calls.example.org", "X-Forwarded-Proto": "https"}
        elsewhere = (await api.get("/.well-known/ringmesh.json", headers=headers)).json()
        assert elsewhere["api_url"] == "http://calls.example.org"
        headers = {"Host": "<script>"}
        assert "<script>" not in (await api.get("/", headers=headers)).text


async def test_discovery_behind_a_proxy(tmp_path: Path) -> None:
    """A trusted proxy may say that the client came by https; the application can be kept back."""
    async with serving(tmp_path, trusted_proxies=["127.0.0.1"], publish_application=False) as api:
        headers = {"Host": "calls.example.org", "X-Forwarded-Proto": "https"}
        document = (await api.get("/.well-known/ringmesh.json", headers=headers)).json()
        assert document["chat_url"] == "wss://calls.example.org/chat"
        assert document["application_id"] is None
        assert document["auth_key"] is document["web_push_key"] is None


async def test_public_url(tmp_path: Path) -> None:
    """A public address in the settings goes before what the request says."""
    async with serving(tmp_path, public_url="https://calls.example.org/ring/") as api:
        document = (await api.get("/.well-known/ringmesh.json")).json()
        assert document["api_url"] == "https://calls.example.org/ring"
        assert document["chat_url"] == "wss://calls.example.org/ring/chat"


async def test_metrics_are_local(tmp_path: Path) -> None:
    """Metrics count requests; they are refused through a proxy and to web pages."""
    async with serving(tmp_path) as api:
        await api.get("/unknown-path")
        response = await api.get("/metrics")
        assert response.status_code == 200
        line = 'ringmesh_http_requests_total{method="GET",path="(unknown)",status="404"} 1.0'
        assert line in response.text
        assert "unknown-path" not in response.text
        for headers in ({"X-Forwarded-For": "203.0.113.1"}, {"Origin": "https://a.example"}):
            assert (await api.get("/metrics", headers=headers)).status_code == 403


async def test_public_metrics(tmp_path: Path) -> None:
    """A setting shows the metrics to everybody."""
    async with serving(tmp_path, metrics_public=True) as api:
        response = await api.get("/metrics", headers={"X-Forwarded-For": "203.0.113.1"})
        assert response.status_code == 200


@pytest.mark.asyncio(loop_scope="session")
async def test_health_and_page(api: Api) -> None:
    """The server says that it is well, and there is a page, built or not."""
    assert (await api.get("/health")).json() == {"status": "ok"}
    page = await api.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Ringmesh" in page.text


TRUSTED = Settings(trusted_proxies=["10.0.0.0/8", "::1"]).trusted_proxies


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.7, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "evil\n", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_client_address(peer: str, forwarded: str | None, address: str) -> None:
    """Only what trusted proxies added to X-Forwarded-For counts."""
    assert client_address(peer, forwarded, TRUSTED) == address
