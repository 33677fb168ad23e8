"""A server for the samples."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings


@pytest_asyncio.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A running server."""
    async with Server(tmp_path / "server", load_settings(port=0)) as server:
        yield server.url
