"""The FCM sender against a fake Google: OAuth, HTTP v1, and its failures."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.oauth2 import service_account
from joserfc import jwt
from joserfc.jwk import RSAKey

from ringmesh.errors import ConfigurationError
from ringmesh.server.push.contract import (
    DELIVERED,
    Channel,
    FcmKeys,
    Kind,
    Outcome,
    Push,
    Status,
)
from ringmesh.server.push.fcm import SCOPE, FcmSender, ServiceAccount
from tests.push.fake_fcm import FakeFcm
from tests.push.provider import Answer, Certificate, Fault
from tests.push.values import push, subscription

TOKEN_PASSES = None  # the first request is for the access token


def to(token: str = "registration-token", **changes: Any) -> Push:
    """A call's start to an Android device."""
    return push(subscription(Channel.GCM, token=token), **changes)


async def test_a_call(fcm: FakeFcm, fcm_sender: FcmSender) -> None:
    """Values are text, priority is high, and it lives no longer than the ring."""
    assert await fcm_sender.send(to()) == DELIVERED
    message = fcm.messages[0]
    assert message["token"] == "registration-token"
    assert message["data"]["call_type"] == "1"
    assert message["data"]["signal_type"] == "startCall"
    assert message["android"]["priority"] == "HIGH"
    assert 25 <= int(message["android"]["ttl"].removesuffix("s")) <= 30


async def test_other_messages(fcm: FakeFcm, fcm_sender: FcmSender) -> None:
    """They have no high priority; `expiration` 0 means now or never."""
    values = {"message": "x", "expiration": 0, "android_fcm_notification": {"tag": "a"}}
    assert await fcm_sender.send(to(values=values, kind=Kind.OTHER)) == DELIVERED
    assert fcm.messages[0]["android"] == {
        "notification": {"tag": "a"},
        "priority": "NORMAL",
        "ttl": "0s",
    }


async def test_one_access_token_for_many(fcm: FakeFcm, fcm_sender: FcmSender) -> None:
    """A hundred pushes at once ask for one access token, over one connection each."""
    async with asyncio.TaskGroup() as group:
        sent = [group.create_task(fcm_sender.send(to())) for _ in range(100)]
    assert {task.result() for task in sent} == {DELIVERED}
    assert fcm.grants == 1
    assert fcm.connections == 2


async def test_access_tokens_that_end(fcm: FakeFcm) -> None:
    """Refused, it is fetched anew at once; near its end, before it is refused."""
    now = time.time()
    keys = FcmKeys(service_account=fcm.service_account, url=fcm.url, ca_file=fcm.certificate.file)
    sender = FcmSender(keys, clock=lambda: now)
    assert await sender.send(to()) == DELIVERED
    fcm.access_token = "access-2"
    assert await sender.send(to()) == DELIVERED
    assert fcm.grants == 2
    now += 3400
    assert await sender.send(to(expires_at=int(now) + 9)) == DELIVERED
    assert fcm.grants == 3
    await sender.close()


async def test_dead_tokens(fcm: FakeFcm, fcm_sender: FcmSender) -> None:
    """Uninstalled, and never a token at all."""
    fcm.gone.add("gone")
    assert await fcm_sender.send(to("gone")) == Outcome(Status.DEAD_TOKEN, "UNREGISTERED")
    assert (await fcm_sender.send(to("invented"))).status is Status.DEAD_TOKEN


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (
            Answer(429, {"retry-after": "60"}, {"error": {"status": "RESOURCE_EXHAUSTED"}}),
            Outcome(Status.RETRY, "RESOURCE_EXHAUSTED", 60.0),
        ),
        (Answer(500), Outcome(Status.RETRY, "HTTP 500")),
        (
            Answer(503, {"retry-after": "4"}, {"error": {"status": "UNAVAILABLE"}}),
            Outcome(Status.RETRY, "UNAVAILABLE", 4.0),
        ),
        (
            Answer(400, body={"error": {"status": "INVALID_ARGUMENT", "details": [7, {}]}}),
            Outcome(Status.REJECTED, "INVALID_ARGUMENT"),
        ),
        (Answer(403, body={"error": "x"}), Outcome(Status.REJECTED, "HTTP 403")),
        (Answer(404, body=b"<html>"), Outcome(Status.REJECTED, "HTTP 404")),
    ],
)
async def test_refusals(
    fcm: FakeFcm, fcm_sender: FcmSender, answer: Answer, outcome: Outcome
) -> None:
    """Each answer becomes what the outbox has to do."""
    fcm.faults.extend([TOKEN_PASSES, answer])
    assert await fcm_sender.send(to()) == outcome
    assert await fcm_sender.send(to()) == DELIVERED


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (Answer(400, body={"error": "invalid_grant"}), Status.REJECTED, "invalid_grant"),
        (Answer(401, body=b"no"), Status.REJECTED, "refuses the service account: HTTP 401"),
        (Answer(503), Status.RETRY, "no access token now"),
        (Answer(429), Status.RETRY, "no access token now"),
        (Answer(200, body=b"{}"), Status.RETRY, "no access token now"),
        (Answer(200, body={"access_token": "a\r\nb"}), Status.RETRY, "no access token now"),
        (Fault.DROP, Status.RETRY, "connection failed"),
    ],
)
async def test_no_access_token(
    fcm: FakeFcm, fcm_sender: FcmSender, answer: Answer | Fault, status: Status, words: str
) -> None:
    """A wrong account stays wrong; what is wrong with Google may pass."""
    fcm.faults.append(answer)
    outcome = await fcm_sender.send(to())
    assert outcome.status is status
    assert words in outcome.reason
    assert await fcm_sender.send(to()) == DELIVERED


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("silent_token", [True, False])
async def test_silence(fcm: FakeFcm, fcm_sender: FcmSender, silent_token: bool) -> None:
    """Neither the token endpoint nor FCM can hold a push up."""
    fcm.faults.extend([Fault.SILENCE] if silent_token else [TOKEN_PASSES, Fault.SILENCE])
    assert await fcm_sender.send(to()) == Outcome(Status.RETRY, "no answer in 3 s")
    assert await fcm_sender.send(to()) == DELIVERED


