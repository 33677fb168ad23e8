"""A screen, a server and people. One event loop serves the whole folder."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.conftest import (  # noqa: F401  # fixtures of the neighbouring folder
    browser,
    browsers,
    endpoints,
    login,
    server,
    sign_in,
)
from tests.screen.desktop import Desktop, xvfb


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder shares one event loop, that of the server."""
    for item in items:
        coroutine = inspect.iscoroutinefunction(getattr(item, "function", None))
        if coroutine and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """The name of an X display without a window manager."""
    with xvfb() as name:
        yield name


@pytest.fixture
def desktop(display: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    """Draws on the screen that is shared; its windows go with the test."""
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    drawn = Desktop(display)
    try:
        drawn.move_pointer(0, 0)
        yield drawn
    finally:
        drawn.close()
