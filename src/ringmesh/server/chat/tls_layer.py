"""TLS over a socket that somebody else reads and writes.

asyncio's own TLS keeps a read buffer of 256 KiB for each connection. This keeps nothing beyond
what OpenSSL needs, and begins in the middle of a connection as easily as at its start.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable

_READ_BYTES = 65_536


class TlsLayer:
    """The server's end of TLS on one connection.

    Args:
        context: with the certificate.
        write: gives bytes to the socket.
    """

    __slots__ = ("_established", "_incoming", "_outgoing", "_tls", "_write")

    def __init__(self, context: ssl.SSLContext, write: Callable[[bytes], None]) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._write = write
        self._established = False

    def receive(self, data: bytes) -> bytes:
        """Bytes came from the socket; what they say.

        Raises:
            ssl.SSLError: TLS has ended, or this is not TLS.
        """
        self._incoming.write(data)
        try:
            if not self._established:
                self._tls.do_handshake()
                self._established = True
            return self._read()
        except ssl.SSLWantReadError:
            return b""
        finally:
            self._flush()

    def send(self, data: bytes) -> None:
        """Encrypt and write. Before the handshake is over nothing can be said."""
        if self._established:
            self._tls.write(data)
            self._flush()

    def finish(self) -> None:
        """Say that no more will come (close_notify)."""
        if self._established:
            with contextlib.suppress(ssl.SSLError):  # the other side has not said the same yet
                self._tls.unwrap()
            self._flush()

    def _read(self) -> bytes:
        chunks = [self._tls.read(_READ_BYTES)]
        try:
            while chunks[-1]:
                chunks.append(self._tls.read(_READ_BYTES))
        except ssl.SSLWantReadError:
            return b"".join(chunks)
        if chunks == [b""]:
            raise ssl.SSLZeroReturnError
        return b"".join(chunks)

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._write(self._outgoing.read())
