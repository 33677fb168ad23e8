"""Answers calls and talks, and stops talking when the caller does: the skeleton of a voice agent.

Its voice is espeak-ng, on this machine. A real agent would hand what it hears to a recogniser, and
say something better.
"""

import asyncio
import contextlib
import io
import os
import wave

import numpy as np

import ringmesh

GREETING = (
    "Hello. I am a program that talks. Say something whenever you like: I stop at once and listen. "
    "If you say nothing I go on for a while, because this sentence is long, so that there is "
    "time enough to interrupt me, and even now it has not come to its end. But this is the end."
)
SAMPLE_RATE = 16_000  # Hz; most recognisers want this
LOUD = 600  # of 32767: below is silence
SPEECH = 0.1  # seconds; shorter noises interrupt nobody
PAUSE = 0.6  # seconds of silence that end what the caller says


async def speak(voice: ringmesh.PushAudioSource, text: str) -> None:
    """Queue speech; it is played while we go on to listen."""
    process = await asyncio.create_subprocess_exec(
        *("espeak-ng", "--stdout", text), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    with wave.open(io.BytesIO(output)) as sound:
        samples = np.frombuffer(sound.readframes(len(output)), np.int16)
        voice.push_pcm(samples, sound.getframerate())
    print(f"says: {text}", flush=True)


async def turns(stream: ringmesh.RemoteStream, voice: ringmesh.PushAudioSource):
    """What the caller says, turn by turn, as int16 samples. Their first sound silences us."""
    spoken: list[np.ndarray] = []
    loud = quiet = 0.0
    async for block in stream.audio_frames(sample_rate=SAMPLE_RATE):
        if np.abs(block.samples).max() > LOUD:
            loud, quiet = loud + block.duration, 0.0
        else:
            quiet += block.duration
        if loud and quiet < PAUSE:
            spoken.append(block.samples)
        elif loud:
            if loud >= SPEECH:
                yield np.concatenate(spoken)
            spoken, loud = [], 0.0
        if loud >= SPEECH and voice.queued_seconds:
            voice.clear()
            print("was interrupted", flush=True)


async def talk(call: ringmesh.P2PSession) -> None:
    """One call, from ringing to its end."""
    voice = ringmesh.PushAudioSource(max_seconds=60)
    stream = ringmesh.LocalStream(audio=voice)
    try:
        await call.init_local_media_stream(stream)
        await call.accept_call()
        received = await call.wait_for(ringmesh.RemoteStreamReceived, user_id=call.caller_id)
        await speak(voice, GREETING)
        async for said in turns(received.stream, voice):
            seconds = len(said) / SAMPLE_RATE
            await speak(voice, f"You spoke for {seconds:.1f} seconds. Tell me more.")
    finally:
        stream.close()


async def main() -> None:
    """Sign in and wait for calls."""
    async with ringmesh.connect(
        os.environ.get("RINGMESH_SERVER", "http://localhost:8080"),
        login=os.environ.get("RINGMESH_LOGIN", "bot"),
        password=os.environ.get("RINGMESH_PASSWORD", "bot-demo"),
    ) as me:
        me.calls.on_receive_new_session = talk
        print(f"{me.user.name} is waiting for calls", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
