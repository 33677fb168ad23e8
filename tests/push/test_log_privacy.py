"""What a server that pushes never logs, at any level."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from ringmesh.server.logging import configure_logging
from ringmesh.server.settings import LogFormat, LogLevel
from tests.push.host import World, apns_token
from tests.push.provider import Answer, Fault
from tests.push.test_subscriptions import web
from tests.push.values import CALL


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Other tests log as before."""
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**config)


async def test_tokens_and_keys(
    running: World, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither tokens, endpoints, keys nor what messages say, whether they arrive or not."""
    configure_logging(LogFormat.JSON, LogLevel.DEBUG)
    ada = await running.person("ada")
    device, browser = apns_token(), await running.browser()
    running.apns.devices.add(device)
    running.fcm.tokens.add("registration-6f1d")
    await ada.subscribe("apns", device)
    await ada.subscribe("gcm", "registration-6f1d")
    await ada.subscribe_browser(browser)
    await ada.post(ada.id, {"message": "words-of-ada-33c1"})
    await running.settled(3)
    running.fcm.faults.extend([Answer(503, {"retry-after": "1"})])
    running.apns.faults.append(Fault.DROP)
    running.web.faults.append(Answer(410))
    await ada.post(ada.id, {**CALL, "message": "words-of-ada-33c1"})
    await ada.api.post("/subscriptions", web(web_endpoint="https://10.0.0.1/secret-path-19aa"))
    await running.settled(6)
    logged = capsys.readouterr().err
    assert '"push": ' in logged, "nothing was logged at all"
    secrets = [
        device, "registration-6f1d", browser.path, browser.auth, browser.p256dh, "33c1",
        "secret-path-19aa", running.fcm.access_token, ada.api.token or "?", *key.splitlines()[1:3],
    ]  # fmt: skip
    assert [secret for secret in secrets if secret in logged] == []
