"""The server is killed between taking events and sending them, and nothing that it took is lost.

``pytest tests/push/test_crashes.py --push-crashes 100`` does it a hundred times.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.client.test_server_crashes import Crashing
from tests.push.fake_apns import FakeApns
from tests.push.fake_fcm import FakeFcm
from tests.push.fake_push_service import FakePushService
from tests.push.host import body_of, configure, encoded, eventually

CRASHES = 3
AT_ONCE = 8


@pytest.fixture
async def crashing(
    tmp_path: Path, apns: FakeApns, fcm: FakeFcm, push_service: FakePushService, key: str
) -> AsyncIterator[Crashing]:
    """A server in a process of its own, with keys of all providers."""
    configure(tmp_path, 1, apns, fcm, push_service, key)
    server = Crashing(tmp_path)
    await server.start()
    yield server
    await server.kill()


async def signed_in(http: httpx2.AsyncClient) -> tuple[str, int]:
    """A user's token and id."""
    facts = (await http.get("/.well-known/ringmesh.json")).json()
    body = {
        "application_id": facts["application_id"], "auth_key": facts["auth_key"],
        "user": {"login": "bob", "password": "password"},
    }  # fmt: skip
    session = (await http.post("/session", json=body)).json()["session"]
    return session["token"], session["user_id"]


@pytest.mark.timeout(1800)
async def test_nothing_accepted_is_lost(
    crashing: Crashing, fcm: FakeFcm, request: pytest.FixtureRequest
) -> None:
    """Every push that was taken gets to the provider, however the server ends; none is sent more
    often than its attempts are counted."""
    crashes = request.config.getoption("--push-crashes", default=None) or CRASHES
    fcm.tokens.add("bobs")
    numbers = itertools.count()
    accepted: set[str] = set()
    chance = random.Random(7)
    async with httpx2.AsyncClient(base_url=crashing.url, timeout=30) as http:
        token, bob = await signed_in(http)
        headers = {"CB-Token": token}
        await http.post("/subscriptions", json=body_of("gcm", "bobs"), headers=headers)

        async def post() -> None:
            number = str(next(numbers))
            event = {"message": encoded({"message": "m", "n": number}), "user": {"ids": [bob]}}
            try:
                answer = await http.post("/events", json={"event": event}, headers=headers)
            except httpx2.TransportError:
                return
            assert answer.status_code == 201, answer.text
            accepted.add(number)

        for _ in range(crashes):
            before = len(accepted)
            posting = [asyncio.create_task(post()) for _ in range(AT_ONCE)]
            await eventually(lambda at_least=before: len(accepted) > at_least)  # type: ignore[misc]
            await asyncio.sleep(chance.random() * 0.02)
            await crashing.kill()
            await asyncio.gather(*posting)
            await crashing.start()
        await eventually(lambda: accepted <= set(_sent(fcm)))
    assert len(accepted) >= crashes
    assert max(_sent(fcm).values()) <= crashes + 1


def _sent(fcm: FakeFcm) -> Counter[str]:
    """How often each push got to the provider."""
    return Counter(str(message["data"]["n"]) for message in fcm.messages)
