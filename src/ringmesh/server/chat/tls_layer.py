"""TLS over a socket that somebody else reads and writes.

asyncio's own TLS keeps a read buffer of 256 KiB for each connection. This keeps nothing beyond
what OpenSSL needs, and begins in the middle of a connection as easily as at its start.

OpenSSL's memory buffers stay as large as what was ever written to them in one piece. So bytes go
in and out in small pieces: a client that has made calls costs no more than one that never did.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl

_HANDSHAKE_PIECE = 128  # bytes; nothing else that idle clients send is as long as the first flight
_PIECE = 2048  # no shorter than a stream header with its features, which one SDK must get at once


class TlsLayer:
    """The server's end of TLS on one connection.

    Args:
        context: with the certificate.
        transport: writes to the socket.
    """

    __slots__ = ("_established", "_incoming", "_outgoing", "_tls", "_transport")

    def __init__(self, context: ssl.SSLContext, transport: asyncio.WriteTransport) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._transport = transport
        self._established = False

    def receive(self, data: bytes) -> bytes:
        """Bytes came from the socket; what they say.

        Raises:
            ssl.SSLError: TLS has ended, or this is not TLS.
        """
        clear = bytearray()
        try:
            pos = 0
            while pos < len(data):
                size = _PIECE if self._established else _HANDSHAKE_PIECE
                self._incoming.write(data[pos : pos + size])
                pos += size
                with contextlib.suppress(ssl.SSLWantReadError):
                    self._take(clear)
        finally:
            self._flush()
        return bytes(clear)

    def send(self, data: bytes) -> None:
        """Encrypt and write. Before the handshake is over nothing can be said."""
        if self._established:
            for pos in range(0, len(data), _PIECE):
                self._tls.write(data[pos : pos + _PIECE])
                self._flush()

    def finish(self) -> None:
        """Say that no more will come (close_notify)."""
        if self._established:
            with contextlib.suppress(ssl.SSLError):  # the other side has not said the same yet
                self._tls.unwrap()
            self._flush()

    def _take(self, clear: bytearray) -> None:
        """Let OpenSSL have what came, until it wants more."""
        if not self._established:
            self._tls.do_handshake()
            self._established = True
        while more := self._tls.read(_PIECE):
            clear += more
        if not clear:
            raise ssl.SSLZeroReturnError

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())
