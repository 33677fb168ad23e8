"""Wiring: which store, which chat server, one port."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from ringmesh.server.settings import Settings


class Server:
    """One node: REST, chat and page on one port, over one data folder.

    ::

        async with Server(data_dir, load_settings(port=0)) as server:
            print(server.url)

    `start` brings the database up to date and listens; `stop` closes the chat streams properly,
    lets running requests finish within ``shutdown_timeout_seconds`` and closes the database.
    """

    def __init__(self, data_dir: Path, settings: Settings) -> None:
        self.data_dir = data_dir
        self.settings = settings

    @property
    def url(self) -> str:
        """Base URL as seen from this machine, for instance ``http://127.0.0.1:8080``."""
        raise NotImplementedError

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the address is taken or the data folder cannot be used.
        """
        raise NotImplementedError

    async def stop(self) -> None:
        """Shut down gracefully. Idempotent."""
        raise NotImplementedError

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
