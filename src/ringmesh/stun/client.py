"""A client of one STUN or TURN server, over UDP, TCP or TLS."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import cast

from ringmesh.errors import (
    AuthenticationError,
    ConnectionFailedError,
    ProtocolError,
    RingmeshError,
)
from ringmesh.stun.message import (
    HEADER_LENGTH,
    Attribute,
    Kind,
    Message,
    Method,
    TransportAddress,
    decode,
    has_integrity,
    long_term_key,
    pack_address,
)
from ringmesh.stun.url import ServerUrl, Transport

RETRANSMISSIONS = (0.5, 1.0, 2.0)
"""Seconds before a request over UDP is sent again (RFC 8489 section 6.2.1, cut short)."""

MAX_WAITING = 64
"""Packets from peers that wait to be received; more are dropped."""

_UDP = 17
_UNAUTHORIZED = 401
_STALE_NONCE = 438


class RelayRefusedError(RingmeshError):
    """The server answered a request with an error.

    Attributes:
        status: STUN error code, for instance 403 or 486.
        reason: in the server's words.
    """

    code = "relay-refused"

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.status} {self.reason}".strip()


class UntrustedRelayError(ConnectionFailedError):
    """The server's certificate is not trusted, not for its name, or out of date."""

    code = "untrusted-relay"


