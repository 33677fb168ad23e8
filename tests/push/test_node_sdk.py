"""``pushnotifications`` of the unmodified npm SDK, against a whole server and fake providers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ringmesh.server.push.contract import Channel, Kind
from ringmesh.server.push.records import State
from tests.push.host import World

SCRIPT = Path(__file__).parent.parent / "interop" / "node" / "push.cjs"


async def run_script(running: World) -> dict[str, Any]:
    """What the script got."""
    browser = await running.browser()
    api = running.api
    document = {
        "application_id": api.application.id, "auth_key": api.application.auth_key,
        "api_url": api.server.url, "chat_domain": api.server.settings.chat_domain,
        "endpoint": browser.endpoint, "auth": browser.auth, "p256dh": browser.p256dh,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        "node", str(SCRIPT), json.dumps(document),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    if process.returncode:
        pytest.fail(errors.decode())
    got: dict[str, Any] = json.loads(output)
    return got


@pytest.mark.browser
async def test_subscriptions_and_events(running: World) -> None:
    """Subscribing, replacing, listing and deleting work as in the service that the SDK was made
    for; events reach phone and browser; refusals come in the form that the SDK reads."""
    running.fcm.tokens.add("node-token-2")
    got = await run_script(running)
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
