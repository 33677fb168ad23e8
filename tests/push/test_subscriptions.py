"""``/subscriptions`` over a whole server."""

from __future__ import annotations

from typing import Any

from tests.push.host import World, apns_token, body_of
from tests.server.api_client import SESSION_REQUIRED, errors_of

P256DH = "BIPUL12DLfytvTajnryr2PRdAgXS3HGKiLqndGcJGabyhHheJYlNGCeXl1dn18gSJ1WAkAPIxr4gK0_dQds4yiI"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/abc"


def web(**changes: Any) -> dict[str, Any]:
    """The body of ``POST /subscriptions`` for a browser."""
    token = {
        "environment": "development", "web_endpoint": ENDPOINT, "web_auth": AUTH,
        "web_p256dh": P256DH, **changes,
    }  # fmt: skip
    kept = {name: value for name, value in token.items() if value is not None}
    device = {"platform": "web", "udid": "tab"}
    return {"notification_channel": "web", "device": device, "push_token": kept}


async def test_a_phone(running: World) -> None:
    """The answer is a list whose entry has the token where old and new mobile SDKs look for it."""
    ada = await running.person("ada")
    response = await ada.api.post("/subscriptions.json", body_of("gcm", "a-token", udid="u1"))
    assert response.status_code == 201
    token = {
        "client_identification_sequence": "a-token",
        "bundle_identifier": "org.example.calls",
        "environment": "production",
    }
    (entry,) = response.json()
    assert entry["subscription"].pop("id") > 0
    assert entry == {
        "subscription": {
            "notification_channel": {"name": "gcm"},
            "device": {"udid": "u1", "platform": {"name": "android"}, **token},
            **token,
        }
    }


async def test_a_browser(running: World) -> None:
    """Its endpoint stands for the token; its keys are told to nobody."""
    ada = await running.person("ada")
    response = await ada.api.post("/subscriptions", web(web_auth=AUTH + "=="))
    assert response.status_code == 201
    assert ENDPOINT in response.text
    assert P256DH not in response.text
    assert AUTH not in response.text
    (kept,) = (await ada.api.get("/subscriptions")).json()
    assert kept == response.json()[0]


async def test_same_device_and_channel(running: World) -> None:
    """A new token replaces the old one of this user, device and channel, and nothing else."""
    ada, bob = await running.person("ada"), await running.person("bob")
    first = await ada.subscribe("gcm", "old-token", udid="phone")
    other = await ada.subscribe("gcm", "tablet-token", udid="tablet")
    ring = await ada.subscribe("apns_voip", apns_token(), udid="phone")
    his = await bob.subscribe("gcm", "his-token", udid="phone")
    again = await ada.subscribe("gcm", "new-token", udid="phone")
    assert again["id"] == first["id"]
    mine = {entry["subscription"]["id"] for entry in (await ada.api.get("/subscriptions")).json()}
    assert mine == {first["id"], other["id"], ring["id"]}
    (kept,) = (await bob.api.get("/subscriptions")).json()
    assert kept["subscription"]["id"] == his["id"]


async def test_a_device_changes_hands(running: World) -> None:
    """Whoever subscribed a token last has it: the former user's calls do not ring there."""
    ada, bob = await running.person("ada"), await running.person("bob")
    await ada.subscribe("gcm", "shared-token")
    await bob.subscribe("gcm", "shared-token")
    assert (await ada.api.get("/subscriptions")).json() == []


async def test_removal(running: World) -> None:
    """One removes one's own; others' and missing ones are nothing."""
    ada, bob = await running.person("ada"), await running.person("bob")
    made = await ada.subscribe("gcm", "a-long-token")
    assert (await bob.api.delete(f"/subscriptions/{made['id']}")).status_code == 404
    gone = await ada.api.delete(f"/subscriptions/{made['id']}.json")
    assert (gone.status_code, gone.text) == (200, "")
    for number in (made["id"], 0, 2**70, "x"):
        assert (await ada.api.delete(f"/subscriptions/{number}")).status_code == 404
    assert (await ada.api.get("/subscriptions.json")).json() == []


async def test_the_oldest_make_room(running: World) -> None:
    """A user has twenty devices at most."""
    ada = await running.person("ada")
    for number in range(22):
        await ada.subscribe("gcm", f"token-{number:02}")
    kept = [entry["subscription"] for entry in (await ada.api.get("/subscriptions")).json()]
    tokens = [one["client_identification_sequence"] for one in kept]
    assert tokens == [f"token-{number:02}" for number in range(2, 22)]


async def test_who_may(running: World) -> None:
    """Users alone; not without a session, and not the application."""
    assert (await running.api.get("/subscriptions")).json() == SESSION_REQUIRED
    nobody = await running.api.with_session()
    refused = await nobody.post("/subscriptions", body_of("gcm", "a-long-token"))
    assert refused.status_code == 403


BAD: list[tuple[dict[str, Any], str]] = [
    ({**body_of("gcm", "a-long-token"), "notification_channel": "fax"}, "notification_channel"),
    (body_of("gcm", ""), "client_identification_sequence"),
    (body_of("gcm", "with space"), "client_identification_sequence"),
    (body_of("apns", "not hexadecimal"), "client_identification_sequence"),
    (body_of("gcm", "a-long-token", platform="toaster"), "platform"),
    (body_of("gcm", "a-long-token", udid=""), "udid"),
    (body_of("gcm", "a-long-token", environment="test"), "environment"),
    (web(web_auth=None), "web_auth"),
    (web(web_p256dh=None), "web_p256dh"),
    (web(web_auth="%%%"), "web_auth"),
    (web(web_auth="YWJj"), "web_auth"),
    (web(web_p256dh=P256DH[:-4]), "web_p256dh"),
    (web(web_p256dh="B" + "A" * 86), "web_p256dh"),
    (web(web_endpoint=None), "web_endpoint"),
]


async def test_bad_input(running: World) -> None:
    """What is missing or wrong is named."""
    ada = await running.person("ada")
    for body, field in BAD:
        response = await ada.api.post("/subscriptions", body)
        assert response.status_code == 422
        assert list(errors_of(response)) == [field]
    assert set(errors_of(await ada.api.post("/subscriptions", {}))) == {
        "notification_channel", "device", "push_token",
    }  # fmt: skip


PRIVATE = [
    "http://updates.push.services.mozilla.com/x",
    "https://127.0.0.1/x",
    "https://[::1]/x",
    "https://[::ffff:10.0.0.1]/x",
    "https://[64:ff9b::7f00:1]/x",
    "https://169.254.169.254/latest/meta-data",
    "https://localhost/x",
    "https://db.internal/x",
    "https://redis/x",
    "https://2130706433/x",
    "https://0x7f.1/x",
    "https://user@example.org/x",
    "https://example.org:99999/x",
    "https://example.org\\@127.0.0.1/x",
    "https://example.org/" + "x" * 2100,
    "file:///etc/passwd",
]


async def test_private_networks(running: World) -> None:
    """The server does not let itself be sent into its own network."""
    ada = await running.person("ada")
    for endpoint in PRIVATE:
        response = await ada.api.post("/subscriptions", web(web_endpoint=endpoint))
        assert response.status_code == 422, endpoint
        assert list(errors_of(response)) == ["web_endpoint"]


async def test_names_of_the_channel(running: World) -> None:
    """The member may be called as the documents of one SDK have it, and written in capitals."""
    ada = await running.person("ada")
    body = body_of("gcm", "a-long-token")
    body["notification_channels"] = body.pop("notification_channel").upper()
    assert (await ada.api.post("/subscriptions", body)).status_code == 201
