"""A whole server with the fake providers, and people who subscribe and post events."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringmesh.server.push.keys import save_table
from ringmesh.server.push.records import LogEntry, State
from ringmesh.server.push.webpush import public_key_of
from tests.push.fake_apns import BUNDLE, KEY_ID, TEAM, FakeApns
from tests.push.fake_fcm import FakeFcm
from tests.push.fake_push_service import BrowserSubscription, FakePushService
from tests.push.values import CALL
from tests.server.api_client import Api, serving

LIMIT = 30.0

_numbers = itertools.count(1)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - the server knows nothing of tests
            await asyncio.sleep(0.005)


async def eventually_so(condition: Callable[[], Awaitable[bool]]) -> None:
    """The same for what has to be asked for."""
    async with asyncio.timeout(LIMIT):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def encoded(values: dict[str, Any]) -> str:
    """An event's universal message."""
    return base64.b64encode(json.dumps(values).encode()).decode()


@dataclass
class Person:
    """A signed-in user."""

    api: Api

    @property
    def id(self) -> int:
        assert self.api.user is not None
        return int(self.api.user["id"])

    async def subscribe(self, channel: str, token: str, **more: Any) -> dict[str, Any]:
        """With a token; members of `more` replace those of ``push_token`` or ``device``."""
        response = await self.api.post("/subscriptions", body_of(channel, token, **more))
        assert response.status_code == 201, response.text
        (entry,) = response.json()
        made: dict[str, Any] = entry["subscription"]
        return made

    async def subscribe_browser(self, browser: BrowserSubscription, udid: str = "tab") -> None:
        """As the page does."""
        body = {
            "notification_channel": "web",
            "device": {"platform": "web", "udid": udid},
            "push_token": {
                "environment": "production",
                "web_endpoint": browser.endpoint,
                "web_auth": browser.auth,
                "web_p256dh": browser.p256dh,
            },
        }
        response = await self.api.post("/subscriptions", body)
        assert response.status_code == 201, response.text

    async def post(
        self, ids: Any, values: dict[str, Any] | None = None, **members: Any
    ) -> list[dict[str, Any]]:
        """An event."""
        event = {
            "notification_type": "push",
            "message": encoded(CALL if values is None else values),
            "user": {"ids": ids},
            **members,
        }
        response = await self.api.post("/events", {"event": event})
        assert response.status_code == 201, response.text
        return [entry["event"] for entry in response.json()]


def body_of(channel: str, token: str, **more: Any) -> dict[str, Any]:
    """The body of ``POST /subscriptions`` for a phone."""
    platform = "android" if channel == "gcm" else "ios"
    return {
        "notification_channel": channel,
        "device": {
            "platform": more.get("platform", platform), "udid": more.get("udid", f"udid-{token}"),
        },
        "push_token": {
            "environment": more.get("environment", "production"),
            "client_identification_sequence": token,
            "bundle_identifier": BUNDLE,
        },
    }  # fmt: skip


def apns_token() -> str:
    """One that Apple could have given."""
    return f"{next(_numbers):064x}"


@dataclass
class World:
    """A server, its folder and the providers.

    Attributes:
        api: a client of the default application without a session.
    """

    folder: Path
    apns: FakeApns
    fcm: FakeFcm
    web: FakePushService
    web_key: str
    api: Api

    async def person(self, login: str) -> Person:
        """Sign in, and up if need be."""
        return Person(await self.api.as_user(login))

    async def browser(self) -> BrowserSubscription:
        """A browser that took the server's key."""
        return self.web.subscribe(self.web_key)

    async def log(self) -> list[LogEntry]:
        """Every push, the oldest first."""
        return (await self.api.server.push.log(None, 1000))[::-1]

    async def settled(self, count: int) -> list[LogEntry]:
        """Every push, once there are so many and none waits."""
        async with asyncio.timeout(LIMIT):
            while True:
                entries = await self.log()
                open_ones = [e for e in entries if e.state in (State.QUEUED, State.CLAIMED)]
                if len(entries) >= count and not open_ones:
                    return entries
                await asyncio.sleep(0.02)


def configure(
    folder: Path, application_id: int, apns: FakeApns, fcm: FakeFcm, web: FakePushService, key: str
) -> None:
    """Write the keys of all providers."""
    (folder / "push").mkdir(parents=True, exist_ok=True)
    (folder / "push" / "apns.p8").write_text(key)
    (folder / "push" / "web.pem").write_text(key)
    (folder / "push" / "account.json").write_text(json.dumps(fcm.service_account))
    ca_file = str(apns.certificate.file)
    tables = {
        "apns": {
            "key_file": "push/apns.p8", "key_id": KEY_ID, "team_id": TEAM,
            "bundle_identifier": BUNDLE, "url": apns.url, "sandbox_url": apns.url,
            "ca_file": ca_file,
        },
        "fcm": {
            "service_account_file": "push/account.json", "url": fcm.url, "ca_file": ca_file,
        },
        "web": {
            "key_file": "push/web.pem", "ca_file": ca_file,
            "allowed_hosts": [web.url.removeprefix("https://")],
        },
    }  # fmt: skip
    for provider, table in tables.items():
        save_table(folder, application_id, provider, table)


@asynccontextmanager
async def world(
    folder: Path, apns: FakeApns, fcm: FakeFcm, web: FakePushService, key: str, **settings: Any
) -> AsyncIterator[World]:
    """A running server whose first application has keys of all providers."""
    configure(folder, 1, apns, fcm, web, key)
    async with serving(folder, **settings) as api:
        assert api.application.id == 1
        yield World(folder, apns, fcm, web, public_key_of(key), api)
