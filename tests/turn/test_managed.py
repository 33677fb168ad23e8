"""The coturn that the server runs: that it relays, what it refuses, and that it stays alive."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from ringmesh.errors import AuthenticationError, ConfigurationError
from ringmesh.server.turn import ManagedRelay
from ringmesh.stun.client import RelayRefusedError, open_client
from ringmesh.stun.message import Attribute, Method, TransportAddress
from ringmesh.stun.probe import Verdict, probe_relay, probe_stun
from ringmesh.stun.url import ServerUrl
from tests.server.api_client import serving
from tests.turn.relays import allocated, credentials, managed_relay, relay_settings, secret_of

LIMIT = 20.0
UDP, TCP = b"\x11\0\0\0", b"\x06\0\0\0"  # as REQUESTED-TRANSPORT
RINGMESH = str(Path(sys.executable).with_name("ringmesh"))

shared = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def relay() -> AsyncIterator[ManagedRelay]:
    """One relay for the tests that leave it as it was."""
    async with managed_relay() as running:
        yield running


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that will happen."""
    async with asyncio.timeout(LIMIT):
        while not await condition():  # noqa: ASYNC110 -- it is another process's
            await asyncio.sleep(0.05)


def _read(path: str) -> str:
    return Path(path).read_text()


def _modes(file: Path) -> tuple[int, ...]:
    """Permissions of a file and its folder, if they exist."""
    return tuple(path.stat().st_mode & 0o777 for path in (file, file.parent) if path.exists())


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@shared
async def test_it_relays(relay: ManagedRelay) -> None:
    """STUN answers, and packets go from relay to relay over UDP and over TCP."""
    (stun,) = relay.settings.ice_servers[-1].urls
    assert (await probe_stun(stun)).works
    for url in relay.settings.turn_urls:
        result = await probe_relay(url, *credentials(relay))
        assert result.works, result
    assert all(result.works for result in relay.results)
    assert len(relay.settings.turn_urls) == len(relay.results) == 2


@shared
@pytest.mark.parametrize(
    "host",
    ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "127.0.0.2",
     "0.0.0.0", "192.0.0.192", "198.18.0.1", "224.0.0.1", "239.255.255.250", "255.255.255.255"],
)  # fmt: skip
async def test_forbidden_peers(relay: ManagedRelay, host: str) -> None:
    """No relay reaches private, loopback, link-local, metadata, carrier or multicast addresses."""
    async with allocated(relay) as client:
        with pytest.raises(RelayRefusedError, match="403"):
            await client.permit(TransportAddress.of(host, 80))


@shared
@pytest.mark.parametrize("host", ["198.51.100.7", "8.8.8.8", "1.1.1.1", "223.255.255.254"])
async def test_permitted_peers(relay: ManagedRelay, host: str) -> None:
    """Public addresses are what relays are for."""
    async with allocated(relay) as client:
        await client.permit(TransportAddress.of(host, 80))


async def test_ipv6() -> None:
    """A relay on IPv6 works, and has its own list of forbidden peers."""
    forbidden = ["fe80::1", "fc00::1", "fd00:ec2::254", "::1", "::ffff:127.0.0.1", "ff02::1",
                 "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::7f00:1", "2001:0:1::"]  # fmt: skip
    async with managed_relay(host="::1", turn_allowed_peers=("::1/128",)) as relay:
        assert relay.results
        assert all(result.works for result in relay.results), relay.results
        async with allocated(relay) as client:
            for host in ("2606:4700::1", "2a00::1"):
                await client.permit(TransportAddress.of(host, 80))
            for host in set(forbidden) - {"::1"}:
                with pytest.raises(RelayRefusedError, match="403"):
                    await client.permit(TransportAddress.of(host, 80))


@shared
async def test_no_tcp_to_services(relay: ManagedRelay) -> None:
    """A relay that opens TCP connections (RFC 6062), for instance to our own port, is refused."""
    async with open_client(ServerUrl.parse(relay.settings.turn_urls[1])) as client:
        name, client._password = credentials(relay)
        client._username = name.encode()
        with pytest.raises(RelayRefusedError, match=r"403|442"):
            await client._signed(Method.ALLOCATE, [(Attribute.REQUESTED_TRANSPORT, TCP)])


@shared
@pytest.mark.parametrize("case", ["expired", "forged name", "forged password", "none"])
async def test_bad_credentials(relay: ManagedRelay, case: str) -> None:
    """Expired, changed and invented credentials give no relay."""
    name, password = credentials(relay, seconds=-5 if case == "expired" else 600)
    if case == "forged name":
        expiry, _, user = name.partition(":")
        name = f"{int(expiry) + 3600}:{user}"
    elif case == "forged password":
        password = password[::-1]
    elif case == "none":
        name = password = ""
    async with open_client(ServerUrl.parse(relay.settings.turn_urls[0])) as client:
        with pytest.raises(AuthenticationError):
            await client.allocate(name, password)


