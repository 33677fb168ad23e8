"""The APNs sender against a fake Apple that speaks HTTP/2, in good and bad times."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from ringmesh.errors import ConfigurationError
from ringmesh.server.push.apns import ApnsSender
from ringmesh.server.push.contract import (
    DELIVERED,
    ApnsKeys,
    Channel,
    Environment,
    Kind,
    Outcome,
    Push,
    Status,
)
from ringmesh.server.push.webpush import new_vapid_key
from tests.push.fake_apns import BUNDLE, FakeApns
from tests.push.provider import Answer, Fault
from tests.push.values import push, subscription

DEVICE = "AB" * 32  # as the plugin yields it


def to(channel: Channel = Channel.APNS, **changes: object) -> Push:
    """A call's start to the device that the fake knows."""
    return push(subscription(channel, token=DEVICE), **changes)  # type: ignore[arg-type]


async def test_a_voip_push(apns: FakeApns, apns_sender: ApnsSender) -> None:
    """Topic, type, expiration and priority are those that make CallKit ring; numbers stay."""
    assert await apns_sender.send(to(Channel.APNS_VOIP)) == DELIVERED
    request = apns.requests[0]
    assert request.path == f"/3/device/{DEVICE.lower()}"
    assert request.headers["apns-topic"] == f"{BUNDLE}.voip"
    assert request.headers["apns-push-type"] == "voip"
    assert request.headers["apns-expiration"] == "0"
    assert request.headers["apns-priority"] == "10"
    assert apns.payloads[0]["call_type"] == 1
    assert apns.payloads[0]["caller_id"] == 4001


async def test_an_alert(apns: FakeApns, apns_sender: ApnsSender) -> None:
    """It expires with the ring, and the end of the call takes its place."""
    start, end = to(), to(kind=Kind.CANCEL, values={"message": "Missed call"})
    assert await apns_sender.send(start) == await apns_sender.send(end) == DELIVERED
    first, second = (request.headers for request in apns.requests)
    assert first["apns-topic"] == BUNDLE
    assert first["apns-push-type"] == "alert"
    assert first["apns-expiration"] == str(start.expires_at)
    assert first["apns-collapse-id"] == second["apns-collapse-id"]
    assert apns.connections == 1


async def test_a_silent_push(apns: FakeApns, apns_sender: ApnsSender) -> None:
    """Background pushes have priority 5, or Apple refuses them."""
    silent = to(values={"ios_content_available": 1, "expiration": 0}, kind=Kind.OTHER)
    assert await apns_sender.send(silent) == DELIVERED
    headers = apns.requests[0].headers
    assert headers["apns-push-type"] == "background"
    assert headers["apns-priority"] == "5"
    assert headers["apns-expiration"] == "0"
    assert "apns-collapse-id" not in headers


async def test_the_two_environments(apns_keys: ApnsKeys, apns: FakeApns) -> None:
    """A development token goes to the sandbox."""
    sender = ApnsSender(dataclasses.replace(apns_keys, url="https://127.0.0.1:1"))
    device = subscription(token=DEVICE, environment=Environment.DEVELOPMENT)
    assert await sender.send(push(device)) == DELIVERED
    assert (await sender.send(to())).status is Status.RETRY
    await sender.close()


async def test_dead_tokens(apns: FakeApns, apns_sender: ApnsSender) -> None:
    """410, BadDeviceToken and text that is no token each say that the subscription is dead."""
    apns.gone.add("cd" * 32)
    for token in ("cd" * 32, "ef" * 32, "not hexadecimal", ""):
        outcome = await apns_sender.send(push(subscription(token=token)))
        assert outcome.status is Status.DEAD_TOKEN, token


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (
            Answer(429, {"retry-after": "3"}, {"reason": "TooManyRequests"}),
            Outcome(Status.RETRY, "TooManyRequests", 3.0),
        ),
        (
            Answer(500, body={"reason": "InternalServerError"}),
            Outcome(Status.RETRY, "InternalServerError"),
        ),
        (Answer(503, {"retry-after": "120"}), Outcome(Status.RETRY, "HTTP 503", 120.0)),
        (Answer(503, {"retry-after": "soon"}, b"<html>"), Outcome(Status.RETRY, "HTTP 503")),
        (Answer(403, body={"reason": "Forbidden"}), Outcome(Status.REJECTED, "Forbidden")),
        (Answer(400, body={"reason": "x" * 99}), Outcome(Status.REJECTED, "HTTP 400")),
        (Answer(413, body=b"[1]"), Outcome(Status.REJECTED, "HTTP 413")),
        (Answer(410), Outcome(Status.DEAD_TOKEN, "HTTP 410")),
    ],
)
async def test_refusals(
    apns: FakeApns, apns_sender: ApnsSender, answer: Answer, outcome: Outcome
) -> None:
    """Each answer becomes what the outbox has to do; bodies without sense change nothing."""
    apns.faults.append(answer)
    assert await apns_sender.send(to()) == outcome
    assert await apns_sender.send(to()) == DELIVERED


