"""Samples as programs, on a server of their own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import ringmesh
from ringmesh import CallType, LocalStream, P2PSession
from tests.interop.people import LIMIT

SAMPLES = Path(__file__).parents[2] / "samples"


async def started(sample: str, url: str, *arguments: str) -> asyncio.subprocess.Process:
    """A running sample, whose output can be read."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(SAMPLES / sample), *arguments),
        env=os.environ | {"RINGMESH_SERVER": url},
        stdout=asyncio.subprocess.PIPE,
    )


async def says(process: asyncio.subprocess.Process, words: str) -> str:
    """Wait for a line with these words."""
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT):
        while words not in (line := (await process.stdout.readline()).decode()):
            assert line, f"it ended without {words!r}"
    return line


@asynccontextmanager
async def call_to(
    bot: str, url: str, stream: LocalStream, call_type: CallType
) -> AsyncIterator[tuple[P2PSession, int, asyncio.subprocess.Process]]:
    """Run a bot and call it; yields the call, the bot's user id and its process."""
    process = await started(bot, url)
    try:
        await says(process, "waiting")
        async with ringmesh.connect(url, login="alice", password="alice-demo") as me:
            them = await me.users.get_by_login("bot")
            session = me.calls.create_call_session(call_type, [them.id])
            await session.init_local_media_stream(stream)
            await session.start_call()
            yield session, them.id, process
    finally:
        process.kill()
        await process.wait()
        stream.close()
