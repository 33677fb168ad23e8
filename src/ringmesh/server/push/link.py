"""Requests to push providers: HTTP/2 where they speak it, connections reused, all bounded."""

from __future__ import annotations

import asyncio
import email.utils
import os
import socket
import ssl
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpcore2

from ringmesh.errors import ConfigurationError, ConnectionFailedError, RequestError
from ringmesh.server.push.contract import Outcome, Status
from ringmesh.server.push.endpoints import is_allowed_host, is_public

SEND_SECONDS = 10.0
"""How long one attempt may take, all in all."""

MAX_BODY = 16_384
BODY_SECONDS = 2.0
MAX_AT_ONCE = 100
"""Requests that may be under way to one host. More wait, within `SEND_SECONDS`."""

_IDLE_SECONDS = 600.0
_LONGEST_RETRY_AFTER = 86_400.0
_MOST_ADDRESSES = 4
_CLOSE_SECONDS = 1.0


class PrivateAddressError(httpcore2.ConnectError):
    """The host's name leads into a private network."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. The body is empty where it came too slowly, and cut where it was too large."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Link:
    """Connections to one host.

    A connection on which something was not answered in time is used no longer, though what is still
    under way on it may come to its end. What a provider has surely not seen (GOAWAY, RFC 9113
    section 6.8) goes out again on a new one.

    Args:
        tls: from `tls_context`.
        backend: how to connect; None: to any address.
    """

    def __init__(
        self, tls: ssl.SSLContext, backend: httpcore2.AsyncNetworkBackend | None = None
    ) -> None:
        self._tls = tls
        self._backend = backend
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._pool = self._new_pool()
        self._running: dict[httpcore2.AsyncConnectionPool, int] = {}
        self.waiting = 0

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> Reply:
        """One request and its answer. The caller bounds the time.

        Raises:
            ConnectionFailedError: no connection, or it ended early; the text says how.
            PrivateAddressError: from the backend.
        """
        self.waiting += 1
        try:
            async with self._slots:
                return await self._post(url, headers, content)
        finally:
            self.waiting -= 1

    async def close(self) -> None:
        """Close all connections."""
        for pool in {self._pool, *self._running}:
            await _close(pool)

    async def _post(self, url: str, headers: Mapping[str, str], content: bytes) -> Reply:
        for last in (False, True):
            pool = self._pool
            self._running[pool] = self._running.get(pool, 0) + 1
            try:
                return await _exchange(pool, url, headers, content)
            except PrivateAddressError:
                raise
            except (
                httpcore2.NetworkError,
                httpcore2.ProtocolError,
                ssl.SSLError,
                OSError,
            ) as error:
                self._retire(pool)
                if last or not _is_unseen(error):
                    raise ConnectionFailedError(_words(error)) from None
            except BaseException:  # not answered in time: whoever bounds the time cancels
                self._retire(pool)
                raise
            finally:
                await self._finished(pool)
        raise AssertionError("unreachable")

    def _new_pool(self) -> httpcore2.AsyncConnectionPool:
        return httpcore2.AsyncConnectionPool(
            ssl_context=self._tls,
            max_connections=MAX_AT_ONCE,
            max_keepalive_connections=MAX_AT_ONCE,
            keepalive_expiry=_IDLE_SECONDS,
            http2=True,
            network_backend=self._backend,
        )

    def _retire(self, pool: httpcore2.AsyncConnectionPool) -> None:
        if pool is self._pool:
            self._pool = self._new_pool()

    async def _finished(self, pool: httpcore2.AsyncConnectionPool) -> None:
        self._running[pool] -= 1
        if not self._running[pool]:
            del self._running[pool]
            if pool is not self._pool:
                await _close(pool)


async def _exchange(
    pool: httpcore2.AsyncConnectionPool, url: str, headers: Mapping[str, str], content: bytes
) -> Reply:
    async with pool.stream("POST", url, headers=[*headers.items()], content=content) as response:
        found = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers
        }
        lower = {name.lower(): value for name, value in found.items()}
        return Reply(response.status, lower, await _body(response))


async def _body(response: httpcore2.Response) -> bytes:
    """What says why; the status alone will do."""
    body = b""
    assert isinstance(response.stream, AsyncIterable)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in response.stream:
                body += chunk
                if len(body) >= MAX_BODY:
                    break
    except (TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError):
        return b""
    return body[:MAX_BODY]


async def _close(pool: httpcore2.AsyncConnectionPool) -> None:
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await pool.aclose()
    except Exception:  # it is of no use any more, in whatever state it is
        return


def _is_unseen(error: Exception) -> bool:
    """A GOAWAY that says no request at all was looked at. (With a higher last stream httpcore2
    repeats what came after it by itself.)"""
    cause = error.args[0] if error.args else None
    return getattr(cause, "last_stream_id", None) == 0


def _words(error: Exception) -> str:
    """A transport error without addresses and tokens."""
    cause: BaseException = error
    while cause.__cause__ is not None or cause.__context__ is not None:
        cause = cause.__cause__ or cause.__context__ or cause
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    if isinstance(cause, socket.gaierror):
        return "its name is unknown"
    if isinstance(cause, OSError) and cause.errno and not isinstance(cause, ssl.SSLError):
        return os.strerror(cause.errno).lower()
    return f"the connection failed ({type(error).__name__})"


class PublicBackend(httpcore2.AsyncNetworkBackend):
    """Connects to hosts on the Internet only, whatever their names say.

    Args:
        allowed_hosts: may be private all the same.
    """

    def __init__(self, allowed_hosts: Collection[str]) -> None:
        self._allowed = allowed_hosts
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Resolve the name once, and connect to what was checked.

        Raises:
            PrivateAddressError: it has private addresses only.
        """
        if is_allowed_host(host, port, self._allowed):
            addresses = [host]
        else:
            addresses = await _public_addresses(host, port)
        for last, address in enumerate(addresses, 1 - len(addresses)):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except httpcore2.ConnectError:
                if last == 0:
                    raise
        raise PrivateAddressError("leads into a private network")


async def _public_addresses(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore2.ConnectError("unknown name") from error
    addresses = [str(info[4][0]) for info in found]
    return [address for address in addresses if is_public(address)][:_MOST_ADDRESSES]


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """What to trust: the system's certificates, or those in a file alone.

    Raises:
        ConfigurationError: the file cannot be used.
    """
    if ca_file is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:
        reason = error.strerror or "it holds no certificate"
        raise ConfigurationError(f"{ca_file} cannot be used: {reason}") from None


def retry_after(reply: Reply, now: Callable[[], float] = time.time) -> float | None:
    """Seconds of a ``Retry-After`` header (RFC 9110 section 10.2.3); None without a good one."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), _LONGEST_RETRY_AFTER)
    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - now()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


async def bounded(attempt: Awaitable[Outcome]) -> Outcome:
    """An attempt in bounded time, its failures as outcomes."""
    try:
        async with asyncio.timeout(SEND_SECONDS):
            return await attempt
    except TimeoutError:
        return Outcome(Status.RETRY, f"no answer in {SEND_SECONDS:g} s")
    except ConnectionFailedError as error:
        return Outcome(Status.RETRY, str(error))
    except PrivateAddressError:
        return Outcome(Status.REJECTED, "the address leads into a private network")
    except RequestError as error:
        return Outcome(
            Status.REJECTED, "; ".join(text for one in error.errors.values() for text in one)
        )
