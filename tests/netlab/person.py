"""One person with the Python SDK, in a process and a network of its own, told what to do.

Reads JSON commands line by line and writes JSON facts. Times are seconds of the wall clock, which
all networks of the laboratory share. What is heard and seen is proven by content: the tone and the
picture code of the other side.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np

import ringmesh
from ringmesh import AudioFrame, CallType, P2PSession, VideoFrame
from ringmesh.client import events
from ringmesh.errors import RingmeshError
from ringmesh.media.streams import LocalStream, RemoteStream
from ringmesh.media.synthetic import dominant_tone, read_code

WINDOW = 5
"""Blocks of 10 ms that are listened to at a time."""


def tell(fact: str, **values: object) -> None:
    """Write one line to whoever runs this."""
    print(json.dumps({"fact": fact, "at": time.time(), **values}), flush=True)


class Watch:
    """What came in of one stream, and when."""

    def __init__(self, stream: RemoteStream, tone_hz: float, stream_id: int) -> None:
        self._tone_hz = tone_hz
        self._stream_id = stream_id
        self._blocks: list[Any] = []
        self.sound: list[float] = []
        self.pictures: list[float] = []
        self._news = asyncio.Event()
        stream.on_audio(self._hear)
        stream.on_video_frame(self._see)

    async def more(self) -> None:
        """Wait until something comes in."""
        self._news.clear()
        await self._news.wait()

    def _hear(self, block: AudioFrame) -> None:
        self._blocks.append(block.samples.reshape(-1))
        if len(self._blocks) < WINDOW:
            return
        tone = dominant_tone(np.concatenate(self._blocks))
        self._blocks.clear()
        if tone.level > 0.01 and abs(tone.frequency - self._tone_hz) < 0.06 * self._tone_hz:
            self.sound.append(time.time())
            self._news.set()

    def _see(self, frame: VideoFrame) -> None:
        code = read_code(frame)
        if code is not None and code.stream_id == self._stream_id:
            self.pictures.append(time.time())
            self._news.set()


class Person:
    """Acts on the commands."""

    def __init__(self, me: ringmesh.Connection, options: dict[str, Any]) -> None:
        self._me = me
        self._options = options
        self._local = LocalStream.synthetic(
            stream_id=options["stream_id"], tone_hz=options["tone_hz"], width=640, height=480
        )
        self._session: P2PSession | None = None
        self._watch: Watch | None = None
        self._series: list[dict[str, Any]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        me.calls.on_receive_new_session = self._ring

    async def call(self, to: int) -> None:
        """Call somebody."""
        session = self._me.calls.create_call_session(CallType.VIDEO_CALL, [to])
        await session.init_local_media_stream(self._local)
        self._follow(session)
        tell("invites", call=session.session_id)
        await session.start_call()

    async def accept(self) -> None:
        """Answer whoever rings."""
        session = self._require()
        await session.init_local_media_stream(self._local)
        tell("accepts", call=session.session_id)
        await session.accept_call()

    async def watch(self, user_id: int, tone_hz: float, stream_id: int) -> None:
        """Listen to and look at the other side; tells when both are there."""
        session = self._require()
        stream = session.remote_streams.get(user_id)
        if stream is None:
            event = await session.wait_for(events.RemoteStreamReceived, user_id=user_id, timeout=60)
            stream = event.stream
        self._watch = Watch(stream, tone_hz, stream_id)
        while len(self._watch.sound) < 3 or len(self._watch.pictures) < 3:
            await self._watch.more()
        tell("proven", sound=self._watch.sound[0], picture=self._watch.pictures[0])

    async def report(self) -> None:
        """What came in since the last report, and the path it took."""
        assert self._watch is not None
        path = None
        with suppress(RingmeshError):  # there may be no connection just now
            (other,) = self._require().members_ids
            path = (await self._require().get_stats(other)).path
        tell(
            "report",
            sound=self._watch.sound,
            pictures=self._watch.pictures,
            relayed=None if path is None else path.relayed,
            pair=None if path is None else f"{path.local_type}-{path.remote_type}",
            protocol=None if path is None else path.relay_protocol or path.protocol,
        )

    async def statistics(self) -> None:
        """The snapshots taken in this call, and the report of it."""
        tell("statistics", series=self._series, report=self._require().report().to_dict())

    async def hang_up(self) -> None:
        """End the call."""
        await self._require().hang_up()

    def _ring(self, session: P2PSession) -> None:
        tell("rings", call=session.session_id)
        self._follow(session)
        if self._options["answers"]:
            self.start(self.accept())

    def _follow(self, session: P2PSession) -> None:
        self._session, self._watch = session, None
        self._series = []
        self.start(self._tell_events(session))
        self.start(self._collect(session))

    async def _tell_events(self, session: P2PSession) -> None:
        async for event in session.events():
            values: dict[str, Any] = {}
            if isinstance(event, events.QualityChanged):
                values = {"direction": event.direction, **asdict(event.quality)}
            tell(type(event).__name__, call=session.session_id, **values)

    async def _collect(self, session: P2PSession) -> None:
        async for report in session.stats_reports:
            self._series.append(asdict(report.stats))

    def _require(self) -> P2PSession:
        assert self._session is not None
        return self._session

    def start(self, work: Any) -> None:
        """Do something beside the rest; what fails is told."""

        async def run() -> None:
            try:
                await work
            except Exception as error:
                tell("failed", what=repr(error))

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def ice_servers(options: dict[str, Any]) -> tuple[ringmesh.IceServer, ...] | None:
    """Dead servers and the real ones; None leaves it to the SDK to ask for the real ones."""
    if not options["dead"]:
        return None
    async with ringmesh.connect(options["url"], login=options["login"], password="secret") as me:
        real = await me.rest.ice_servers()
    fake = [ringmesh.IceServer((url,), "name", "password") for url in options["dead"]]
    return (*fake, *real)


async def main(options: dict[str, Any]) -> None:
    """Serve until standard input ends."""
    rtc = ringmesh.RTCConfig(**options["rtc"], ice_servers=await ice_servers(options))
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with ringmesh.connect(
        options["url"], login=options["login"], password="secret", rtc=rtc
    ) as me:
        person = Person(me, options)
        tell("ready", user=me.id)
        while line := await lines.readline():
            command = json.loads(line)
            person.start(getattr(person, command.pop("do"))(**command))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    asyncio.run(main(json.loads(sys.argv[1])))
