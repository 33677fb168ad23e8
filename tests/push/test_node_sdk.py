"""``pushnotifications`` of the unmodified npm SDK, against a whole server and fake providers."""

from __future__ import annotations

from typing import Any

import pytest

from ringmesh.server.push.contract import Channel, Kind
from ringmesh.server.push.records import State
from tests.node import run_script
from tests.push.host import World


async def run_pushes(running: World) -> dict[str, Any]:
    """What the script got."""
    browser = await running.browser()
    api = running.api
    return await run_script(
        "push.cjs",
        {
            "application_id": api.application.id,
            "auth_key": api.application.auth_key,
            "api_url": api.server.url,
            "chat_domain": api.server.settings.chat_domain,
            "endpoint": browser.endpoint,
            "auth": browser.auth,
            "p256dh": browser.p256dh,
        },
    )


@pytest.mark.browser
async def test_subscriptions_and_events(running: World) -> None:
    """Subscribing, replacing, listing and deleting work as in the service that the SDK was made
    for; events reach phone and browser; refusals come in the form that the SDK reads."""
    running.fcm.tokens.add("node-token-2")
    got = await run_pushes(running)
    first, again = got["phone"][0]["subscription"], got["replaced"][0]["subscription"]
    assert first["id"] == again["id"]
    assert again["client_identification_sequence"] == "node-token-2"
    assert got["list"] == [*got["replaced"], *got["browser"]]
    assert got["keyless"]["code"] == 422
    assert list(got["keyless"]["errors"]) == ["web_auth"]
    channels = [entry["event"]["notification_channel"]["name"] for entry in got["ring"]]
    assert channels == ["gcm", "web"]
    assert got["unreadable"]["code"] == 422
    assert (got["deleted"], got["deletedAgain"]["code"]) == ("", 404)
    assert got["left"] == got["replaced"]
    entries = await running.settled(3)
    assert {entry.state for entry in entries} == {State.DELIVERED}
    ring = {entry.channel for entry in entries if entry.kind is Kind.START}
    assert ring == {Channel.GCM, Channel.WEB}
    assert running.fcm.messages[-1]["data"] == {"message": "Žluť 🎉", "chat": "7"}
    assert running.web.received[0].content["data"]["callType"] == "video"
