"""Two peer connections of the real engine joined in this process, and waiting for media."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np

from ringmesh.errors import RingmeshError
from ringmesh.ice import IceCandidate, IceConnectionState
from ringmesh.media.engine import PeerCallbacks
from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.media_stream import MediaStream
from ringmesh.media.streams import LocalStream, RemoteStream
from ringmesh.media.synthetic import Tone, dominant_tone
from ringmesh.media.wrtc_engine import WrtcEngine, WrtcPeerConnection

LIMIT = 20.0
"""Seconds that a condition may take before a test gives up."""


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds that nothing announces."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def media_threads() -> list[str]:
    """Names of the threads of sources, recorders and players."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("ringmesh-")]


class Peer:
    """A peer connection that notes what it is told; candidates go to `other` as they come."""

    def __init__(self, *, receive_video: bool = True, relay_only: bool = False) -> None:
        self.candidates: list[IceCandidate] = []
        self.states: list[IceConnectionState] = []
        self.remote: RemoteStream | None = None
        self.calls_after_close = 0
        self.other: Peer | None = None
        self._adding: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._closed = False
        self.connection: WrtcPeerConnection = WrtcEngine().create_peer_connection(
            PeerCallbacks(
                ice_candidate=self._on_candidate,
                ice_connection_state=self._on_state,
                remote_stream=self._on_stream,
            ),
            receive_video=receive_video,
            relay_only=relay_only,
        )

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition on what was noted holds."""
        async with asyncio.timeout(LIMIT):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def connected(self) -> None:
        """Wait for the media path."""
        await self.until(
            lambda: self.states[-1:] in ([IceConnectionState.CONNECTED], ["completed"])
        )

    async def remote_stream(self) -> RemoteStream:
        """The other's stream."""
        await self.until(lambda: self.remote)
        assert self.remote is not None
        return self.remote

    async def close(self) -> None:
        """Close the connection and stop forwarding."""
        self._closed = True
        await self.connection.close()
        await asyncio.gather(*self._adding, return_exceptions=True)

    def _on_candidate(self, candidate: IceCandidate) -> None:
        self.candidates.append(candidate)
        self._note()
        if self.other is not None and not self.other._closed:
            task = asyncio.get_running_loop().create_task(_add(self.other, candidate))
            self._adding.add(task)
            task.add_done_callback(self._adding.discard)

    def _on_state(self, state: IceConnectionState) -> None:
        self.states.append(state)
        self._note()

    def _on_stream(self, stream: RemoteStream) -> None:
        assert self.remote in (None, stream)
        self.remote = stream
        self._note()

    def _note(self) -> None:
        self.calls_after_close += self._closed
        self._changed.set()


async def _add(peer: Peer, candidate: IceCandidate) -> None:
    try:
        await peer.connection.add_ice_candidate(candidate)
    except RingmeshError:
        if not peer._closed:
            raise


@asynccontextmanager
async def joined(
    left_stream: LocalStream | None = None,
    right_stream: LocalStream | None = None,
    *,
    receive_video: bool = True,
) -> AsyncIterator[tuple[Peer, Peer]]:
    """Two connected peers; the left one offered."""
    left, right = Peer(receive_video=receive_video), Peer(receive_video=receive_video)
    left.other, right.other = right, left
    try:
        await left.connection.set_local_stream(left_stream)
        await right.connection.set_local_stream(right_stream)
        await negotiate(left, right)
        await left.connected()
        await right.connected()
        yield left, right
    finally:
        await left.close()
        await right.close()
        for stream in (left_stream, right_stream):
            if stream is not None:
                stream.close()


async def negotiate(left: Peer, right: Peer, *, ice_restart: bool = False) -> None:
    """One round of offer and answer."""
    offer = await left.connection.create_offer(ice_restart=ice_restart)
    await left.connection.set_answer(await right.connection.create_answer(offer))


async def first_frame(
    stream: MediaStream, condition: Callable[[VideoFrame], object] = bool
) -> VideoFrame:
    """The first picture that satisfies a condition."""
    async with asyncio.timeout(LIMIT):
        async for frame in stream.video_frames():
            if condition(frame):
                return frame
    raise AssertionError("the stream closed")


async def hear(stream: MediaStream, seconds: float = 0.3) -> Tone:
    """The tone in the next piece of sound."""
    blocks: list[AudioFrame] = []
    async with asyncio.timeout(LIMIT):
        async for block in stream.audio_frames():
            blocks.append(block)
            if len(blocks) >= seconds * 100:
                break
    return dominant_tone(np.concatenate([block.samples for block in blocks]))


async def hear_until(stream: MediaStream, condition: Callable[[Tone], object]) -> Tone:
    """Listen until a piece of sound satisfies a condition."""
    async with asyncio.timeout(LIMIT):
        while not condition(tone := await hear(stream)):
            pass
    return tone