@shared
async def test_replayed_credentials(relay: ManagedRelay) -> None:
    """Signed requests cannot be used again from elsewhere: the nonce belongs to one client."""
    server = ServerUrl.parse(relay.settings.turn_urls[0])
    async with allocated(relay) as victim, open_client(server) as thief:
        for name in ("_username", "_realm", "_nonce", "_key"):
            setattr(thief, name, getattr(victim, name))
        thief._password = "unknown"
        with pytest.raises(AuthenticationError):
            await thief._signed(Method.ALLOCATE, [(Attribute.REQUESTED_TRANSPORT, UDP)])


@shared
async def test_relay_outlives_its_credentials(relay: ManagedRelay) -> None:
    """Credentials are checked when a relay is made; a call may last longer than they do."""
    async with open_client(ServerUrl.parse(relay.settings.turn_urls[0])) as client:
        name, password = credentials(relay, seconds=1)
        await client.allocate(name, password)

        async def expired() -> bool:
            result = await probe_relay(relay.settings.turn_urls[0], name, password)
            return result.verdict is Verdict.BAD_CREDENTIALS

        await until(expired)
        await client.refresh(600)
        await client.refresh(0)


async def test_quota() -> None:
    """One user's relays are limited, others' are not touched; the probe says that it is full."""
    async with managed_relay(turn_allocations_per_user=3) as relay:
        url = relay.settings.turn_urls[0]
        async with allocated(relay), allocated(relay):
            assert (await probe_relay(url, *credentials(relay))).verdict is Verdict.FULL
            later = credentials(relay, seconds=900)
            assert (await probe_relay(url, *later)).verdict is Verdict.FULL
            assert (await probe_relay(url, *credentials(relay, "2-1"))).works


async def test_restart() -> None:
    """A relay that dies is started again, with the same port and secret."""
    async with managed_relay() as relay:
        before = relay.pid
        assert before is not None
        os.kill(before, signal.SIGKILL)

        async def again() -> bool:
            probe = await probe_relay(relay.settings.turn_urls[0], *credentials(relay), timeout=1)
            return probe.works and relay.pid not in (None, before)

        await until(again)


async def test_port_taken() -> None:
    """With its port taken by another, the check says that nothing works, and why it may be."""
    async with managed_relay() as first:
        port = int(first.settings.turn_urls[0].split(":")[2].split("?")[0])
        async with managed_relay(turn_port=port) as second:
            assert second.results
            assert not any(result.works for result in second.results)


async def test_no_coturn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without coturn, the error says how to get one."""
    monkeypatch.setattr("ringmesh.server.turn.managed.PROGRAM", "no-such-coturn")
    with pytest.raises(ConfigurationError, match="apt install coturn"):
        await ManagedRelay(relay_settings()).start()


async def test_server_with_relay(tmp_path: Path) -> None:
    """A server with a managed relay hands it to its users, with credentials that work."""
    async with serving(tmp_path, **relay_settings().model_dump(
        include={"turn_managed", "turn_port", "turn_relay_ports", "turn_allowed_peers"}
    )) as api:  # fmt: skip
        alice = await api.as_user("alice")
        stun, turn = (await alice.get("/ice_servers")).json()["ice_servers"]
        assert (await probe_stun(stun["urls"][0])).works
        for url in turn["urls"]:
            assert (await probe_relay(url, turn["username"], turn["credential"])).works
        relay = api.server.relay
        assert relay is not None
        pid = relay.pid
    assert pid is not None
    assert not _alive(pid)


async def test_no_orphans(tmp_path: Path) -> None:
    """A server that is killed takes its relay with it, so that the next one finds the port free."""
    server = await asyncio.create_subprocess_exec(
        *(RINGMESH, "serve", "--data", str(tmp_path), "--port", "0", "--turn", "auto"),
        env={**os.environ, "RINGMESH_TURN_PORT": "0"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert server.stdout is not None
    async with asyncio.timeout(LIMIT):
        await server.stdout.readuntil(b"Ctrl-C")
    children = _read(f"/proc/{server.pid}/task/{server.pid}/children").split()
    assert children
    server.kill()
    await server.wait()

    async def gone() -> bool:
        return not any(_alive(int(pid)) for pid in children)

    await until(gone)


async def test_secrets_stay_inside(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither the log nor the command line shows the secret; its file is for coturn alone."""
    async with managed_relay() as relay:
        secret = secret_of(relay)
        command = _read(f"/proc/{relay.pid}/cmdline")
        file = command.split("\0")[2]
        assert secret in _read(file)
        assert secret not in command
        assert _modes(Path(file)) == (0o600, 0o700)
    assert not _modes(Path(file))
    captured = capfd.readouterr()
    assert secret not in captured.out + captured.err