async def test_goaway_and_drops(fcm: FakeFcm, fcm_sender: FcmSender) -> None:
    """An unseen push goes out again, one whose answer was lost does not."""
    assert await fcm_sender.send(to()) == DELIVERED
    fcm.faults.append(Fault.GOAWAY_UNSEEN)
    assert await fcm_sender.send(to()) == DELIVERED
    fcm.faults.append(Fault.DROP)
    assert (await fcm_sender.send(to())).status is Status.RETRY
    assert await fcm_sender.send(to()) == DELIVERED
    assert len(fcm.messages) == 4


def test_on_the_loop_of_the_command(certificate: Certificate) -> None:
    """`ringmesh serve` runs on uvloop, whose transports differ."""

    async def send() -> list[Status]:
        async with FakeFcm(certificate) as fcm:
            sender = FcmSender(
                FcmKeys(service_account=fcm.service_account, url=fcm.url, ca_file=certificate.file)
            )
            fcm.faults.extend([TOKEN_PASSES, None, Fault.GOAWAY_UNSEEN, None, Fault.DROP])
            outcomes = [await sender.send(to()) for _ in range(4)]
            await sender.close()
            return [outcome.status for outcome in outcomes]

    delivered = Status.DELIVERED
    assert uvloop.run(send()) == [delivered, delivered, Status.RETRY, delivered]


def test_the_assertion_is_that_of_google_auth(fcm_account: dict[str, Any]) -> None:
    """google-auth makes the same header and claims for this account, and verifies ours."""
    theirs = service_account.Credentials.from_service_account_info(fcm_account, scopes=[SCOPE])
    oracle = theirs._make_authorization_grant_assertion().decode()
    ours = ServiceAccount(fcm_account).assertion(int(time.time()))
    key = RSAKey.import_key(fcm_account["private_key"])
    one, two = jwt.decode(ours, key, ["RS256"]), jwt.decode(oracle, key, ["RS256"])
    assert one.header == two.header
    assert one.claims.keys() == two.claims.keys()
    for name in ("iss", "aud", "scope"):
        assert one.claims[name] == two.claims[name]
    assert one.claims["exp"] - one.claims["iat"] == two.claims["exp"] - two.claims["iat"] == 3600


@pytest.fixture
async def fcm_account(fcm: FakeFcm) -> dict[str, Any]:
    """A service account that the fake knows."""
    return fcm.service_account


async def test_check(fcm: FakeFcm, fcm_sender: FcmSender, fcm_account: dict[str, Any]) -> None:
    """Says nothing about a good account, and what is wrong about others; sends nothing."""
    assert await fcm_sender.check() is None
    assert b'"validate_only": true' in fcm.requests[-1].body
    for changes, words in (
        ({"project_id": "another"}, "refuses the project or its account: NOT_FOUND"),
        ({"client_email": "a@b.c"}, "refuses the service account: invalid_grant"),
        ({"token_uri": "https://127.0.0.1:1/token"}, "cannot be reached: connection refused"),
    ):
        keys = FcmKeys(
            service_account=fcm_account | changes, url=fcm.url, ca_file=fcm.certificate.file
        )
        sender = FcmSender(keys)
        assert words in str(await sender.check())
        await sender.close()


EC_KEY = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"type": "authorized_user"}, "not a service account's file"),
        ({"project_id": "../x"}, "project_id is missing or wrong"),
        ({"project_id": None}, "project_id is missing or wrong"),
        ({"client_email": "nobody"}, "client_email is missing or wrong"),
        ({"token_uri": "http://oauth2.example"}, "token_uri is missing or wrong"),
        ({"private_key": "x"}, "not a key in PEM form"),
        ({"private_key": EC_KEY}, "no RSA key"),
        ({"private_key_id": 7}, "private_key_id"),
    ],
)
def test_accounts_that_cannot_be_used(
    fcm_account: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    """Each error names what is wrong."""
    with pytest.raises(ConfigurationError, match=words):
        FcmSender(FcmKeys(service_account=fcm_account | changes))
