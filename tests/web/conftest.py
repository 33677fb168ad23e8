"""A server with the built page, a browser, tabs in it, and people with the Python SDK."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from playwright.async_api import Browser

from ringmesh.server.accounts.user_input import UserInput
from ringmesh.server.app import Server
from ringmesh.server.page import FOLDER
from tests.interop.conftest import (  # noqa: F401  # fixtures of the neighbouring folder
    browser,
    login,
    server,
    sign_in,
    test_fixture,
)
from tests.web.page_driver import PASSWORD, Pages


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the browser and shares one event loop."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if inspect.iscoroutinefunction(getattr(item, "function", None)):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(autouse=True, scope="session")
def _page_is_built() -> None:
    if not (FOLDER / "index.html").exists():
        pytest.fail("the page is not built: run `make setup-test`")


Account: TypeAlias = Callable[[], Awaitable[str]]


@pytest.fixture
def account(server: Server, login: Callable[[], str]) -> Account:  # noqa: F811
    """Makes a user with the password `PASSWORD` and returns the login."""

    async def make() -> str:
        user = UserInput(login=login(), password=PASSWORD)
        await server.accounts.users.create(server.application.id, user)
        return str(user.login)

    return make


@test_fixture
async def pages(browser: Browser, server: Server) -> AsyncIterator[Pages]:  # noqa: F811
    """Opens tabs. Errors in them, violations of the policy and requests elsewhere fail the test."""
    opened = Pages(browser, server.url)
    try:
        yield opened
    finally:
        problems = await opened.close()
    assert not problems
