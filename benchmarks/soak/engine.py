"""One side of a call of the engine alone: ``python -m benchmarks.soak.engine offer`` or ``answer``.

No part of the SDK runs but the one that draws the pictures. It writes its description as a line of
JSON, and the side that offers reads the answer, the other one the offer. Then it writes a line of
JSON for each line that it reads, and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import Counter
from typing import Any

import webrtc
import wrtc  # type: ignore[import-not-found]

from benchmarks.soak.person import memory
from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.synthetic import SyntheticVideoSource, ToneSource

TICK = 0.02
"""Seconds: a block of sound each, and a picture every second one."""


class Feeder(threading.Thread):
    """Writes pictures and sound into two tracks."""

    def __init__(self) -> None:
        super().__init__(name="feeder", daemon=True)
        self.video = webrtc.VideoTrackGenerator()
        self.audio = webrtc.MediaStreamTrackGenerator("audio")
        self._over = threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        pictures, tone = SyntheticVideoSource(), ToneSource()
        begun = time.monotonic()
        for tick in range(sys.maxsize):
            due = begun + tick * TICK
            if self._over.wait(max(0.0, due - time.monotonic())):
                return
            samples = tone.make(due).samples
            self.audio._generator.writeAudio(samples.tobytes(), SAMPLE_RATE, 1, len(samples))
            if tick % 2 == 0:
                self._write(pictures.make(due).i420(), due)

    def _write(self, planes: Any, due: float) -> None:
        width, height = 640, 360
        size = width * height
        layout = [(0, width), (size, width // 2), (size * 5 // 4, width // 2)]
        buffer = wrtc.VideoFrameBuffer.fromData("I420", width, height, planes, layout)
        self.video._native.writeVideo(buffer, round(due * 1e6), 0)

    def stop(self) -> None:
        """Write no more."""
        self._over.set()
        self.join()


class Counting(webrtc.MediaStreamTrackProcessor):
    """Counts what comes."""

    def __init__(self, track: webrtc.MediaStreamTrack, counts: Counter[str]) -> None:
        self._counts = counts
        self._name = "pictures" if str(track.kind.value) == "video" else "blocks"
        super().__init__(webrtc.MediaStreamTrackProcessorInit(track, 100))
        asyncio.get_running_loop().call_soon(self._read_all)

    def _on_event(self, name: str, *_: object) -> None:
        if name == "_ready":
            self._native_obj._ackWakeup()
            self._read_all()

    def _read_all(self) -> None:
        while self._native_obj.read() is not None:
            self._counts[self._name] += 1


async def read_line() -> Any:
    """The next line's JSON; None at the end of the input."""
    return json.loads(await asyncio.to_thread(sys.stdin.readline) or "null")


async def main(role: str) -> None:
    """Call, or answer."""
    counts: Counter[str] = Counter()
    readers = []
    connection = webrtc.RTCPeerConnection(webrtc.RTCConfiguration(bundle_policy="max-bundle"))
    gathered = asyncio.Event()

    def track_came(event: webrtc.RTCTrackEvent) -> None:
        readers.append(Counting(event.receiver.track, counts))

    def gathering_changed(_: webrtc.Event) -> None:
        if connection.ice_gathering_state.value == "complete":
            gathered.set()

    connection.on("track", track_came)
    connection.on("icegatheringstatechange", gathering_changed)
    feeder = Feeder()
    if role == "answer":
        await connection.set_remote_description(description("offer", await read_line()))
    group = webrtc.MediaStream()
    connection.add_track(feeder.audio, group)
    connection.add_track(feeder.video.track, group)
    make = connection.create_offer if role == "offer" else connection.create_answer
    await connection.set_local_description(await make())
    await gathered.wait()
    local = connection.local_description
    assert local is not None
    print(json.dumps(local.sdp), flush=True)
    if role == "offer":
        await connection.set_remote_description(description("answer", await read_line()))
    feeder.start()
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps({"memory": memory(), **counts}), flush=True)
    feeder.stop()
    connection.close()


def description(kind: Any, sdp: str) -> webrtc.RTCSessionDescriptionInit:
    """A description as the engine takes it."""
    return webrtc.RTCSessionDescriptionInit(kind, sdp)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
