"""A sound server and two people in a call. One event loop serves the whole folder."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

import ringmesh
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from tests.devices.calls import Call
from tests.devices.sound_server import SoundServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder shares one event loop, that of the server."""
    for item in items:
        coroutine = inspect.iscoroutinefunction(getattr(item, "function", None))
        if coroutine and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(loop_scope="session")
async def sound(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SoundServer]:
    """The sound server that everything in this process finds, with the output ``speakers``."""
    server = SoundServer(tmp_path_factory.mktemp("sound"))
    monkeypatch.setenv("PULSE_SERVER", server.address)
    await server.start()
    yield server
    await server.kill()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A Ringmesh server."""
    settings = load_settings(port=0, failed_logins_per_address=1_000_000)
    async with Server(tmp_path_factory.mktemp("server"), settings) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def call(sound: SoundServer, service: Server) -> AsyncIterator[Call]:
    """A call that is not started yet, to somebody who will answer with a tone of 700 Hz."""
    async with AsyncExitStack() as stack:
        people = [
            await stack.enter_async_context(
                ringmesh.connect(service.url, login=login, password="correct horse")
            )
            for login in ("alice", "bob")
        ]
        made = Call(*people)
        yield made
        made.close()
