"""The sample bots, run as programs and called."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest_asyncio

import ringmesh
from ringmesh import CallType, LocalStream, P2PSession, PushAudioSource
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from tests.interop.people import LIMIT, coded, hears, sees

BOTS = Path(__file__).parents[2] / "samples" / "bots"


@pytest_asyncio.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A running server."""
    async with Server(tmp_path, load_settings(port=0)) as server:
        yield server.url


@asynccontextmanager
async def call_to(
    bot: str, url: str, stream: LocalStream, call_type: CallType
) -> AsyncIterator[tuple[P2PSession, int]]:
    """Run a bot and call it; yields the call and the bot's user id."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(BOTS / bot)),
        env=os.environ | {"RINGMESH_SERVER": url},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert b"waiting" in await asyncio.wait_for(process.stdout.readline(), LIMIT)
        async with ringmesh.connect(url, login="alice", password="alice-demo") as me:
            them = await me.users.get_by_login("bot")
            session = me.calls.create_call_session(call_type, [them.id])
            await session.init_local_media_stream(stream)
            await session.start_call()
            yield session, them.id
    finally:
        process.kill()
        await process.wait()
        stream.close()


async def test_echo_bot(url: str) -> None:
    """Whoever calls sees and hears himself."""
    stream = coded(7, 910.0)
    async with call_to("echo_bot.py", url, stream, CallType.VIDEO_CALL) as (session, bot):
        await asyncio.gather(sees(session, bot, 7), hears(session, bot, 910.0))


async def test_parrot_bot(url: str) -> None:
    """What was said comes back after the pause, and not before."""
    voice = PushAudioSource()
    stream = LocalStream(audio=voice)
    async with call_to("parrot_bot.py", url, stream, CallType.AUDIO_CALL) as (session, bot):
        await session.wait_for(ringmesh.ConnectedToUser, timeout=LIMIT)
        time = np.arange(48_000) / 48_000
        voice.push_pcm((9000 * np.sin(2 * np.pi * 730.0 * time)).astype(np.int16))
        await hears(session, bot, 730.0)
        assert voice.queued_seconds == 0
