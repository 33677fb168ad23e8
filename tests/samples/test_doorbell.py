"""The doorbell, run as a program and answered."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

import ringmesh
from ringmesh import LocalStream, ReceiveNewSession
from ringmesh.media.synthetic import dominant_tone
from tests.devices.sound_server import SoundServer, next_sound
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


async def test_camera_microphone_and_speakers(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends what its camera shows, and its speakers play who answers."""
    sound = SoundServer(tmp_path)
    await sound.start()
    monkeypatch.setenv("PULSE_SERVER", sound.address)
    await sound.plug_microphone("porch", 440)
    stream = LocalStream.synthetic(tone_hz=700)
    try:
        async with ringmesh.connect(url, login="alice", password="alice-demo") as me:
            async with me.calls.events() as events:
                camera = "lavfi:testsrc2=size=320x240:rate=25"
                process = await started(DOORBELL, url, "alice", "--camera", camera)
                async with asyncio.timeout(LIMIT):
                    event = await anext(aiter(events))
            assert isinstance(event, ReceiveNewSession)
            call = event.session
            await call.init_local_media_stream(stream)
            await call.accept_call()
            visitor = (await call.wait_for(ringmesh.RemoteStreamReceived, timeout=LIMIT)).stream
            async with asyncio.timeout(LIMIT):
                async for picture in visitor.video_frames():
                    if picture.width * 3 == picture.height * 4 and np.ptp(picture.luma()) > 150:
                        break
            async with asyncio.timeout(LIMIT), sound.hearing("speakers") as played:
                tone = dominant_tone(await next_sound(played, 0.5))
                while abs(tone.frequency - 700) > 14 or tone.purity < 0.8:
                    tone = dominant_tone(await next_sound(played, 0.5))
            await call.hang_up()
            assert await asyncio.wait_for(process.wait(), LIMIT) == 0
    finally:
        stream.close()
        await sound.kill()


async def test_nobody_is_there(url: str, tmp_path: Path) -> None:
    """Declined, it says so and fails."""
    clip = write_clip(tmp_path / "porch.mkv")
    async with ringmesh.connect(url, login="alice", password="alice-demo") as me:
        me.calls.on_receive_new_session = lambda call: call.reject()
        process = await started(DOORBELL, url, "alice", "--send", str(clip))
        await says(process, "nobody comes: remote-rejected")
        assert await asyncio.wait_for(process.wait(), LIMIT) == 1