class StunClient:
    """One socket towards one server. Get it from `open_client`.

    Every request raises `ConnectionFailedError` when the connection ends, `RelayRefusedError` when
    the server refuses, and `AuthenticationError` when it refuses the credentials. Whoever calls
    bounds the time.
    """

    def __init__(self, *, reliable: bool) -> None:
        self._reliable = reliable
        self._write: Callable[[bytes], None]
        self._waiting: dict[bytes, asyncio.Future[tuple[Message, bytes]]] = {}
        self._packets: asyncio.Queue[tuple[TransportAddress, bytes]] = asyncio.Queue(MAX_WAITING)
        self._username = b""
        self._password = ""
        self._realm: bytes | None = None
        self._nonce = b""
        self._key: bytes | None = None

    async def binding(self) -> TransportAddress:
        """Our address as the server sees it."""
        answer = await self._exchange(Method.BINDING, [])
        return _required(answer, Attribute.XOR_MAPPED_ADDRESS)

    async def allocate(self, username: str, password: str) -> TransportAddress:
        """Make the server relay for us; returns the address that it listens on."""
        self._username, self._password = username.encode(), password
        answer = await self._signed(
            Method.ALLOCATE, [(Attribute.REQUESTED_TRANSPORT, struct.pack("!Bxxx", _UDP))]
        )
        return _required(answer, Attribute.XOR_RELAYED_ADDRESS)

    async def permit(self, peer: TransportAddress) -> None:
        """Let this peer's packets through, in both directions."""
        await self._signed(Method.CREATE_PERMISSION, [], peer)

    async def refresh(self, lifetime: int) -> None:
        """Keep the allocation for so many seconds; 0 ends it."""
        await self._signed(Method.REFRESH, [(Attribute.LIFETIME, struct.pack("!I", lifetime))])

    def send(self, peer: TransportAddress, data: bytes) -> None:
        """Send a packet from the relay to a permitted peer."""
        identifier = secrets.token_bytes(12)
        attributes = (
            (Attribute.XOR_PEER_ADDRESS, pack_address(peer, identifier)),
            (Attribute.DATA, data),
        )
        self._write(Message(Method.SEND, Kind.INDICATION, identifier, attributes).encode())

    async def receive(self) -> tuple[TransportAddress, bytes]:
        """The next packet that came to the relay, and from whom."""
        return await self._packets.get()

    async def _signed(
        self,
        method: Method,
        attributes: Sequence[tuple[int, bytes]],
        peer: TransportAddress | None = None,
    ) -> Message:
        """A request with credentials; the server's first challenge is answered."""
        for attempt in range(3):
            try:
                return await self._exchange(method, attributes, peer, signed=True)
            except _ChallengeError as challenge:
                known = self._realm == challenge.realm
                self._realm, self._nonce = challenge.realm, challenge.nonce
                self._key = long_term_key(
                    self._username.decode(), challenge.realm.decode(errors="replace"),
                    self._password,
                )  # fmt: skip
                if challenge.status == _UNAUTHORIZED and (known or attempt):
                    break
        raise AuthenticationError("the relay refused the credentials")

    async def _exchange(
        self,
        method: Method,
        attributes: Sequence[tuple[int, bytes]],
        peer: TransportAddress | None = None,
        *,
        signed: bool = False,
    ) -> Message:
        identifier = secrets.token_bytes(12)
        parts = list(attributes)
        if peer is not None:
            parts.append((Attribute.XOR_PEER_ADDRESS, pack_address(peer, identifier)))
        key = self._key if signed else None
        if key is not None:
            parts += [
                (Attribute.USERNAME, self._username),
                (Attribute.REALM, self._realm or b""),
                (Attribute.NONCE, self._nonce),
            ]
        request = Message(method, Kind.REQUEST, identifier, tuple(parts)).encode(key)
        answer, raw = await self._answer_to(identifier, request)
        if answer.kind is Kind.ERROR:
            raise _refusal(answer)
        if key is not None and not has_integrity(raw, key):
            raise ProtocolError("the relay's answer is not signed with our key")
        return answer

    async def _answer_to(self, identifier: bytes, request: bytes) -> tuple[Message, bytes]:
        waiting: asyncio.Future[tuple[Message, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[identifier] = waiting
        try:
            self._write(request)
            for pause in () if self._reliable else RETRANSMISSIONS:
                with suppress(TimeoutError):
                    return await asyncio.wait_for(asyncio.shield(waiting), pause)
                self._write(request)
            return await waiting
        finally:
            del self._waiting[identifier]

    def connected(self, write: Callable[[bytes], None]) -> None:
        """From now on, messages are written by this."""
        self._write = write

    def received(self, data: bytes) -> None:
        """One message from the server; what is none is dropped."""
        try:
            message = decode(data)
            peer = message.address(Attribute.XOR_PEER_ADDRESS)
        except ProtocolError:
            return
        if message.kind in (Kind.SUCCESS, Kind.ERROR):
            waiting = self._waiting.get(message.transaction_id)
            if waiting is not None and not waiting.done():
                waiting.set_result((message, data))
        elif message.method == Method.DATA and peer is not None:
            with suppress(asyncio.QueueFull):
                self._packets.put_nowait((peer, message.get(Attribute.DATA) or b""))

    def lost(self, error: Exception | None) -> None:
        """The connection ended: nobody waits in vain."""
        for waiting in self._waiting.values():
            if not waiting.done():
                reason = str(error) if error else "closed by the server"
                waiting.set_exception(ConnectionFailedError(f"connection ended: {reason}"))


class _ChallengeError(Exception):
    """401 or 438: sign with this realm and nonce."""

    def __init__(self, status: int, realm: bytes, nonce: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.realm = realm
        self.nonce = nonce


def _refusal(answer: Message) -> Exception:
    status, reason = answer.error() or (0, "without a reason")
    realm, nonce = answer.get(Attribute.REALM), answer.get(Attribute.NONCE)
    if status in (_UNAUTHORIZED, _STALE_NONCE) and realm is not None and nonce is not None:
        return _ChallengeError(status, realm, nonce)
    if status == _UNAUTHORIZED:
        return AuthenticationError("the relay refused the credentials")
    return RelayRefusedError(status, reason)


def _required(answer: Message, attribute: Attribute) -> TransportAddress:
    address = answer.address(attribute)
    if address is None:
        raise ProtocolError("the server's answer lacks an address")
    return address


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, client: StunClient) -> None:
        self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client.connected(cast(asyncio.DatagramTransport, transport).sendto)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._client.received(data)

    def error_received(self, exc: Exception) -> None:
        self._client.lost(exc)


class _Stream(asyncio.Protocol):
    def __init__(self, client: StunClient) -> None:
        self._client = client
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client.connected(cast(asyncio.WriteTransport, transport).write)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= HEADER_LENGTH:
            (length,) = struct.unpack_from("!H", self._buffer, 2)
            end = HEADER_LENGTH + length
            if len(self._buffer) < end:
                return
            self._client.received(bytes(self._buffer[:end]))
            del self._buffer[:end]

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.lost(exc)


@asynccontextmanager
async def open_client(server: ServerUrl) -> AsyncIterator[StunClient]:
    """A client connected to this server, without anything asked yet.

    Raises `ConnectionFailedError` when the name has no address, nobody listens there or no TLS is
    spoken, and `UntrustedRelayError` for a certificate that is not to be trusted.
    """
    loop = asyncio.get_running_loop()
    client = StunClient(reliable=server.transport is not Transport.UDP)
    transport: asyncio.BaseTransport
    try:
        if server.transport is Transport.UDP:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(client), remote_addr=(server.host, server.port)
            )
        else:
            context = ssl.create_default_context() if server.transport is Transport.TLS else None
            transport, _ = await loop.create_connection(
                lambda: _Stream(client), server.host, server.port, ssl=context
            )
    except ssl.SSLCertVerificationError as error:
        raise UntrustedRelayError(
            f"the certificate is not trusted: {error.verify_message}"
        ) from error
    except (ssl.SSLError, ConnectionResetError) as error:
        raise ConnectionFailedError(
            f"no TLS connection to {server.host} port {server.port}: {error.strerror or error}"
        ) from error
    except OSError as error:
        raise ConnectionFailedError(
            f"cannot connect to {server.host} port {server.port}: {error.strerror or error}"
        ) from error
    try:
        yield client
    finally:
        transport.close()
