"""What the Python side of a call sees and hears, by content."""

from __future__ import annotations

import asyncio

import numpy as np

import ringmesh
from ringmesh.client.events import RemoteStreamReceived
from ringmesh.media.streams import LocalStream, RemoteStream
from ringmesh.media.synthetic import dominant_tone, read_code

LIMIT = 30.0


async def remote_stream(session: ringmesh.P2PSession, user_id: int) -> RemoteStream:
    """The stream that this user sends in this call, once it is there."""
    event = await session.wait_for(RemoteStreamReceived, user_id=user_id, timeout=LIMIT)
    return event.stream


async def sees(session: ringmesh.P2PSession, user_id: int, stream_id: int) -> None:
    """Wait until this user's picture is that of `stream_id` and moves: three frame numbers."""
    stream = await remote_stream(session, user_id)
    seen: set[int] = set()
    code = None
    try:
        async with asyncio.timeout(LIMIT):
            async for frame in stream.video_frames():
                code = read_code(frame)
                if code is not None and code.stream_id == stream_id:
                    seen.add(code.counter)
                if len(seen) == 3:
                    return
    except TimeoutError:
        pass
    raise AssertionError(f"expected picture {stream_id}, saw {code} and {seen}")


async def hears(session: ringmesh.P2PSession, user_id: int, hertz: float) -> None:
    """Wait until this user's sound is a tone within 2 % of `hertz` for a quarter of a second."""
    stream = await remote_stream(session, user_id)
    blocks: list[np.ndarray] = []
    tone = None
    try:
        async with asyncio.timeout(LIMIT):
            async for block in stream.audio_frames():
                blocks.append(block.samples.reshape(-1))
                if len(blocks) == 25:
                    tone = dominant_tone(np.concatenate(blocks))
                    if abs(tone.frequency - hertz) < 0.02 * hertz and tone.purity > 0.8:
                        return
                    blocks.clear()
    except TimeoutError:
        pass
    raise AssertionError(f"expected a tone of {hertz} Hz, heard {tone}")


def coded(stream_id: int, tone_hz: float, *, video: bool = True) -> LocalStream:
    """A stream that can be told from every other by its picture and by its tone."""
    return LocalStream.synthetic(stream_id=stream_id, tone_hz=tone_hz, video=video)
