"""The life of the managed relay: configuration, process, proof that it works."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from ringmesh.errors import ConfigurationError
from ringmesh.server.ice import turn_credentials
from ringmesh.server.settings import Settings, StaticIceServer
from ringmesh.server.turn.addresses import IpAddress, free_port, outgoing_address, own_addresses
from ringmesh.server.turn.child import Child
from ringmesh.server.turn.coturn import TLS_PORT, CoturnConfig
from ringmesh.stun.probe import ProbeResult, Verdict, probe_relay, probe_stun

PROGRAM = "turnserver"
ACCOUNT = "turnserver"
"""The user that coturn's package makes; used when we are root."""

READY_LIMIT = 10.0
"""Seconds that coturn may take to answer after its start."""

_RETRY = 0.1
_PRIVATE = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
_ANY = ("0.0.0.0", "::", "")
_PREFIX = re.compile(r"^\d+: (?:\([^)]*\))?: ")
_SERIOUS = re.compile(r"ERROR|FATAL|cannot bind|already in use", re.IGNORECASE)
_BY_CLIENTS = re.compile(r"check_stun_auth|session \d|user <")

_logger = structlog.get_logger(__name__)


class ManagedRelay:
    """coturn as a child process.

    Attributes:
        settings: the server's settings, with this relay's URLs and secret in them.
        results: what `check` found, one for each URL but those for TLS.
    """

    def __init__(self, settings: Settings) -> None:
        self._secret = secrets.token_urlsafe(32)
        self._listen = _listening_addresses(settings)
        self._port = settings.turn_port or free_port(self._listen[0])
        self._extra_ports = settings.turn_extra_ports
        self._folder: Path | None = None
        self._child: Child | None = None
        self.results: Sequence[ProbeResult] = ()
        hosts = self._hosts(settings)
        stun = StaticIceServer(urls=tuple(f"stun:{_at(host, self._port)}" for host in hosts))
        self.settings = settings.model_copy(
            update={
                "turn_urls": (*_turn_urls(hosts, self._ports()), *self._tls_urls(settings)),
                "turn_secret": SecretStr(self._secret),
                "ice_servers": (*settings.ice_servers, stun),
            }
        )

    @property
    def pid(self) -> int | None:
        """Of coturn, while it runs."""
        return None if self._child is None else self._child.pid

    async def start(self) -> None:
        """Start coturn. Raises `ConfigurationError` when there is none on this machine."""
        program = shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
        if program is None:
            raise ConfigurationError(
                "no coturn was found to relay calls: install it (Debian, Ubuntu: apt install "
                "coturn), or name a relay that runs elsewhere with --turn URL"
            )
        user = _account()
        self._folder = Path(tempfile.mkdtemp(prefix="ringmesh-relay-"))
        file = self._folder / "turnserver.conf"
        file.touch(mode=0o600)
        file.write_text(self._config().text())
        if user is not None:
            for path in (self._folder, *self._folder.iterdir()):
                shutil.chown(path, user, user)
        self._child = Child([program, "-c", str(file)], on_line=self._log, user=user)
        await self._child.start()

    async def check(self) -> None:
        """Wait until coturn answers, relay a packet over each URL, and log what works."""
        await self._wait_ready(f"stun:{_at(self._listen[0], self._port)}")
        urls = _turn_urls([str(address) for address in self._listen], self._ports())
        lifetime = self.settings.turn_credential_lifetime_seconds
        credentials = turn_credentials(self._secret, "check", int(time.time()), lifetime)
        self.results = await asyncio.gather(*(probe_relay(url, *credentials) for url in urls))
        for result in self.results:
            if result.works:
                _logger.info("relay works", url=result.url)
            else:
                _logger.error("relay does not work", url=result.url, reason=_reason(result))
        self._warn_of_private_addresses()

    async def stop(self) -> None:
        """End coturn and remove its files. Idempotent."""
        if self._child is not None:
            await self._child.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _config(self) -> CoturnConfig:
        assert self._folder is not None
        settings = self.settings
        first, last = settings.turn_relay_ports.split("-")
        certificate, key = settings.tls_certificate, settings.tls_key
        if certificate is not None and key is not None:
            # coturn runs as another user, who may not read the originals.
            certificate, key = (_copy(file, self._folder) for file in (certificate, key))
        return CoturnConfig(
            folder=self._folder,
            secret=self._secret,
            realm=settings.chat_domain,
            listen=self._listen,
            external=settings.turn_external_address,
            port=self._port,
            extra_ports=self._extra_ports,
            relay_ports=(int(first), int(last)),
            own_addresses=frozenset(own_addresses()),
            allowed_peers=settings.turn_allowed_peers,
            allocations=settings.turn_allocations,
            allocations_per_user=settings.turn_allocations_per_user,
            max_bytes_per_second=settings.turn_max_kbps * 1000 // 8,
            certificate=certificate,
            key=key,
        )

    def _hosts(self, settings: Settings) -> list[str]:
        """The addresses by which clients reach the relay."""
        external = settings.turn_external_address
        first = self._listen[0] if external is None else external
        return [str(address) for address in (first, *self._listen[1:])]

    def _ports(self) -> list[tuple[int, str]]:
        """Ports and transports, in the order of preference."""
        extra = [(port, "tcp") for port in self._extra_ports]
        return [(self._port, "udp"), (self._port, "tcp"), *extra]

    def _tls_urls(self, settings: Settings) -> Iterator[str]:
        """TLS needs the name that the certificate is for."""
        host = urlsplit(settings.public_url or "").hostname
        if settings.tls_certificate is not None and host is not None:
            for port in (TLS_PORT, *self._extra_ports):
                yield f"turns:{host}:{port}?transport=tcp"

    async def _wait_ready(self, url: str) -> None:
        deadline = time.monotonic() + READY_LIMIT
        while time.monotonic() < deadline and self.pid is not None:
            if (await probe_stun(url, timeout=1.0)).works:
                return
            await asyncio.sleep(_RETRY)

    def _warn_of_private_addresses(self) -> None:
        if self.settings.turn_external_address is not None:
            return
        for address in self._listen:
            if address.is_loopback:
                _logger.warning("relay is for this machine only", address=str(address))
            elif any(address in network for network in _PRIVATE):
                _logger.warning(
                    "relay has a private address: set turn_external_address if people outside "
                    "this network call",
                    address=str(address),
                )

    def _log(self, line: str) -> None:
        """coturn's own words: what is serious while it starts, the rest only for debugging."""
        text = _PREFIX.sub("", line).replace(self._secret, "(concealed)").strip()
        if not text:
            return
        starting = not self.results
        if starting and _SERIOUS.search(text) and not _BY_CLIENTS.search(text):
            _logger.warning("relay says", line=text)
        else:
            _logger.debug("relay says", line=text)


