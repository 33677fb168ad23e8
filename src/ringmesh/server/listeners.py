"""The ports of a server: HTTP with the WebSocket, and those of native SDKs beside it."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from ringmesh.errors import ConfigurationError
from ringmesh.server.certificates import Certificate, self_signed
from ringmesh.server.chat import ChatService, TcpSecurity
from ringmesh.server.client_address import is_loopback
from ringmesh.server.settings import Settings

BACKLOG = 2048
_XMPP_ALPN = ("xmpp-client",)  # XEP-0368


class Listeners:
    """Every listening socket, and the certificates behind them.

    Attributes:
        http: the main one.
        certificate: of the main one, if that speaks HTTPS.

    Raises:
        ConfigurationError: an address is taken, or a certificate cannot be used.
    """

    def __init__(self, settings: Settings, data_dir: Path) -> None:
        self._settings = settings
        self._open: list[socket.socket] = []
        self._named: dict[str, socket.socket] = {}
        try:
            self.certificate = _certificate(settings)
            self._chat_certificate = _chat_certificate(settings, data_dir) or self.certificate
            self.http = self._listen("port", settings.port)
            for name in ("wss_port", "xmpp_port", "xmpps_port"):
                if (port := getattr(settings, name)) is not None:
                    self._named[name] = self._listen(name, port)
            self._check_security()
        except BaseException:
            self.close()
            raise

    @property
    def ports(self) -> dict[str, int]:
        """Ports of the native SDKs by the names of their settings."""
        return {name: listener.getsockname()[1] for name, listener in self._named.items()}

    async def serve(
        self, chat: ChatService, make_http: Callable[[], asyncio.Protocol]
    ) -> list[asyncio.Server]:
        """Serve the ports of native SDKs; whoever gets the servers closes them."""
        loop = asyncio.get_running_loop()
        servers = []
        if (listener := self._named.get("wss_port")) is not None:
            context = self._context()
            servers.append(
                await loop.create_server(make_http, sock=listener, ssl=context, backlog=BACKLOG)
            )
        for name, direct in (("xmpp_port", False), ("xmpps_port", True)):
            if (listener := self._named.get(name)) is not None:
                security = TcpSecurity(self._context(alpn=True), direct)
                make = _factory(chat, security)
                servers.append(await loop.create_server(make, sock=listener, backlog=BACKLOG))
        return servers

    def refresh_certificates(self) -> None:
        """Use the certificate files as they are now, without ending a connection."""
        for certificate in {self.certificate, self._chat_certificate}:
            if certificate is not None:
                certificate.refresh()

    def close(self) -> None:
        """Listen no more."""
        for listener in self._open:
            listener.close()

    def _listen(self, name: str, port: int) -> socket.socket:
        listener = _listen(self._settings.host, port, name)
        self._open.append(listener)
        return listener

    def _context(self, alpn: bool = False) -> ssl.SSLContext | None:
        if self._chat_certificate is None:
            return None
        return self._chat_certificate.context(_XMPP_ALPN if alpn else ())

    def _check_security(self) -> None:
        """Passwords must not travel in clear text, and some ports mean TLS."""
        if self._chat_certificate is not None:
            return
        for name, listener in self._named.items():
            if name != "xmpp_port" or not is_loopback(listener.getsockname()[0]):
                raise ConfigurationError(
                    f"{name} needs a certificate: set chat_tls_certificate and chat_tls_key, or "
                    "chat_self_signed for a trial"
                )


def _factory(chat: ChatService, security: TcpSecurity) -> Callable[[], asyncio.Protocol]:
    return lambda: chat.tcp(security)


def _certificate(settings: Settings) -> Certificate | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_certificate, settings.tls_key)


def _chat_certificate(settings: Settings, data_dir: Path) -> Certificate | None:
    if settings.chat_self_signed:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self_signed(data_dir, (settings.chat_domain, "localhost", "127.0.0.1", "::1"))
    if settings.chat_tls_certificate is None or settings.chat_tls_key is None:
        return None
    return Certificate(settings.chat_tls_certificate, settings.chat_tls_key)


def _listen(host: str, port: int, setting: str) -> socket.socket:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        # The protocol must be explicit: only then does asyncio switch Nagle's algorithm off.
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if host == "::":
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(address)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
        return listener
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        advice = "Choose another with --host and --port" if setting == "port" else f"Set {setting}"
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {reason}. {advice}"
        ) from error
