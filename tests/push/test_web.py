"""The Web Push sender against a fake push service that decrypts, and against private networks."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

import pytest

from ringmesh.server.push import link
from ringmesh.server.push.contract import (
    DELIVERED,
    Channel,
    Kind,
    Outcome,
    Platform,
    Push,
    Status,
    WebKeys,
)
from ringmesh.server.push.tickets import Tickets
from ringmesh.server.push.web import AT_ONCE, WebSender
from ringmesh.server.push.webpush import new_vapid_key, public_key_of
from tests.push.fake_push_service import BrowserSubscription, FakePushService
from tests.push.host import eventually
from tests.push.provider import Answer, Certificate, Fault
from tests.push.values import CALL, SESSION, push, subscription


@pytest.fixture
def browser(push_service: FakePushService, key: str) -> BrowserSubscription:
    """A browser that subscribed with the server's key."""
    return push_service.subscribe(public_key_of(key))


def to(browser: BrowserSubscription, values: dict[str, Any] | None = None, **changes: Any) -> Push:
    """A call's start to a browser."""
    keys = {"web_auth": browser.auth, "web_p256dh": browser.p256dh}
    endpoint = changes.pop("endpoint", browser.endpoint)
    target = subscription(
        Channel.WEB,
        platform=Platform.WEB,
        web_endpoint=endpoint,
        **{**keys, **changes.pop("keys", {})},
    )
    return push(target, values, **changes)


async def test_a_call(
    push_service: FakePushService, web_sender: WebSender, browser: BrowserSubscription, key: str
) -> None:
    """The browser reads what was meant, with a ticket for this user and call."""
    sent = to(browser, expires_at=10**10)
    assert await web_sender.send(sent) == DELIVERED
    content = push_service.received[0].content
    assert content["data"] == {name: CALL[name] for name in CALL if name != "ios_voip"}
    ticket = Tickets(key).read(content["ticket"], SESSION, now=0)
    assert ticket is not None
    assert (ticket.application_id, ticket.user_id) == (777, 4002)


async def test_its_end_takes_its_place(
    push_service: FakePushService, web_sender: WebSender, browser: BrowserSubscription
) -> None:
    """Start and end are urgent, live as long as they make sense, and share a topic."""
    assert await web_sender.send(to(browser)) == DELIVERED
    assert await web_sender.send(to(browser, kind=Kind.CANCEL)) == DELIVERED
    assert await web_sender.send(to(browser, {"expiration": 0}, kind=Kind.OTHER)) == DELIVERED
    start, end, other = (one.request.headers for one in push_service.received)
    assert start["urgency"] == end["urgency"] == "high"
    assert start["topic"] == end["topic"]
    assert len(start["topic"]) == 32
    assert 25 <= int(start["ttl"]) <= 30
    assert (other["urgency"], other["ttl"]) == ("normal", "0")
    assert "topic" not in other
    assert "ticket" not in push_service.received[1].content
    assert push_service.connections == 1


async def test_the_largest_message(
    push_service: FakePushService, web_sender: WebSender, browser: BrowserSubscription
) -> None:
    """What fits goes, even where no ticket fits beside it; what does not fit is refused."""
    frame = len('{"data":{"x":""}}')
    for size, status in ((3993 - frame, Status.DELIVERED), (3994 - frame, Status.REJECTED)):
        outcome = await web_sender.send(to(browser, {"x": "a" * size}))
        assert outcome.status is status
    assert len(push_service.received[0].request.body) == 4096


async def test_subscriptions_that_are_gone(
    push_service: FakePushService, web_sender: WebSender, browser: BrowserSubscription
) -> None:
    """410 and 404: the browser wants no more."""
    push_service.unsubscribe(browser)
    assert await web_sender.send(to(browser)) == Outcome(Status.DEAD_TOKEN, "HTTP 410")
    push_service.faults.append(Answer(404))
    assert await web_sender.send(to(browser)) == Outcome(Status.DEAD_TOKEN, "HTTP 404")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(429, {"retry-after": "5"}), Outcome(Status.RETRY, "HTTP 429", 5.0)),
        (Answer(500), Outcome(Status.RETRY, "HTTP 500")),
        (Answer(503, {"retry-after": "9" * 30}), Outcome(Status.RETRY, "HTTP 503", 86_400.0)),
        (
            Answer(503, {"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}),
            Outcome(Status.RETRY, "HTTP 503", 0.0),
        ),
        (Answer(413), Outcome(Status.REJECTED, "HTTP 413")),
        (Answer(307, {"location": "https://127.0.0.1/"}), Outcome(Status.REJECTED, "HTTP 307")),
    ],
)
async def test_refusals(
    push_service: FakePushService,
    web_sender: WebSender,
    browser: BrowserSubscription,
    answer: Answer,
    outcome: Outcome,
) -> None:
    """Each answer becomes what the outbox has to do; redirections are not followed."""
    push_service.faults.append(answer)
    assert await web_sender.send(to(browser)) == outcome
    assert await web_sender.send(to(browser)) == DELIVERED


async def test_another_key(push_service: FakePushService, web_sender: WebSender) -> None:
    """A subscription made with another key is refused by the push service."""
    browser = push_service.subscribe(public_key_of(new_vapid_key()))
    assert await web_sender.send(to(browser)) == Outcome(Status.REJECTED, "HTTP 403")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.SLOW_BODY, Fault.DROP])