def _listening_addresses(settings: Settings) -> tuple[IpAddress, ...]:
    if settings.turn_listen:
        return settings.turn_listen
    if settings.host not in _ANY:
        try:
            return (ip_address(settings.host),)
        except ValueError:
            raise ConfigurationError(
                f"the relay needs an address, not the name {settings.host!r}: set turn_listen"
            ) from None
    found = outgoing_address(4) or outgoing_address(6)
    if found is None:
        raise ConfigurationError("the relay finds no address to listen on: set turn_listen")
    return (found,)


def _account() -> str | None:
    """As whom coturn runs; None for the same as we."""
    if os.name != "posix" or os.geteuid() != 0:
        return None
    import pwd

    try:
        return pwd.getpwnam(ACCOUNT).pw_name
    except KeyError:
        return None


def _copy(file: Path, folder: Path) -> Path:
    target = folder / file.name
    target.touch(mode=0o600)
    target.write_bytes(file.read_bytes())
    return target


def _turn_urls(hosts: Sequence[str], ports: Sequence[tuple[int, str]]) -> list[str]:
    return [
        f"turn:{_at(host, port)}?transport={transport}"
        for port, transport in ports
        for host in hosts
    ]


def _at(host: str | IpAddress, port: int) -> str:
    text = str(host)
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


def _reason(result: ProbeResult) -> str:
    if result.verdict in (Verdict.UNREACHABLE, Verdict.BAD_CREDENTIALS):
        return (
            f"{result.detail}; is the port taken, perhaps by the coturn that Debian starts "
            "(systemctl disable --now coturn)?"
        )
    return result.detail
