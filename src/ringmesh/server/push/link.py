"""Requests to push providers: HTTP/2 where they speak it, connections reused, all bounded."""

from __future__ import annotations

import asyncio
import email.utils
import os
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ringmesh.errors import ConfigurationError, ConnectionFailedError, RequestError
from ringmesh.server.push.addresses import PrivateAddressError, Resolve, any_address, connect
from ringmesh.server.push.connection import ALPN, Connection, UnseenError
from ringmesh.server.push.contract import Outcome, Status
from ringmesh.server.push.http_exchange import Reply, Request

SEND_SECONDS = 10.0
"""How long one attempt may take, all in all."""

MAX_AT_ONCE = 100
"""Requests that may be under way to one host. More wait, within `SEND_SECONDS`."""

PATIENCE_SECONDS = 1.0
"""How long a request waits for its turn at a host that is one of many."""

_LONGEST_RETRY_AFTER = 86_400.0
_SHUTDOWN_SECONDS = 1.0


class Link:
    """Connections to one host.

    A connection on which something was not answered in time is used no longer, though what is still
    under way on it may come to its end. What a provider has surely not seen (RFC 9113 sections 6.8
    and 8.7) goes out again on another one, once.

    Args:
        tls: from `tls_context`.
        resolve: to which addresses to connect.
        most: requests that may be under way.
        patient: False where the host is one of many, and whoever waits for it keeps others waiting:
            requests fail that do not get their turn within `PATIENCE_SECONDS`, and after them all
            that do not get it at once, until the host answers again.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        resolve: Resolve = any_address,
        *,
        most: int = MAX_AT_ONCE,
        patient: bool = True,
    ) -> None:
        self._tls = tls
        self._resolve = resolve
        self._slots = asyncio.Semaphore(most)
        self._patient = patient
        self._stuck = False
        self._connecting = asyncio.Lock()
        self._connections: list[Connection] = []
        self.waiting = 0

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> Reply:
        """One request and its answer. The caller bounds the time.

        Args:
            headers: names in lower case.

        Raises:
            ConnectionFailedError: no connection, or it ended early, or it was not its turn; the
                text says what.
            PrivateAddressError: from `resolve`.
            RequestError: a header cannot be sent.
        """
        self.waiting += 1
        try:
            await self._turn()
            try:
                reply = await self._post(url, headers, content)
            finally:
                self._slots.release()
            self._stuck = False
            return reply
        finally:
            self.waiting -= 1

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(connection.close() for connection in self._connections))

    async def _turn(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            if self._stuck:
                raise TimeoutError
            async with asyncio.timeout(None if self._patient else PATIENCE_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            self._stuck = True
            raise ConnectionFailedError("the host does not keep up") from None

    async def _post(self, url: str, headers: Mapping[str, str], content: bytes) -> Reply:
        host, port, request = _request(url, headers, content)
        for last in (False, True):
            connection = self._free() or await self._connect(host, port)
            try:
                return await connection.post(request)
            except UnseenError:
                if last:
                    raise
            except BaseException:  # cancelled: not answered in time
                connection.retire()
                raise
        raise AssertionError("unreachable")

    def _free(self) -> Connection | None:
        for one in self._connections:
            if one.usable and (one.shared or not one.busy):
                return one
        return None

    async def _connect(self, host: str, port: int) -> Connection:
        async with self._connecting:
            made = self._free()  # meanwhile, by somebody else
            if made is not None:
                return made
            try:
                reached = await connect(await self._resolve(host, port), port)
                _, made = await asyncio.get_running_loop().create_connection(
                    Connection,
                    sock=reached,
                    ssl=self._tls,
                    server_hostname=host,
                    ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
                )
            except OSError as error:
                raise ConnectionFailedError(_words(error)) from None
            self._keep(made)
            return made

    def _keep(self, made: Connection) -> None:
        for stale in self._connections:
            if not stale.usable:
                stale.retire()
        self._connections.append(made)
        made.lost.add_done_callback(lambda _: self._connections.remove(made))


def _request(url: str, headers: Mapping[str, str], content: bytes) -> tuple[str, int, Request]:
    parts = urlsplit(url)
    assert parts.hostname is not None, "checked when it was configured or subscribed"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    for name, text in (*headers.items(), ("path", path)):
        if not text.isascii() or not text.isprintable() or text != text.strip():
            raise RequestError(422, {name: ["is no text for a header"]})
    return parts.hostname, parts.port or 443, Request(parts.netloc, path, headers, content)


def _words(error: OSError) -> str:
    """Why there is no connection, without addresses and tokens."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "its name is unknown"
    if error.errno and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno).lower()
    return f"the connection failed ({type(error).__name__})"


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """What to trust: the system's certificates, or those in a file alone.

    Raises:
        ConfigurationError: the file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        reason = error.strerror or "it holds no certificate"
        raise ConfigurationError(f"{ca_file} cannot be used: {reason}") from None
    context.set_alpn_protocols(ALPN)
    return context


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
