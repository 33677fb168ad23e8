"""Pictures and sound for programs: blocks at a chosen rate, frames with times, interruptions."""

from __future__ import annotations

import asyncio
import itertools
from fractions import Fraction

import numpy as np
import pytest

from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.sources import TICK, PushAudioSource
from ringmesh.media.streams import LocalStream, RemoteStream
from ringmesh.media.synthetic import ToneSource, dominant_tone

from .peers import LIMIT, until


def tone(seconds: float, rate: int = 48_000, hertz: float = 440.0) -> np.ndarray:
    """A loud sine."""
    times = np.arange(round(seconds * rate)) / rate
    return (12_000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16_000, 1), (24_000, 2), (44_100, 1)])
async def test_sound_comes_in_blocks_of_10_ms(rate: int, channels: int) -> None:
    """At the rate that was asked for, int16, timed, and with the same tone in it."""
    stream = LocalStream.synthetic(video=False, tone_hz=500)
    blocks: list[AudioFrame] = []
    async with asyncio.timeout(LIMIT):
        async for block in stream.audio_frames(sample_rate=rate, channels=channels):
            blocks.append(block)
            if len(blocks) == 60:
                break
    stream.close()
    for block in blocks:
        assert block.sample_rate == rate
        assert block.samples.dtype == np.int16
        assert block.samples.shape == ((rate // 100,) if channels == 1 else (rate // 100, channels))
    times = [block.timestamp for block in blocks]
    assert np.diff(times).mean() == pytest.approx(0.01, abs=0.001)
    samples = np.concatenate([block.samples.reshape(-1, channels)[:, 0] for block in blocks[10:]])
    assert abs(dominant_tone(samples, rate).frequency - 500) < 15


async def test_a_slow_reader_loses_the_oldest() -> None:
    """As many frames wait as were asked for; what is read is the newest and in order."""
    stream = RemoteStream(lambda: None)
    source = ToneSource(440)
    pictures = stream.video_frames(max_queued=3)
    sound = stream.audio_frames(max_queued=5)
    reading = [asyncio.ensure_future(anext(frames)) for frames in (pictures, sound)]
    await until(lambda: stream.wants_video and stream.wants_audio)
    for number in range(10):
        stream.deliver_video(VideoFrame.black(16, 16, timestamp=float(number)))
        stream.deliver_audio(source.make(number / 50))
    await asyncio.gather(*reading)
    stream.close()
    assert [frame.timestamp async for frame in pictures] == [8.0, 9.0]
    times = [block.timestamp async for block in sound]
    assert times == pytest.approx([0.16, 0.17, 0.18, 0.19])


async def test_frames_become_pyav_frames_with_their_times() -> None:
    """`to_av` keeps pixels, samples and timestamps."""
    picture = VideoFrame.black(32, 16, timestamp=12.345678).to_av()
    assert (picture.width, picture.height) == (32, 16)
    assert (picture.pts, picture.time_base) == (12_345_678, Fraction(1, 1_000_000))
    sound = AudioFrame(tone(0.01, 16_000), 16_000, 2.5).to_av()
    assert (sound.pts, sound.time_base, sound.sample_rate) == (40_000, Fraction(1, 16_000), 16_000)
    assert np.array_equal(sound.to_ndarray()[0], tone(0.01, 16_000))
    stereo = AudioFrame(np.stack([tone(0.01), -tone(0.01)], axis=1), 48_000).to_av()
    assert (stereo.layout.name, stereo.samples) == ("stereo", 480)


async def test_playback_is_waited_for() -> None:
    """`wait_played` is True when the last sound has gone out, at once when there is none."""
    voice = PushAudioSource()
    stream = LocalStream(audio=voice)
    assert await voice.wait_played()
    heard: list[AudioFrame] = []
    with stream.on_audio(heard.append):
        voice.push_pcm(tone(0.4, 22_050), 22_050)
        assert await asyncio.wait_for(voice.wait_played(), LIMIT)
        assert voice.queued_seconds == 0
        await until(lambda: sum(np.abs(block.samples).max() > 1000 for block in heard) >= 36)
    stream.close()


async def test_playback_is_interrupted() -> None:
    """After `clear` nothing of what was said before is heard: barge-in. What is pushed next is."""
    voice = PushAudioSource()
    stream = LocalStream(audio=voice)
    played: list[AudioFrame] = []
    stream.add_audio_sink(played.append)
    voice.push_pcm(tone(5.0, hertz=440))
    waiting = asyncio.ensure_future(voice.wait_played())
    await until(lambda: len(played) >= 10)
    voice.clear()
    count = len(played)
    assert await asyncio.wait_for(waiting, LIMIT) is False
    await until(lambda: len(played) >= count + 10)
    assert voice.queued_seconds == 0
    # One block may be on its way on the source's thread while `clear` is called.
    assert all(np.abs(block.samples).max() == 0 for block in played[count + 1 :])
    voice.push_pcm(tone(0.2, hertz=900))
    await asyncio.wait_for(voice.wait_played(), LIMIT)
    await until(lambda: np.abs(played[-1].samples).max() == 0)
    loud = [block for block in played[count + 1 :] if np.abs(block.samples).max() > 1000]
    assert len(loud) == pytest.approx(0.2 / TICK, abs=1)
    assert abs(dominant_tone(np.concatenate([b.samples for b in loud])).frequency - 900) < 20
    stream.close()


async def test_closing_ends_the_waiting() -> None:
    """A stream that is closed plays nothing more, and nobody waits for it."""
    voice = PushAudioSource()
    stream = LocalStream(audio=voice)
    voice.push_pcm(tone(1.0))
    waiting = [asyncio.ensure_future(voice.wait_played()) for _ in itertools.repeat(None, 3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    stream.close()
    assert await asyncio.gather(*waiting[1:]) == [False, False]
