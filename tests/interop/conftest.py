"""A running server, Chromium and people on both sides. One event loop serves the whole folder."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeAlias

import pytest
import pytest_asyncio
from playwright.async_api import Browser

import ringmesh
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from tests.interop.browser import Browsers, Endpoints, chromium, page_server

PASSWORD = "correct horse"
session_fixture = pytest_asyncio.fixture(scope="session", loop_scope="session")
test_fixture = pytest_asyncio.fixture(loop_scope="session")
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the browser and shares one event loop."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@session_fixture
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """The whole server on a free port."""
    data_dir = tmp_path_factory.mktemp("server")
    ports = {"xmpp_port": 0, "xmpps_port": 0, "wss_port": 0}
    settings = load_settings(port=0, host="127.0.0.1", chat_self_signed=True, **ports)
    async with Server(data_dir, settings) as running:
        yield running


@session_fixture
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests."""
    async with chromium() as running:
        yield running


@session_fixture
async def endpoints(server: Server) -> Endpoints:
    """What the server tells about itself: the same document our own SDK reads."""
    found = await ringmesh.discover(server.url)
    return Endpoints(
        application_id=found.app_id,
        auth_key=found.auth_key,
        api_url=server.url,
        chat_domain=found.chat_domain,
        chat_url=found.chat_url,
    )


@test_fixture
async def browsers(browser: Browser, endpoints: Endpoints) -> AsyncIterator[Browsers]:
    """Opens pages with the unmodified SDK; what goes wrong inside them fails the test."""
    with page_server() as url:
        opened = Browsers(browser, url, endpoints)
        try:
            yield opened
            problems = [problem for peer in opened.opened for problem in peer.problems]
            assert not problems
        finally:
            await opened.close()


@pytest.fixture
def login() -> Callable[[], str]:
    """A new login each time, so that no test meets another's people."""
    return lambda: f"person-{next(_numbers):04}"


SignIn: TypeAlias = Callable[..., Awaitable[ringmesh.Connection]]


@test_fixture
async def sign_in(server: Server, login: Callable[[], str]) -> AsyncIterator[SignIn]:
    """Signs people in with the Python SDK for the time of the test."""

    async with AsyncExitStack() as stack:

        async def enter(name: str | None = None, **options: object) -> ringmesh.Connection:
            return await stack.enter_async_context(
                ringmesh.connect(server.url, login=name or login(), password=PASSWORD, **options)
            )

        yield enter
