"""The doorbell, run as a program and answered."""

from __future__ import annotations

import asyncio
from pathlib import Path

import ringmesh
from ringmesh import LocalStream, ReceiveNewSession
from tests.interop.people import LIMIT, hears, sees
from tests.media.clips import write_clip
from tests.samples.running import says, started

DOORBELL = "doorbell/doorbell.py"


async def test_the_visitor_is_seen_and_let_in(url: str, tmp_path: Path) -> None:
    """It rings with what it is, shows and plays the file, and opens on the right word."""
    clip = write_clip(tmp_path / "porch.mkv", seconds=2)
    async with ringmesh.connect(url, login="alice", password="alice-demo") as me:
        async with me.calls.events() as events:
            process = await started(DOORBELL, url, "alice", "--send", str(clip))
            async with asyncio.timeout(LIMIT):
                event = await anext(aiter(events))
        assert isinstance(event, ReceiveNewSession)
        call = event.session
        assert call.user_info == {"door": "front"}
        stream = LocalStream.blank()
        await call.init_local_media_stream(stream)
        await call.accept_call()
        await asyncio.gather(sees(call, call.caller_id, 0), hears(call, call.caller_id, 440))
        await says(process, "answered")
        await call.hang_up({"open": "yes"})
        await says(process, "the door opens")
        assert await asyncio.wait_for(process.wait(), LIMIT) == 0
        stream.close()


async def test_nobody_is_there(url: str, tmp_path: Path) -> None:
    """Declined, it says so and fails."""
    clip = write_clip(tmp_path / "porch.mkv")
    async with ringmesh.connect(url, login="alice", password="alice-demo") as me:
        me.calls.on_receive_new_session = lambda call: call.reject()
        process = await started(DOORBELL, url, "alice", "--send", str(clip))
        await says(process, "nobody comes: remote-rejected")
        assert await asyncio.wait_for(process.wait(), LIMIT) == 1
