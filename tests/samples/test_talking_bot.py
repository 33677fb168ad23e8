"""The talking bot, run as a program, listened to and interrupted."""

from __future__ import annotations

import asyncio

import numpy as np

from ringmesh import CallType, LocalStream, P2PSession, PushAudioSource
from tests.interop.people import LIMIT, remote_stream
from tests.samples.running import call_to, says

LOUD = 600
"""Of 32767: speech has louder blocks."""


async def hears_speech(session: P2PSession, user_id: int) -> None:
    """Wait for half a second of sound that is not of one pitch."""
    stream = await remote_stream(session, user_id)
    blocks: list[np.ndarray] = []
    async with asyncio.timeout(LIMIT):
        async for block in stream.audio_frames():
            if np.abs(block.samples).max() > LOUD:
                blocks.append(block.samples)
            if len(blocks) == 50:
                break
    crossings = [int((np.diff(np.signbit(samples)) != 0).sum()) for samples in blocks]
    assert np.std(crossings) > 1, "that is a tone"


async def hears_silence(session: P2PSession, user_id: int) -> None:
    """Wait for more silence than there is between words."""
    stream = await remote_stream(session, user_id)
    quiet = 0
    async with asyncio.timeout(LIMIT):
        async for block in stream.audio_frames():
            quiet = 0 if np.abs(block.samples).max() > LOUD else quiet + 1
            if quiet == 80:
                return


def noise(seconds: float) -> np.ndarray:
    """What a caller who speaks may sound like."""
    samples = np.random.default_rng(1).normal(0, 5000, round(seconds * 48_000))
    return np.clip(samples, -20_000, 20_000).astype(np.int16)


async def test_it_talks_listens_and_answers(url: str) -> None:
    """It greets, falls silent while the caller speaks, and says how long that was."""
    voice = PushAudioSource()
    stream = LocalStream(audio=voice)
    program = "talking_bot/talking_bot.py"
    async with call_to(program, url, stream, CallType.AUDIO_CALL) as (session, bot, process):
        await says(process, "says: Hello")
        await hears_speech(session, bot)
        voice.push_pcm(noise(2.0))
        await says(process, "was interrupted")
        await hears_silence(session, bot)
        answer = await says(process, "You spoke for")
        assert 1.5 < float(answer.split(" for ")[1].split()[0]) < 3.0
        await hears_speech(session, bot)
