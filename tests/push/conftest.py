"""Fake providers, running."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringmesh.server.push import connection, link
from ringmesh.server.push.apns import ApnsSender
from ringmesh.server.push.contract import ApnsKeys, FcmKeys, WebKeys
from ringmesh.server.push.fcm import FcmSender
from ringmesh.server.push.web import WebSender
from ringmesh.server.push.webpush import load_p256_key, new_vapid_key
from tests.push.fake_apns import BUNDLE, KEY_ID, TEAM, FakeApns
from tests.push.fake_fcm import FakeFcm
from tests.push.fake_push_service import FakePushService
from tests.push.host import World, world
from tests.push.provider import Certificate, make_certificate


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--push-crashes N``: see `test_crashes`."""
    parser.addoption("--push-crashes", type=int, default=None, help="how often to kill the server")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """What the providers show and the senders trust."""
    return make_certificate(tmp_path_factory.mktemp("provider"))


@pytest.fixture(scope="session")
def key() -> str:
    """A P-256 key as PEM."""
    return new_vapid_key()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for providers are short, but long enough for a busy machine."""
    monkeypatch.setattr(link, "SEND_SECONDS", 3.0)
    monkeypatch.setattr(connection, "BODY_SECONDS", 0.5)


@pytest.fixture
async def apns(certificate: Certificate, key: str) -> AsyncIterator[FakeApns]:
    """Apple."""
    async with FakeApns(certificate, load_p256_key(key, "key").public_key()) as running:
        yield running


@pytest.fixture
def apns_keys(apns: FakeApns, key: str) -> ApnsKeys:
    """Keys that Apple knows."""
    return ApnsKeys(
        private_key=key,
        key_id=KEY_ID,
        team_id=TEAM,
        bundle_identifier=BUNDLE,
        url=apns.url,
        sandbox_url=apns.url,
        ca_file=apns.certificate.file,
    )


@pytest.fixture
async def apns_sender(apns_keys: ApnsKeys) -> AsyncIterator[ApnsSender]:
    """Sends to the fake Apple."""
    sender = ApnsSender(apns_keys)
    yield sender
    await sender.close()


@pytest.fixture
async def fcm(certificate: Certificate) -> AsyncIterator[FakeFcm]:
    """Google."""
    async with FakeFcm(certificate) as running:
        yield running


@pytest.fixture
async def fcm_sender(fcm: FakeFcm) -> AsyncIterator[FcmSender]:
    """Sends to the fake Google."""
    sender = FcmSender(
        FcmKeys(service_account=fcm.service_account, url=fcm.url, ca_file=fcm.certificate.file)
    )
    yield sender
    await sender.close()


@pytest.fixture
async def push_service(certificate: Certificate) -> AsyncIterator[FakePushService]:
    """A browser and its push service."""
    async with FakePushService(certificate) as running:
        yield running


@pytest.fixture
async def web_sender(push_service: FakePushService, key: str) -> AsyncIterator[WebSender]:
    """Sends to the fake push service."""
    sender = WebSender(
        WebKeys(
            private_key=key,
            subject="mailto:admin@example.org",
            allowed_hosts=frozenset({push_service.url.removeprefix("https://")}),
            ca_file=push_service.certificate.file,
        )
    )
    yield sender
    await sender.close()


@pytest.fixture
async def running(
    tmp_path: Path, apns: FakeApns, fcm: FakeFcm, push_service: FakePushService, key: str
) -> AsyncIterator[World]:
    """A whole server with keys of all providers."""
    async with world(tmp_path, apns, fcm, push_service, key) as made:
        yield made
