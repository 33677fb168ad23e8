"""Wiring: accounts, bus, chat and REST on one port, and their life from start to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
import uvicorn

from ringmesh.server.accounts.models import Application
from ringmesh.server.accounts.service import Accounts
from ringmesh.server.bus import InProcessBus
from ringmesh.server.chat import ChatService
from ringmesh.server.data_folder import open_accounts, open_push
from ringmesh.server.http_protocol import HttpProtocol
from ringmesh.server.ice import warn_of_missing_ice_servers
from ringmesh.server.listeners import BACKLOG, Listeners
from ringmesh.server.logging import configure_unless_configured
from ringmesh.server.metrics import Metrics
from ringmesh.server.push.ringer import Ringer
from ringmesh.server.push.service import PushService
from ringmesh.server.rest.api import make_api
from ringmesh.server.rest.state import Services
from ringmesh.server.settings import Settings
from ringmesh.server.turn import ManagedRelay

HOUSEKEEPING_SECONDS = 30

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}

_logger = structlog.get_logger(__name__)


class Server:
    """One node: REST, chat and page on one port, over one data folder.

    ::

        async with Server(data_dir, load_settings(port=0)) as server:
            print(server.url)

    Args:
        clock: seconds since 1970-01-01 UTC, for whoever wants to see sessions expire.

    Attributes:
        accounts: the accounts in the folder, from `start` to `stop`.
        push: subscriptions, events and the outbox, likewise.
        application: the default one.
        created: whether this start made it, because there was none.
    """

    def __init__(
        self, data_dir: Path, settings: Settings, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.data_dir = data_dir
        self.settings = settings
        self.accounts: Accounts
        self.application: Application
        self.created = False
        self._clock = clock
        self._url = ""
        self.push: PushService
        self._chat: ChatService
        self._ringer: Ringer
        self._http: _HttpServer
        self._listeners: Listeners
        self._relay: ManagedRelay | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def relay(self) -> ManagedRelay | None:
        """The relay that this server runs, from `start`, if it runs one."""
        return self._relay

    @property
    def url(self) -> str:
        """Base URL as seen from this machine, for instance ``http://127.0.0.1:8080``."""
        return self._url

    @property
    def ports(self) -> dict[str, int]:
        """Ports for native SDKs that are open, by the names of their settings."""
        return self._listeners.ports

    def refresh_certificates(self) -> None:
        """Use the certificate files as they are now. Happens by itself within half a minute."""
        self._listeners.refresh_certificates()

    async def start(self) -> None:
        """Bring the database up to date and listen.

        Raises:
            ConfigurationError: the address is taken, or the data folder cannot be used.
        """
        configure_unless_configured()
        self._listeners = Listeners(self.settings, self.data_dir)
        async with contextlib.AsyncExitStack() as undo:
            undo.callback(self._listeners.close)
            if self.settings.turn_managed:
                self._relay = ManagedRelay(self.settings)
                undo.push_async_callback(self._relay.stop)
                await self._relay.start()
            else:
                warn_of_missing_ice_servers(self.settings)
            self.accounts = await open_accounts(self.data_dir, self.settings, self._clock)
            undo.push_async_callback(self.accounts.close)
            self.application, self.created = await self.accounts.applications.ensure_default()
            self.push = PushService(
                open_push(self.data_dir), self.data_dir, self.settings, self._clock
            )
            undo.push_async_callback(self.push.close)
            await self.push.start()
            self._chat = ChatService(
                domain=self.settings.chat_domain,
                authenticate=self.accounts.sign_in.authenticate_chat,
                scram=self.accounts.scram,
                last_activity=self.accounts.users.last_activity,
                bus=InProcessBus(),
                trusted_proxies=self.settings.trusted_proxies,
            )
            await self._chat.start()
            undo.push_async_callback(self._chat.close)
            self._ringer = Ringer(
                self._chat, self.push, self.accounts.users, pushes=self.settings.ring_by_push
            )
            self._ringer.start()
            undo.push_async_callback(self._ringer.close)
            if self._relay is not None:
                await self._relay.check()
            self._http = _HttpServer(self._http_config(), self._chat, self._listeners)
            await self._serve()
            undo.pop_all()
        self._url = _local_url(self.settings, self._listeners.http.getsockname()[1])
        _logger.info("server started", url=self._url, data_dir=str(self.data_dir), **self.ports)

    async def stop(self) -> None:
        """Shut down: listen no more, close the chat streams properly, let running requests
        finish within ``shutdown_timeout_seconds``, close the database. Idempotent."""
        if not self._tasks:
            return
        serving, housekeeping = self._tasks
        self._tasks = []
        housekeeping.cancel()
        self._http.should_exit = True
        await asyncio.gather(serving, housekeeping, return_exceptions=True)
        if self._relay is not None:
            await self._relay.stop()
        await self._ringer.close()
        await self.push.close()
        await self.accounts.close()
        _logger.info("server stopped")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def _http_config(self) -> uvicorn.Config:
        services = Services(
            accounts=self.accounts,
            chat=self._chat,
            settings=self.settings if self._relay is None else self._relay.settings,
            push=self.push,
            metrics=Metrics(self._chat, self.push.metrics),
            clock=self._clock,
        )
        certificate = self._listeners.certificate
        config = uvicorn.Config(
            make_api(services),
            http=HttpProtocol,
            ws=self._chat.websocket,  # type: ignore[arg-type]  # called like a class
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=self.settings.shutdown_timeout_seconds,
            ssl_context_factory=None if certificate is None else lambda *_: certificate.context(),
        )
        config.load()
        return config

    async def _serve(self) -> None:
        sockets = [self._listeners.http]
        serving = asyncio.create_task(self._http.serve(sockets=sockets), name="http")
        ready = asyncio.create_task(self._http.ready.wait(), name="http ready")
        await asyncio.wait((serving, ready), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if serving.done():
            await serving
        self._tasks = [serving, asyncio.create_task(self._keep_house(), name="housekeeping")]

    async def _keep_house(self) -> None:
        """Remove what has expired, notice new certificates, close the streams of users whom
        another process removed."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            try:
                self.refresh_certificates()
                await self.accounts.remove_expired()
                await self.push.keep_house()
                for application in await self.accounts.applications.list():
                    await self._disconnect_removed(application.id)
            except Exception:
                _logger.exception("housekeeping failed")

    async def _disconnect_removed(self, application_id: int) -> None:
        online = self._chat.online_users(application_id)
        known = await self.accounts.users.with_ids(application_id, online)
        for user_id in set(online) - {user.id for user in known}:
            self._chat.disconnect_user(application_id, user_id)


class _HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers, and with the chat in its shutdown."""

    def __init__(self, config: uvicorn.Config, chat: ChatService, listeners: Listeners) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._chat = chat
        self._listeners = listeners

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever runs the server."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self.servers += await self._listeners.serve(self._chat, self._make_http)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the chat streams after the last newcomer and before the rest."""
        for server in self.servers:
            server.close()
        await self._chat.close()
        await super().shutdown(sockets)

    def _make_http(self) -> asyncio.Protocol:
        """The protocol object of one HTTP connection, as uvicorn makes it for its own sockets."""
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def _local_url(settings: Settings, port: int) -> str:
    host = _ANY_ADDRESS.get(settings.host, settings.host)
    scheme = "http" if settings.tls_certificate is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
