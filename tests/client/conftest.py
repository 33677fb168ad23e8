"""A running server and people signed in to it. One event loop serves the whole folder."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

import ringmesh
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings

PASSWORD = "correct horse"
_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """How often ``tests/client/test_server_crashes.py`` kills the server."""
    parser.addoption("--server-crashes", type=int, default=None, help="how often to kill it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder shares one event loop, that of the server."""
    for item in items:
        coroutine = inspect.iscoroutinefunction(getattr(item, "function", None))
        if coroutine and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """The whole server on a free port."""
    data_dir = tmp_path_factory.mktemp("server")
    settings = load_settings(port=0, failed_logins_per_address=1_000_000)
    async with Server(data_dir, settings) as running:
        yield running


@pytest.fixture
def login() -> Callable[[], str]:
    """A new login each time, so that no test meets another's people."""
    return lambda: f"person-{next(_numbers):04}"


class SignIn(Protocol):
    """Signs a person in for the time of the test; options are those of `ringmesh.connect`."""

    async def __call__(self, name: str | None = None, **options: object) -> ringmesh.Connection: ...


@pytest_asyncio.fixture(loop_scope="session")
async def sign_in(server: Server, login: Callable[[], str]) -> AsyncIterator[SignIn]:
    """See `SignIn`."""
    async with AsyncExitStack() as stack:

        async def enter(name: str | None = None, **options: object) -> ringmesh.Connection:
            connecting = ringmesh.connect(
                server.url,
                login=name or login(),
                password=PASSWORD,
                **options,  # type: ignore[arg-type]
            )
            return await stack.enter_async_context(connecting)

        yield enter
