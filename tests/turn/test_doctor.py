"""``ringmesh doctor`` against a server with a real relay, and against things that are broken."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ringmesh.client.doctor import Check, Doctor, Outcome, Subject
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from tests.turn.relays import make_certificate, relay_settings

RELAY = {
    name: getattr(relay_settings(), name)
    for name in ("turn_managed", "turn_port", "turn_relay_ports", "turn_allowed_peers")
}


async def examine(url: str, login: str | None = "alice", timeout: float = 30) -> list[Check]:
    """Every finding."""
    doctor = Doctor(url, login=login, password="correct horse", timeout=timeout)
    return [check async for check in doctor.examine()]


def outcomes(checks: list[Check]) -> dict[str, list[str]]:
    """Outcomes by subject."""
    found: dict[str, list[str]] = {}
    for check in checks:
        found.setdefault(check.subject.value, []).append(check.outcome.value)
    return found


async def test_all_is_well(tmp_path: Path) -> None:
    """A server with its relay on this machine passes every check, over UDP and TCP."""
    async with Server(tmp_path, load_settings(port=0, **RELAY)) as server:
        checks = await examine(server.url)
    assert {check.outcome for check in checks} == {Outcome.OK}, checks
    assert outcomes(checks)["relay"] == ["ok", "ok"]
    assert list(outcomes(checks)) == [subject.value for subject in Subject]


async def test_without_relay(tmp_path: Path) -> None:
    """A server without STUN and TURN gets warnings that say how to add them."""
    async with Server(tmp_path, load_settings(port=0)) as server:
        checks = await examine(server.url)
    found = {check.subject: check for check in checks}
    assert found[Subject.ICE_SERVERS].outcome is Outcome.WARNING
    assert found[Subject.RELAY].outcome is Outcome.WARNING
    assert "--turn auto" in (found[Subject.RELAY].remedy or "")


async def test_dead_relay(tmp_path: Path) -> None:
    """A relay that is not there fails, with its cause and remedy, and holds nothing up."""
    settings = load_settings(
        port=0, turn_urls=("turn:127.0.0.1:1", "turn:127.0.0.1:1?transport=tcp"), turn_secret="s"
    )
    async with Server(tmp_path, settings) as server:
        checks = await examine(server.url)
    assert outcomes(checks)["relay"] == ["failed", "failed"]
    assert all(check.remedy for check in checks if check.outcome is not Outcome.OK)


async def test_wrong_secret(tmp_path: Path) -> None:
    """Credentials that the relay refuses point at the secret."""
    async with Server(tmp_path / "a", load_settings(port=0, **RELAY)) as first:
        assert first.relay is not None
        urls = first.relay.settings.turn_urls
        settings = load_settings(port=0, turn_urls=urls, turn_secret="another")
        async with Server(tmp_path / "b", settings) as second:
            checks = await examine(second.url)
    failed = [check for check in checks if check.outcome is Outcome.FAILED]
    assert [check.subject for check in failed] == [Subject.RELAY, Subject.RELAY]
    assert all("turn_secret" in (check.remedy or "") for check in failed)


async def test_one_way_is_enough(tmp_path: Path) -> None:
    """With UDP out of reach but a relay over TCP at work, there is a warning, no failure."""
    async with Server(tmp_path / "a", load_settings(port=0, **RELAY)) as first:
        assert first.relay is not None
        tcp = next(url for url in first.relay.settings.turn_urls if url.endswith("tcp"))
        secret = first.relay.settings.turn_secret
        settings = load_settings(port=0, turn_urls=("turn:127.0.0.1:1", tcp), turn_secret=secret)
        async with Server(tmp_path / "b", settings) as second:
            checks = await examine(second.url)
    assert outcomes(checks)["relay"] == ["warning", "ok"]
    assert "blocks UDP" in next(
        check.remedy or "" for check in checks if check.outcome is Outcome.WARNING
    ).replace("to block", "blocks")


async def test_nobody_there() -> None:
    """A closed port ends the examination at once."""
    (check,) = await examine("http://127.0.0.1:1")
    assert (check.subject, check.outcome) == (Subject.SERVER, Outcome.FAILED)
    assert "ringmesh serve" in (check.remedy or "")


async def test_unknown_name() -> None:
    """A name without an address is told as such."""
    (check,) = await examine("http://no-such-host.invalid")
    assert check.outcome is Outcome.FAILED
    assert "no-such-host.invalid" in check.detail


@asynccontextmanager
async def answering(text: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that answers everything with this."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(text)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    "text", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
             b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"],
)  # fmt: skip
async def test_something_else_there(text: bytes) -> None:
    """What is no Ringmesh server is told as such."""
    async with answering(text) as port:
        checks = await examine(f"http://127.0.0.1:{port}")
    assert (checks[-1].subject, checks[-1].outcome) == (Subject.RINGMESH, Outcome.FAILED)


async def test_untrusted_certificate(tmp_path: Path) -> None:
    """A self-signed certificate is named as the cause; so is HTTP where HTTPS is expected."""
    certificate, key = make_certificate(tmp_path, "IP:127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with answering(b"", context) as port:
        checks = await examine(f"https://127.0.0.1:{port}")
    assert checks[-1].subject is Subject.TLS
    assert "self-signed" in checks[-1].detail
    async with answering(b"HTTP/1.1 400 No\r\n\r\n") as port:
        checks = await examine(f"https://127.0.0.1:{port}")
    assert checks[-1].subject is Subject.TLS
    assert "http://" in (checks[-1].remedy or "")


async def test_clock(tmp_path: Path) -> None:
    """A clock that is off is a warning with the difference in it."""
    text = (
        b"HTTP/1.1 200 OK\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nContent-Length: 130\r\n\r\n"
        + b'{"application_id": 1, "auth_key": "k", "chat_url": "ws://127.0.0.1/chat",'
        + b' "chat_domain": "chat.localhost"}'.ljust(57)
    )
    async with answering(text) as port:
        checks = await examine(f"http://127.0.0.1:{port}", login=None)
    clock = next(check for check in checks if check.subject is Subject.CLOCK)
    assert clock.outcome is Outcome.WARNING
    assert "our clock is" in clock.detail


async def test_wrong_password(tmp_path: Path) -> None:
    """A refused sign-in ends the examination."""
    settings = load_settings(port=0, create_users_at_login=False)
    async with Server(tmp_path, settings) as server:
        checks = await examine(server.url)
    assert (checks[-1].subject, checks[-1].outcome) == (Subject.SIGN_IN, Outcome.FAILED)


@pytest.mark.parametrize(("arguments", "code"), [(["--login", "alice"], 0), ([], 0)])
async def test_command(tmp_path: Path, arguments: list[str], code: int) -> None:
    """The command prints JSON for programs, and its exit code tells the outcome."""
    async with Server(tmp_path, load_settings(port=0)) as server:
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("ringmesh")), "doctor", "--server", server.url),
            *(*arguments, "--password", "correct horse", "--json"),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    facts = json.loads(output)
    assert (process.returncode, facts["ok"]) == (code, True)
    assert {"subject", "outcome", "detail", "remedy", "seconds"} == set(facts["checks"][0])


async def test_command_fails() -> None:
    """An unreachable server has an exit code of its own, and people get cause and remedy."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("ringmesh")), "doctor", "--server", "http://127.0.0.1:1",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 6
    assert "✗ server" in output.decode()
    assert "→" in output.decode()
