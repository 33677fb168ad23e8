"""A call between two people of whom one uses devices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

import ringmesh
from ringmesh import AudioProcessing, CallType, Connection, LocalStream, P2PSession
from ringmesh.media.frames import Pcm
from ringmesh.media.synthetic import dominant_tone
from tests.devices.sound_server import SoundServer, next_sound
from tests.interop.people import LIMIT

OTHER_TONE = 700.0
PICTURE = "lavfi:testsrc2=size=320x240:rate=25"
UNTOUCHED = AudioProcessing(
    echo_cancellation=False, noise_suppression=False, auto_gain_control=False
)
"""A pure tone is noise to noise suppression."""


class Call:
    """Not started yet; the other person answers with a tone of 700 Hz.

    Attributes:
        me: the person with devices.
        session: the call as that person has it.
        theirs: the call as the other person has it.
    """

    def __init__(self, me: Connection, other: Connection) -> None:
        self.me = me
        self._other = other
        self._answer = LocalStream.synthetic(tone_hz=OTHER_TONE)
        self._rung: asyncio.Queue[P2PSession] = asyncio.Queue()
        other.calls.on_receive_new_session = self._rung.put_nowait
        self.session = me.calls.create_call_session(CallType.VIDEO_CALL, [other.id])
        self.session.audio_processing = UNTOUCHED
        self.theirs: P2PSession

    async def connect(self) -> None:
        """Start it and wait until media flows."""
        await self.session.start_call()
        self.theirs = await asyncio.wait_for(self._rung.get(), LIMIT)
        await self.theirs.init_local_media_stream(self._answer)
        await self.theirs.accept_call()
        await self.session.wait_for(ringmesh.ConnectedToUser, timeout=LIMIT)

    async def they_hear(self, hertz: float) -> None:
        """Wait until the other person hears this tone, 0 for silence."""
        stream = await self._received()
        await asyncio.wait_for(_until_tone(stream, hertz), LIMIT)

    async def they_see(self, wanted: Callable[[ringmesh.VideoFrame], bool]) -> None:
        """Wait until the other person sees such a picture."""
        stream = await self._received()
        async with asyncio.timeout(LIMIT):
            async for frame in stream.video_frames():
                if wanted(frame):
                    return

    async def their_sound(self, seconds: float) -> Pcm:
        """What the other person hears from now on."""
        stream = await self._received()
        blocks: list[Pcm] = []
        async with asyncio.timeout(LIMIT):
            async for frame in stream.audio_frames():
                blocks.append(frame.samples)
                if len(blocks) >= seconds * 100:
                    break
        return np.concatenate(blocks)

    def answer_with(self, stream: LocalStream) -> None:
        """Let the other person send this."""
        self._answer.close()
        self._answer = stream

    def close(self) -> None:
        """Release what the other person sends."""
        self._answer.close()

    async def _received(self) -> ringmesh.RemoteStream:
        return (await self.theirs.wait_for(ringmesh.RemoteStreamReceived, timeout=LIMIT)).stream


async def plays(sound: SoundServer, output: str, hertz: float) -> None:
    """Wait until this output plays a tone, 0 for silence."""
    async with asyncio.timeout(LIMIT), sound.hearing(output) as reader:
        while not is_tone(await next_sound(reader, 0.2), hertz):
            pass


async def _until_tone(stream: ringmesh.RemoteStream, hertz: float) -> None:
    blocks: list[Pcm] = []
    async for frame in stream.audio_frames():
        blocks.append(frame.samples)
        if len(blocks) == 20:
            if is_tone(np.concatenate(blocks), hertz):
                return
            blocks.clear()


def is_tone(samples: Pcm, hertz: float) -> bool:
    """Whether this is that tone, at more than a whisper; 0 for silence."""
    tone = dominant_tone(samples)
    if hertz == 0:
        return tone.level < 0.001
    return abs(tone.frequency - hertz) < 0.02 * hertz and tone.purity > 0.8 and tone.level > 0.05
