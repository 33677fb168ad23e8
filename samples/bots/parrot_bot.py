"""Listens until the caller pauses, then says the same again: the skeleton of a voice agent.

Sound comes in as numpy arrays and goes out as numpy arrays. A real agent would hand `phrase` to a
speech recogniser and push what its voice answers.
"""

import asyncio
import contextlib
import os

import numpy as np

import ringmesh

SAMPLE_RATE = 16_000  # Hz; most recognisers want this
LOUD = 600  # of 32767: below is silence
PAUSE = 0.4  # seconds of silence that end a phrase
LONGEST = 10.0  # seconds; a phrase is answered then at the latest


async def phrases(stream: ringmesh.RemoteStream):
    """What the caller says, phrase by phrase, as int16 samples."""
    spoken: list[np.ndarray] = []
    quiet = 0.0
    async for block in stream.audio_frames(sample_rate=SAMPLE_RATE):
        quiet = 0.0 if np.abs(block.samples).max() > LOUD else quiet + block.duration
        if spoken or not quiet:
            spoken.append(block.samples)
        if spoken and (quiet >= PAUSE or len(spoken) * block.duration >= LONGEST):
            yield np.concatenate(spoken)
            spoken, quiet = [], 0.0


async def parrot(call: ringmesh.P2PSession) -> None:
    """One call, from ringing to its end."""
    voice = ringmesh.PushAudioSource(max_seconds=3 * LONGEST)
    stream = ringmesh.LocalStream(audio=voice)
    try:
        await call.init_local_media_stream(stream)
        await call.accept_call({"hint": "say something, then pause"})
        received = await call.wait_for(ringmesh.RemoteStreamReceived, user_id=call.caller_id)
        async for phrase in phrases(received.stream):
            print(f"heard {len(phrase) / SAMPLE_RATE:.1f} s", flush=True)
            voice.clear()
            voice.push_pcm(phrase, SAMPLE_RATE)
    finally:
        stream.close()


async def main() -> None:
    """Sign in and wait for calls."""
    async with ringmesh.connect(
        os.environ.get("RINGMESH_SERVER", "http://localhost:8080"),
        login=os.environ.get("RINGMESH_LOGIN", "bot"),
        password=os.environ.get("RINGMESH_PASSWORD", "bot-demo"),
    ) as me:
        me.calls.on_receive_new_session = parrot
        print(f"{me.user.name} is waiting for calls", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