async def test_a_bad_host_delays_no_other(
    push_service: FakePushService,
    web_sender: WebSender,
    browser: BrowserSubscription,
    certificate: Certificate,
    key: str,
    fault: Fault,
) -> None:
    """Pushes to a host that fails end in bounded time; another host's go through meanwhile."""
    async with FakePushService(certificate) as bad:
        keys = WebKeys(
            private_key=key, allowed_hosts=frozenset({"127.0.0.1"}), ca_file=certificate.file
        )
        sender = WebSender(keys)
        hanging = bad.subscribe(public_key_of(key))
        bad.faults.extend([fault] * 150)
        async with asyncio.TaskGroup() as group:
            lost = [group.create_task(sender.send(to(hanging))) for _ in range(150)]
            good = [group.create_task(sender.send(to(browser))) for _ in range(10)]
            for task in good:
                assert await task == DELIVERED
        assert {task.result().status for task in lost} == {Status.RETRY}
        await sender.close()


async def test_a_host_that_does_not_keep_up(
    push_service: FakePushService,
    web_sender: WebSender,
    browser: BrowserSubscription,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody waits for long behind what it does not answer, and soon nobody at all, until it
    answers again."""
    monkeypatch.setattr(link, "PATIENCE_SECONDS", 0.05)
    push_service.faults.extend([Fault.SILENCE] * AT_ONCE)
    silent = [asyncio.create_task(web_sender.send(to(browser))) for _ in range(AT_ONCE)]
    await eventually(lambda: len(push_service.requests) == AT_ONCE)
    busy = Outcome(Status.RETRY, "the host does not keep up")
    assert await web_sender.send(to(browser)) == busy
    monkeypatch.setattr(link, "PATIENCE_SECONDS", 60.0)
    assert await web_sender.send(to(browser)) == busy
    assert len(push_service.requests) == AT_ONCE
    for task in silent:
        task.cancel()
    await asyncio.gather(*silent, return_exceptions=True)
    async with asyncio.TaskGroup() as group:
        sent = [group.create_task(web_sender.send(to(browser))) for _ in range(2 * AT_ONCE)]
    # As it had not answered yet, those for whom there is no place do not wait for one.
    assert [task.result() for task in sent] == [DELIVERED] * AT_ONCE + [busy] * AT_ONCE
    assert await web_sender.send(to(browser)) == DELIVERED


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("https://127.0.0.1/push", "private network"),
        ("https://[::1]/push", "private network"),
        ("https://169.254.169.254/latest/meta-data", "private network"),
        ("https://localhost/push", "private network"),
        ("http://push.example.org/push", "must begin with https://"),
        ("", "must begin with https://"),
    ],
)
async def test_private_addresses(
    key: str, browser: BrowserSubscription, endpoint: str, words: str
) -> None:
    """What points into the server's own network is refused before anything is sent."""
    sender = WebSender(WebKeys(private_key=key))
    outcome = await sender.send(to(browser, endpoint=endpoint))
    assert outcome.status is Status.REJECTED
    assert words in outcome.reason
    await sender.close()


async def test_names_that_lead_into_private_networks(
    key: str,
    certificate: Certificate,
    push_service: FakePushService,
    browser: BrowserSubscription,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A public name is looked up once, and where it leads is checked before connecting."""
    loop = asyncio.get_running_loop()
    asked: list[str] = []

    async def resolve(host: str, port: int, **_options: object) -> list[Any]:
        asked.append(host)
        return [(0, 0, 0, "", ("127.0.0.1", port)), (0, 0, 0, "", ("::ffff:10.0.0.1", port))]

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    sender = WebSender(WebKeys(private_key=key, ca_file=certificate.file))
    port = push_service.url.rpartition(":")[2]
    outcome = await sender.send(to(browser, endpoint=f"https://push.example.org:{port}/x"))
    assert outcome == Outcome(Status.REJECTED, "the address leads into a private network")
    assert asked == ["push.example.org"]
    assert push_service.connections == 0
    await sender.close()


async def test_subscriptions_without_keys(
    web_sender: WebSender, browser: BrowserSubscription
) -> None:
    """They are refused with a word about what is missing."""
    for keys, words in (
        ({"web_auth": None}, "web_auth"),
        ({"web_p256dh": None}, "web_p256dh"),
        ({"web_p256dh": "x" * 87}, "web_p256dh"),
    ):
        outcome = await web_sender.send(to(browser, keys=keys))
        assert outcome.status is Status.REJECTED
        assert words in outcome.reason


async def test_hosts_come_and_go(
    web_sender: WebSender, browser: BrowserSubscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections to few hosts are kept, however many hosts subscriptions name."""
    for number in range(100):
        monkeypatch.setattr(web_sender, "_allowed", frozenset({"127.0.0.1"}))
        await web_sender.send(to(browser, endpoint=f"https://127.0.0.1:{number + 1}/x"))
    assert len(web_sender._links) <= 64
    assert await web_sender.send(to(browser)) == DELIVERED


async def test_push_services_without_http_2(
    key: str, certificate: Certificate, browser: BrowserSubscription
) -> None:
    """HTTP/1.1 does as well, and its connection is used again."""
    connections = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
                writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate.file, certificate.file.with_suffix(".key"))
    service = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    host = f"127.0.0.1:{service.sockets[0].getsockname()[1]}"
    keys = WebKeys(private_key=key, allowed_hosts=frozenset({host}), ca_file=certificate.file)
    sender = WebSender(keys)
    for _ in range(3):
        assert await sender.send(to(browser, endpoint=f"https://{host}/x")) == DELIVERED
    assert connections == 1
    await sender.close()
    service.close()
    await service.wait_closed()
