"""One side of a call in a process of its own, driven through a pipe."""

from __future__ import annotations

import asyncio
import resource
import time
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.media_cpu.pictures import WIDTH, CameraLike
from ringmesh.ice import IceCandidate
from ringmesh.media.engine import PeerCallbacks
from ringmesh.media.stats import bitrates
from ringmesh.media.streams import LocalStream, RemoteStream
from ringmesh.media.synthetic import ToneSource
from ringmesh.media.wrtc_engine import WrtcEngine, WrtcPeerConnection

SETTLED = 3.0
"""Seconds of full size and rate before measuring begins."""


def run_side(
    pipe: Connection, *, offers: bool, sends: bool, receives: bool, kbps: int, seconds: float
) -> None:
    """Entry of the process."""

    async def main() -> None:
        await _Side(pipe, sends=sends, receives=receives).run(offers, kbps, seconds)

    asyncio.run(main())


class _Side:
    def __init__(self, pipe: Connection, *, sends: bool, receives: bool) -> None:
        self._pipe = pipe
        self._sends = sends
        self._receives = receives
        self._frames = 0
        self._blocks = 0
        self._inbox: asyncio.Queue[Any] = asyncio.Queue()
        self._connection: WrtcPeerConnection = WrtcEngine().create_peer_connection(
            PeerCallbacks(
                ice_candidate=lambda candidate: pipe.send(candidate),
                ice_connection_state=lambda _: None,
                remote_stream=self._listen,
            )
        )

    async def run(self, offers: bool, kbps: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pipe.fileno(), self._read)
        stream = None
        if self._sends:
            stream = LocalStream(audio=ToneSource(), video=CameraLike())
        await self._connection.set_local_stream(stream)
        await self._connection.set_max_bandwidth(kbps)
        if offers:
            self._pipe.send(await self._connection.create_offer())
            await self._connection.set_answer(await self._description())
        else:
            self._pipe.send(await self._connection.create_answer(await self._description()))
        pump = loop.create_task(self._add_candidates())
        await self._settle(kbps)
        self._pipe.send("settled")
        await self._until("measure")
        self._pipe.send(await self._measure(seconds))
        await self._until("end")
        pump.cancel()
        await self._connection.close()
        if stream is not None:
            stream.close()

    def _listen(self, remote: RemoteStream) -> None:
        if self._receives and not self._frames:
            self._frames = self._blocks = 1
            remote.on_video_frame(self._count_frame)
            remote.on_audio(self._count_block)

    def _count_frame(self, _: object) -> None:
        self._frames += 1

    def _count_block(self, _: object) -> None:
        self._blocks += 1

    def _read(self) -> None:
        self._inbox.put_nowait(self._pipe.recv())

    async def _description(self) -> str:
        early = []
        while not isinstance(message := await self._inbox.get(), str):
            early.append(message)
        for candidate in early:
            self._inbox.put_nowait(candidate)
        return message

    async def _add_candidates(self) -> None:
        while True:
            message = await self._inbox.get()
            if isinstance(message, IceCandidate):
                await self._connection.add_ice_candidate(message)
            else:
                self._word = message

    async def _until(self, word: str) -> None:
        while getattr(self, "_word", None) != word:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def _settle(self, kbps: int) -> None:
        """Wait until full size and the whole bitrate are sent."""
        since = time.monotonic()
        async with asyncio.timeout(60):
            while time.monotonic() - since < SETTLED:
                await asyncio.sleep(0.25)
                video = (await self._connection.get_stats()).video_sent
                full = (
                    video is not None
                    and video.width == WIDTH
                    and (video.target_bitrate or 0) > kbps * 900
                )
                if self._sends and not full:
                    since = time.monotonic()

    async def _measure(self, seconds: float) -> dict[str, float]:
        before = await self._connection.get_stats()
        frames, blocks = self._frames, self._blocks
        begun, used = time.monotonic(), _cpu_seconds()
        await asyncio.sleep(seconds)
        used, elapsed = _cpu_seconds() - used, time.monotonic() - begun
        after = await self._connection.get_stats()
        video = after.video_sent
        return {
            "cores": used / elapsed,
            "kbps": bitrates(before, after).video_sent / 1000,
            "width": (video.width or 0) if video else 0,
            "fps_sent": _delta(before.video_sent, after.video_sent, "frames_encoded") / elapsed,
            "fps_received": (self._frames - frames) / elapsed,
            "blocks_received": (self._blocks - blocks) / elapsed,
        }


def _delta(before: object, after: object, name: str) -> float:
    return float((getattr(after, name, 0) or 0) - (getattr(before, name, 0) or 0))


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