async def test_expired_provider_tokens(apns_keys: ApnsKeys, apns: FakeApns) -> None:
    """A refused token is made anew and the push sent again at once; before that it is reused."""
    now = time.time()
    sender = ApnsSender(apns_keys, clock=lambda: now)
    assert await sender.send(to()) == DELIVERED
    now += 100
    assert await sender.send(to()) == DELIVERED
    apns.lifetime, apns.clock = 50.0, lambda: now
    async with asyncio.TaskGroup() as group:
        sent = [group.create_task(sender.send(to())) for _ in range(5)]
    assert [task.result() for task in sent] == [DELIVERED] * 5
    tokens = [request.headers["authorization"] for request in apns.requests]
    assert len(set(tokens)) == 2
    assert tokens[0] == tokens[1]
    now += 3001
    assert await sender.send(to()) == DELIVERED  # without being refused first
    assert len({request.headers["authorization"] for request in apns.requests}) == 3
    await sender.close()


async def test_a_clock_that_is_wrong(apns_keys: ApnsKeys, apns: FakeApns) -> None:
    """Tokens that Apple takes for old are not made again and again; the reason names the clock."""
    yesterday = time.time() - 86_400
    sender = ApnsSender(apns_keys, clock=lambda: yesterday)
    outcome = await sender.send(to())
    assert outcome.status is Status.RETRY
    assert "clock" in outcome.reason
    assert len(apns.requests) == 1
    await sender.close()


@pytest.mark.parametrize(
    "fault", [Fault.GOAWAY_UNSEEN, Fault.GOAWAY_UNSEEN_LATER, Fault.GOAWAY_AFTER]
)
async def test_connections_that_end(apns: FakeApns, apns_sender: ApnsSender, fault: Fault) -> None:
    """After GOAWAY what was surely not seen goes out again on a new connection, and only that."""
    assert await apns_sender.send(to()) == DELIVERED
    apns.faults.append(fault)
    assert await apns_sender.send(to()) == DELIVERED
    assert await apns_sender.send(to()) == DELIVERED
    assert apns.connections == 2
    assert len(apns.requests) == 3


async def test_requests_that_are_refused(apns: FakeApns, apns_sender: ApnsSender) -> None:
    """A reset that says that nothing was done is another chance, a second one in turn is not."""
    apns.faults.append(Fault.REFUSED)
    assert await apns_sender.send(to()) == DELIVERED
    apns.faults.extend([Fault.REFUSED, Fault.REFUSED])
    assert (await apns_sender.send(to())).status is Status.RETRY
    assert len(apns.requests) == 1


@pytest.mark.parametrize("fault", [Fault.GOAWAY_SEEN, Fault.RESET, Fault.DROP])
async def test_answers_that_are_lost(apns: FakeApns, apns_sender: ApnsSender, fault: Fault) -> None:
    """Where nobody knows whether it was sent, it is not sent again here."""
    apns.faults.append(fault)
    assert (await apns_sender.send(to())).status is Status.RETRY
    assert len(apns.requests) == 1
    assert await apns_sender.send(to()) == DELIVERED


@pytest.mark.usefixtures("impatient")
async def test_silence(apns: FakeApns, apns_sender: ApnsSender) -> None:
    """A push without an answer ends in bounded time; others on the connection come through."""
    apns.faults.extend([Fault.SILENCE, None, None])
    async with asyncio.TaskGroup() as group:
        sent = [group.create_task(apns_sender.send(to())) for _ in range(3)]
    outcomes = [task.result() for task in sent]
    assert outcomes.count(DELIVERED) == 2
    assert [one for one in outcomes if one != DELIVERED] == [
        Outcome(Status.RETRY, "no answer in 3 s")
    ]
    assert await apns_sender.send(to()) == DELIVERED
    assert apns.connections == 2  # the silent one is trusted no more


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [Fault.SLOW_BODY, Fault.ENDLESS_BODY])
async def test_bodies_without_end(apns: FakeApns, apns_sender: ApnsSender, fault: Fault) -> None:
    """The status and its Retry-After count, however the body comes."""
    apns.faults.append(fault)
    assert await apns_sender.send(to()) == Outcome(Status.RETRY, "HTTP 500", 7.0)
    assert await apns_sender.send(to()) == DELIVERED


