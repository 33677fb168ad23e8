"""What the fake providers have in common: HTTP/2 over TLS on a port of this machine, and faults."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, Self, cast

import h2.config
import h2.connection
import h2.errors
import h2.events
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from h2.settings import SettingCodes, Settings


@dataclass(frozen=True, slots=True)
class Request:
    """A request that a provider got.

    Attributes:
        connection: number of the connection, from 1.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answers; a mapping as `body` becomes JSON."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Mapping[str, Any] = b""

    def encode(self) -> bytes:
        """The body's octets."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Fault(Enum):
    """What can go wrong below the answers."""

    SILENCE = auto()
    """Nothing is ever answered."""
    SLOW_BODY = auto()
    """The status comes at once, the body never ends."""
    ENDLESS_BODY = auto()
    """As much body as the client takes."""
    GOAWAY_UNSEEN = auto()
    """The connection ends, and no request of it was looked at."""
    GOAWAY_UNSEEN_LATER = auto()
    """The connection ends; earlier requests were looked at, this one was not."""
    GOAWAY_SEEN = auto()
    """The connection ends without an answer to a request that may have been looked at."""
    GOAWAY_AFTER = auto()
    """An answer, and then the connection ends."""
    REFUSED = auto()
    """The request is reset, and was not looked at."""
    RESET = auto()
    """The request is reset, whatever was done about it."""
    DROP = auto()
    """The connection is cut."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for this machine that signs itself."""

    file: Path
    context: ssl.SSLContext


def make_certificate(folder: Path) -> Certificate:
    """For ``127.0.0.1`` and ``localhost``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file, key_file = folder / "provider.pem", folder / "provider.key"
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    context.set_alpn_protocols(["h2"])
    return Certificate(file, context)


class Provider:
    """A server that answers with `handle`, unless a fault waits in `faults`.

    Attributes:
        faults: one for each of the next requests; None: no fault.
        requests: all that came.
        arrived: set when the first of them came.
        max_streams: how many requests it takes at once on new connections; None: as many as come.
    """

    def __init__(self, certificate: Certificate) -> None:
        self.certificate = certificate
        self.faults: deque[Answer | Fault | None] = deque()
        self.requests: list[Request] = []
        self.arrived = asyncio.Event()
        self.max_streams: int | None = None
        self.connections = 0
        self.url = ""
        self._server: asyncio.Server
        self._open: set[asyncio.Transport] = set()

    def handle(self, request: Request) -> Answer:
        """Answer one request as the real one would."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), "127.0.0.1", 0, ssl=self.certificate.context
        )
        self.url = f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Cut all connections."""
        for transport in [*self._open]:
            transport.abort()


class _Connection(asyncio.Protocol):
    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._bodies: dict[int, bytes] = {}
        self._heads: dict[int, dict[str, str]] = {}
        self._endless: set[int] = set()
        self._transport: asyncio.Transport
        self._number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._provider.connections += 1
        self._number = self._provider.connections
        self._provider._open.add(transport)
        if self._provider.max_streams is not None:
            streams = {SettingCodes.MAX_CONCURRENT_STREAMS: self._provider.max_streams}
            self._h2.local_settings = Settings(client=False, initial_values=streams)
        self._h2.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._provider._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            match event:
                case h2.events.RequestReceived():
                    self._heads[event.stream_id] = {
                        _text(name): _text(value) for name, value in event.headers
                    }
                    self._bodies[event.stream_id] = b""
                case h2.events.DataReceived():
                    self._bodies[event.stream_id] += event.data
                    self._h2.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
                case h2.events.StreamEnded():
                    self._answer(event.stream_id)
                case h2.events.StreamReset():
                    self._endless.discard(event.stream_id)
        self._fill()
        self._flush()

    def _answer(self, stream_id: int) -> None:
        head = self._heads.pop(stream_id)
        headers = {name: value for name, value in head.items() if not name.startswith(":")}
        body = self._bodies.pop(stream_id)
        request = Request(head[":path"], headers, body, self._number)
        self._provider.arrived.set()
        fault = self._provider.faults.popleft() if self._provider.faults else None
        if not isinstance(fault, Fault):
            self._provider.requests.append(request)
            self._send(stream_id, fault or self._provider.handle(request))
            return
        if fault not in (Fault.GOAWAY_UNSEEN, Fault.GOAWAY_UNSEEN_LATER, Fault.REFUSED):
            self._provider.requests.append(request)
        self._fail(stream_id, fault, request)

    def _fail(self, stream_id: int, fault: Fault, request: Request) -> None:
        match fault:
            case Fault.SLOW_BODY | Fault.ENDLESS_BODY:
                self._h2.send_headers(stream_id, [(":status", "500"), ("retry-after", "7")])
                self._h2.send_data(stream_id, b"{")
                if fault is Fault.ENDLESS_BODY:
                    self._endless.add(stream_id)
                    self._fill()
            case Fault.GOAWAY_UNSEEN:
                self._go_away(0)
            case Fault.GOAWAY_UNSEEN_LATER:
                self._go_away(stream_id - 2)
            case Fault.GOAWAY_SEEN:
                self._go_away(stream_id)
            case Fault.GOAWAY_AFTER:
                self._send(stream_id, self._provider.handle(request))
                self._go_away(stream_id)
            case Fault.REFUSED:
                self._h2.reset_stream(stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
            case Fault.RESET:
                self._h2.reset_stream(stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
            case Fault.DROP:
                self._transport.abort()

    def _fill(self) -> None:
        for stream_id in self._endless:
            while room := min(self._h2.local_flow_control_window(stream_id), 16_384):
                self._h2.send_data(stream_id, b" " * room)

    def _send(self, stream_id: int, answer: Answer) -> None:
        headers = [(":status", str(answer.status)), *answer.headers.items()]
        self._h2.send_headers(stream_id, headers)
        self._h2.send_data(stream_id, answer.encode(), end_stream=True)

    def _go_away(self, last_stream_id: int) -> None:
        self._h2.close_connection(last_stream_id=last_stream_id)
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._h2.data_to_send())


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()
