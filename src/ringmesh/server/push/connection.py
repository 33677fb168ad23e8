"""One connection to a push provider: a pure core of HTTP between requests and a TLS transport."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections import deque
from dataclasses import dataclass
from typing import cast

from ringmesh.errors import ConnectionFailedError
from ringmesh.server.push.http1 import Http1
from ringmesh.server.push.http2 import Http2
from ringmesh.server.push.http_exchange import Core, Done, Event, Head, Reply, Request

ALPN = ["h2", "http/1.1"]
"""What to offer, the best first (RFC 7301)."""

BODY_SECONDS = 2.0
"""How long the rest of an answer may take after its status."""

IDLE_SECONDS = 600.0
"""After so long without a request a connection is used no more: who knows what lies between."""

_MOST_UNSENT = 1024 * 1024
_CLOSE_SECONDS = 1.0


class UnseenError(ConnectionFailedError):
    """The peer has surely not looked at a request: it may go out again."""


@dataclass(slots=True, eq=False)
class _Exchange:
    request: Request
    answered: asyncio.Future[Reply]
    stream_id: int = 0
    head: Reply | None = None
    body_timer: asyncio.TimerHandle | None = None


class Connection(asyncio.Protocol):
    """Carries requests from when TLS is there until the connection ends.

    Requests for which the peer has no room yet wait here. Whoever waits for an answer bounds the
    time, by being cancelled.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._core: Core = Http2()
        self._transport: asyncio.Transport
        self._waiting: deque[_Exchange] = deque()
        self._running: dict[int, _Exchange] = {}
        self._retired = False
        self._writable = True
        self._used_at = self._loop.time()
        self.lost: asyncio.Future[None] = self._loop.create_future()

    @property
    def shared(self) -> bool:
        """Whether it carries many requests at once."""
        return self._core.shared

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return bool(self._running or self._waiting)

    @property
    def usable(self) -> bool:
        """Whether new requests are good here."""
        stale = not self.busy and self._loop.time() - self._used_at > IDLE_SECONDS
        return not (self._retired or self._core.over or stale or self._transport.is_closing())

    async def post(self, request: Request) -> Reply:
        """One request and its answer.

        Raises:
            UnseenError: the connection ended, and the request was not looked at.
            ConnectionFailedError: it ended, and nobody knows.
        """
        exchange = _Exchange(request, self._loop.create_future())
        self._waiting.append(exchange)
        self._proceed()
        try:
            return await exchange.answered
        except asyncio.CancelledError:
            self._give_up(exchange)
            raise

    def retire(self) -> None:
        """Take no more requests, and close after the last answer."""
        self._retired = True
        self._proceed()

    async def close(self) -> None:
        """Close, whatever is under way."""
        self._transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await asyncio.shield(self.lost)
        if not self.lost.done():
            self._transport.abort()

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is there, and with it what to speak."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        tls = transport.get_extra_info("ssl_object")
        if tls is None or tls.selected_alpn_protocol() != "h2":
            self._core = Http1()
        self._write(self._core.open())

    def data_received(self, data: bytes) -> None:
        """Octets from the peer."""
        events, out = self._core.receive(data)
        self._write(out)
        for event in events:
            self._happened(event)
        self._proceed()

    def eof_received(self) -> None:
        """The peer sends no more."""
        self.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """The end: what has a status is answered, everything else has failed."""
        self._retired = True
        why = "it ended"
        if isinstance(exc, OSError) and exc.errno and not isinstance(exc, ssl.SSLError):
            why = os.strerror(exc.errno).lower()
        for exchange in [*self._running.values()]:
            if exchange.head is not None:
                self._answer(exchange, exchange.head)
            else:
                self._fail(exchange, ConnectionFailedError(f"the connection failed: {why}"))
        while self._waiting:
            self._fail(self._waiting.popleft(), UnseenError(f"the connection failed: {why}"))
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        """The peer does not read: begin no more."""
        self._writable = False

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        self._proceed()

    # What follows from them

    def _happened(self, event: Event) -> None:
        exchange = self._running.get(event.stream_id)
        if exchange is None:
            return
        if isinstance(event, Done):
            self._answer(exchange, event.reply)
        elif isinstance(event, Head):
            exchange.head = event.reply
            exchange.body_timer = self._loop.call_later(BODY_SECONDS, self._enough, exchange)
        else:
            error = UnseenError if event.unseen else ConnectionFailedError
            self._fail(exchange, error(f"the connection failed: {event.why}"))

    def _proceed(self) -> None:
        """Begin what there is room for, or close when nothing is left to do."""
        if self._retired or self._core.over:
            while self._waiting:
                self._fail(self._waiting.popleft(), UnseenError("the connection ended"))
            if not self._running:
                self._transport.close()
            return
        while self._waiting and self._writable and self._core.room > 0:
            exchange = self._waiting.popleft()
            exchange.stream_id, out = self._core.begin(exchange.request)
            self._running[exchange.stream_id] = exchange
            self._write(out)

    def _enough(self, exchange: _Exchange) -> None:
        """The body comes too slowly: the status will do."""
        assert exchange.head is not None
        self._write(self._core.cancel(exchange.stream_id))
        self._answer(exchange, exchange.head)
        self._proceed()

    def _give_up(self, exchange: _Exchange) -> None:
        if exchange in self._waiting:
            self._waiting.remove(exchange)
        elif self._running.get(exchange.stream_id) is exchange:
            self._finish(exchange)
            self._write(self._core.cancel(exchange.stream_id))
        self._proceed()

    def _answer(self, exchange: _Exchange, reply: Reply) -> None:
        self._finish(exchange)
        if not exchange.answered.done():
            exchange.answered.set_result(reply)

    def _fail(self, exchange: _Exchange, error: ConnectionFailedError) -> None:
        self._finish(exchange)
        if not exchange.answered.done():
            exchange.answered.set_exception(error)

    def _finish(self, exchange: _Exchange) -> None:
        self._running.pop(exchange.stream_id, None)
        self._used_at = self._loop.time()
        if exchange.body_timer is not None:
            exchange.body_timer.cancel()

    def _write(self, data: bytes) -> None:
        if not data or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _MOST_UNSENT:  # it asks and does not read
            self._transport.abort()
