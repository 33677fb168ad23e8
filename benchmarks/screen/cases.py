"""The cases, each run in a process of its own."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import av

import ringmesh
from benchmarks.screen.page import HEIGHT, WIDTH
from ringmesh.media.screen.capture import open_grabber
from ringmesh.media.screen.source import FRAME_RATE, ScreenSource

SETTLE = 3.0
PASSWORD = "correct horse"


def cpu_seconds() -> float:
    """CPU time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def measured(result: dict[str, float], seconds: float) -> Iterator[float]:
    """Put the cores used in the block into the result; yields when the block is to end."""
    began, used = time.monotonic(), cpu_seconds()
    yield began + seconds
    result["cores"] = (cpu_seconds() - used) / (time.monotonic() - began)


def x11grab(seconds: float) -> dict[str, float]:
    """FFmpeg captures and converts."""
    result: dict[str, float] = {}
    options = {"framerate": f"{FRAME_RATE:g}", "video_size": f"{WIDTH}x{HEIGHT}"}
    with av.open(os.environ["DISPLAY"], format="x11grab", options=options) as container:
        frames = container.decode(video=0)
        for _ in range(15):
            next(frames).reformat(format="yuv420p")
        count = 0
        with measured(result, seconds) as until:
            while time.monotonic() < until:
                next(frames).reformat(format="yuv420p")
                count += 1
    return result | {"fps": count / seconds}


def capture(seconds: float) -> dict[str, float]:
    """Our source, without a call."""
    result: dict[str, float] = {}
    seen: list[float] = []
    source = ScreenSource(open_grabber("screen:1"))
    source.start(lambda frame: seen.append(frame.timestamp) if frame is not None else None)
    time.sleep(SETTLE)
    before = len(seen)
    with measured(result, seconds) as until:
        time.sleep(until - time.monotonic())
    source.close()
    return result | {"fps": (len(seen) - before) / seconds}


async def share(url: str, seconds: float, *, shared: bool) -> dict[str, float]:
    """The sharing side of a call."""
    result: dict[str, float] = {}
    async with ringmesh.connect(url, login="near", password=PASSWORD) as me:
        far = await me.users.get_by_login("far")
        call = me.calls.create_call_session(ringmesh.CallType.VIDEO_CALL, [far.id])
        await call.start_call()
        await call.wait_for(ringmesh.ConnectedToUser, timeout=30)
        if shared:
            await call.enable_screen_sharing(True)
        await asyncio.sleep(SETTLE)
        before = await call.get_stats(far.id)
        with measured(result, seconds) as until:
            await asyncio.sleep(until - time.monotonic())
        after = await call.get_stats(far.id)
        await call.hang_up()
    frames = after.video_sent.frames_encoded - before.video_sent.frames_encoded
    size = after.video_sent.bytes - before.video_sent.bytes
    return result | {"fps": frames / seconds, "kbps": size * 8 / 1000 / seconds}


async def answer(url: str, ready: Callable[[], None]) -> None:
    """The far side: a process of its own that looks at what comes."""
    async with ringmesh.connect(url, login="far", password=PASSWORD) as me:

        async def accept(call: ringmesh.P2PSession) -> None:
            call.on_remote_stream_received = lambda _, __, stream: stream.on_video_frame(
                lambda _: None
            )
            await call.accept_call()

        me.calls.on_receive_new_session = accept
        ready()
        await asyncio.Event().wait()


def run_answer(url: str, pipe: Connection) -> None:
    """Entry of the far side's process."""
    asyncio.run(answer(url, lambda: pipe.send("ready")))


def run_case(name: str, display: str, url: str, seconds: float, pipe: Connection) -> None:
    """Entry of a case's process."""
    os.environ["DISPLAY"] = display
    if name == "x11grab":
        pipe.send(x11grab(seconds))
    elif name == "capture":
        pipe.send(capture(seconds))
    else:
        pipe.send(asyncio.run(share(url, seconds, shared=name == "shared")))
