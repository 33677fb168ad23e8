"""The server is killed and started again, many times, under a running call and under rings.

``pytest tests/client/test_server_crashes.py --server-crashes 50`` does it fifty times.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

import ringmesh
from ringmesh import (
    CallType,
    CubeChatConnectionSettings,
    EndReason,
    P2PSession,
    SessionState,
)
from ringmesh.errors import ConnectionFailedError
from tests.client.calling import Phone, all_meet, over
from tests.client.conftest import PASSWORD

CRASHES = 4
LIMIT = 60.0


class Crashing:
    """A server in a process of its own that can be killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._process: asyncio.subprocess.Process | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        command = "import sys; from ringmesh.cli.main import main; sys.exit(main())"
        arguments = ["serve", "--data", str(self._folder), "--port", str(self._port)]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            command,
            *arguments,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "RINGMESH_FAILED_LOGINS_PER_ADDRESS": "1000000"},
        )
        async with asyncio.timeout(LIMIT):
            while True:
                try:
                    await ringmesh.discover(self.url)
                except (ConnectionFailedError, ringmesh.ProtocolError):
                    assert self._process.returncode is None, "the server did not start"
                    await asyncio.sleep(0.05)
                else:
                    return

    async def kill(self) -> None:
        """No goodbye."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()


@pytest_asyncio.fixture(loop_scope="session")
async def crashing(tmp_path: Path) -> AsyncIterator[Crashing]:
    """A running server."""
    server = Crashing(tmp_path)
    await server.start()
    yield server
    await server.kill()


async def crash(server: Crashing) -> None:
    """Kill it and start it again."""
    await server.kill()
    await server.start()


async def ring(
    caller: Phone, callee: Phone, moment: int, crashed: Callable[[], Awaitable[None]]
) -> None:
    """A call from its start to its end, with a crash at one of four moments."""
    outgoing = await caller.calls(callee, call_type=CallType.AUDIO_CALL)
    if moment == 0:
        await crashed()
    incoming = await asyncio.wait_for(callee.rung.get(), LIMIT)
    if moment == 1:
        await crashed()
    await incoming.init_local_media_stream(callee.stream(video=False))
    await incoming.accept_call()
    if moment == 2:
        await crashed()
    await all_meet({caller: outgoing, callee: incoming})
    if moment == 3:
        await crashed()
    await outgoing.hang_up()
    assert await over(outgoing, incoming) == [EndReason.HUNG_UP, EndReason.REMOTE_HUNG_UP]
    assert callee.rung.empty(), "an ended call rang again"


@pytest.mark.timeout(1200)
async def test_crashes_under_calls_and_rings(
    crashing: Crashing, request: pytest.FixtureRequest
) -> None:
    """Running calls go on, rings and new calls arrive, and nothing is left over."""
    crashes = request.config.getoption("--server-crashes", default=None) or CRASHES
    chat = CubeChatConnectionSettings(reconnection_timeout=500)
    rtc = ringmesh.RTCConfig(dialing_time_interval=3.0)
    async with AsyncExitStack() as stack:
        people = []
        for number, login in enumerate(("alice", "bob", "carol", "dave"), 1):
            connecting = ringmesh.connect(
                crashing.url, login=login, password=PASSWORD, chat=chat, rtc=rtc
            )
            people.append(Phone(await stack.enter_async_context(connecting), number))
        alice, bob, carol, dave = people
        outgoing = await alice.calls(bob, call_type=CallType.AUDIO_CALL)
        incoming = await bob.answers()
        running: dict[Phone, P2PSession] = {alice: outgoing, bob: incoming}
        await all_meet(running)
        for number in range(crashes):
            await ring(carol, dave, number % 4, lambda: crash(crashing))
            assert outgoing.state is incoming.state is SessionState.CONNECTED
        await all_meet(running)
        await incoming.hang_up()
        assert await over(outgoing, incoming) == [EndReason.REMOTE_HUNG_UP, EndReason.HUNG_UP]
        for phone in people:
            assert all(session.close_reason for session in phone.me.calls.sessions.values())