async def test_a_cancelled_push_harms_no_other(apns: FakeApns, apns_sender: ApnsSender) -> None:
    """The ring ended while its push was under way: the next one goes out."""
    apns.faults.append(Fault.SILENCE)
    task = asyncio.create_task(apns_sender.send(to()))
    await apns.arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await apns_sender.send(to()) == DELIVERED


async def test_many_at_once_share_a_connection(apns: FakeApns, apns_sender: ApnsSender) -> None:
    """Two hundred pushes need one connection."""
    async with asyncio.TaskGroup() as group:
        sent = [group.create_task(apns_sender.send(to())) for _ in range(200)]
    assert {task.result() for task in sent} == {DELIVERED}
    assert apns.connections == 1


async def test_a_provider_that_takes_few_at_once(apns: FakeApns, apns_sender: ApnsSender) -> None:
    """Apple begins with one. More requests than it takes would be an error; they wait."""
    apns.max_streams = 1
    async with asyncio.TaskGroup() as group:
        sent = [group.create_task(apns_sender.send(to())) for _ in range(20)]
    assert {task.result() for task in sent} == {DELIVERED}
    assert apns.connections == 1


async def test_a_topic_that_is_no_text_for_a_header(
    apns: FakeApns, apns_sender: ApnsSender
) -> None:
    """What an app says about itself does not get into the headers unseen."""
    target = subscription(token=DEVICE, bundle_identifier="org.exampleé")
    assert (await apns_sender.send(push(target))).status is Status.REJECTED
    assert not apns.requests


async def test_a_certificate_that_is_not_trusted(apns_keys: ApnsKeys, apns: FakeApns) -> None:
    """Nothing is sent, and the reason says why."""
    sender = ApnsSender(dataclasses.replace(apns_keys, ca_file=None))
    outcome = await sender.send(to())
    assert outcome.status is Status.RETRY
    assert "certificate is not trusted" in outcome.reason
    assert not apns.requests
    await sender.close()


async def test_messages_that_apns_cannot_carry(apns: FakeApns, apns_sender: ApnsSender) -> None:
    """They are refused without asking Apple."""
    outcome = await apns_sender.send(to(values={"message": "x" * 5000}))
    assert outcome.status is Status.REJECTED
    assert "at most 4096" in outcome.reason
    assert not apns.requests


async def test_check(apns_keys: ApnsKeys, apns: FakeApns, apns_sender: ApnsSender) -> None:
    """Says nothing about good keys, and what is wrong about others."""
    assert await apns_sender.check() is None
    assert len(apns.requests) == 1
    for changes, words in (
        ({"private_key": new_vapid_key()}, "InvalidProviderToken"),
        ({"team_id": "TEAM000000"}, "InvalidProviderToken"),
        ({"url": "https://127.0.0.1:1"}, "cannot be reached: connection refused"),
    ):
        sender = ApnsSender(dataclasses.replace(apns_keys, **changes))  # type: ignore[arg-type]
        assert words in str(await sender.check())
        await sender.close()


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: str = "") -> str:
    """A private key as PEM."""
    protection = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection).decode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"private_key": "AuthKey.p8"}, "not a private key in PEM form"),
        ({"private_key": pem(rsa.generate_private_key(65537, 2048))}, "on the curve P-256"),
        ({"private_key": pem(ec.generate_private_key(ec.SECP384R1()))}, "on the curve P-256"),
        ({"private_key": pem(ec.generate_private_key(ec.SECP256R1()), "x")}, "by a password"),
        ({"key_id": "short"}, "key_id must be 10"),
        ({"team_id": "Team 12345"}, "team_id must be 10"),
        ({"url": "http://example.org"}, "must begin with https://"),
        ({"ca_file": Path("/nowhere.pem")}, "cannot be used"),
    ],
)
async def test_keys_that_cannot_be_used(
    apns_keys: ApnsKeys, changes: dict[str, str], words: str
) -> None:
    """Each error names what is wrong."""
    with pytest.raises(ConfigurationError, match=words):
        ApnsSender(dataclasses.replace(apns_keys, **changes))  # type: ignore[arg-type]


def test_keys_are_not_shown(apns_keys: ApnsKeys) -> None:
    """Neither keys nor pushes show secrets when they are printed."""
    text = repr((apns_keys, to()))
    assert "PRIVATE KEY" not in text
    assert DEVICE not in text
