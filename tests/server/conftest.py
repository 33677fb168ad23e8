"""One server for many tests: each gets an application of its own, so none sees another's users."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ringmesh.server.logging import configure_logging
from ringmesh.server.settings import LogFormat, LogLevel
from tests.server.api_client import Api, serving


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    """Log as a server does."""
    configure_logging(LogFormat.CONSOLE, LogLevel.INFO)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """A server whose limits do not get in the way."""
    folder = tmp_path_factory.mktemp("server")
    many = 1_000_000
    async with serving(
        folder, failed_logins_per_account=many, failed_logins_per_address=many
    ) as api:
        yield api


@pytest_asyncio.fixture(loop_scope="session")
async def api(shared_api: Api) -> Api:
    """A client of a new application; use it with ``loop_scope="session"``."""
    application = await shared_api.server.accounts.applications.create("test")
    return Api(shared_api.http, application, shared_api.server)
