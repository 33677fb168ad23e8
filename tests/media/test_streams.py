"""Streams, sources and what is attached to them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import av
import numpy as np
import pytest

from ringmesh.errors import ConfigurationError, InvalidStateError, MediaError
from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.sources import PushAudioSource, PushVideoSource
from ringmesh.media.streams import LocalStream
from ringmesh.media.synthetic import (
    FrameCode,
    SyntheticVideoSource,
    dominant_tone,
    is_black,
    read_code,
)

from .peers import LIMIT, first_frame, hear_until, joined, media_threads, until


@pytest.fixture
async def stream():  # type: ignore[no-untyped-def]
    """A synthetic stream that is closed afterwards."""
    local = LocalStream.synthetic(stream_id=7, tone_hz=500)
    yield local
    local.close()


async def test_callbacks_may_be_functions_or_coroutines(stream: LocalStream) -> None:
    """Plain and coroutine callbacks get pictures and sound on the event loop."""
    thread = threading.get_ident()
    seen: dict[str, int] = {}
    enough = asyncio.Event()

    def note(what: str) -> None:
        assert threading.get_ident() == thread
        seen[what] = seen.get(what, 0) + 1
        if len(seen) == 4 and min(seen.values()) >= 3:
            enough.set()

    async def video_later(_: VideoFrame) -> None:
        await asyncio.sleep(0)
        note("coroutine for pictures")

    async def audio_later(_: AudioFrame) -> None:
        await asyncio.sleep(0)
        note("coroutine for sound")

    subscriptions = [
        stream.on_video_frame(lambda _: note("function for pictures")),
        stream.on_audio(lambda _: note("function for sound")),
        stream.on_video_frame(video_later),
        stream.on_audio(audio_later),
    ]
    async with asyncio.timeout(LIMIT):
        await enough.wait()
    for subscription in subscriptions:
        subscription.close()
        subscription.close()


async def test_a_callback_that_raises_is_logged_once(
    stream: LocalStream, caplog: pytest.LogCaptureFixture
) -> None:
    """Failing callbacks stop neither themselves nor others, and do not flood the log."""
    calls = {"function": 0, "coroutine": 0}
    enough = asyncio.Event()

    def fail(_: VideoFrame) -> None:
        calls["function"] += 1
        raise ValueError("a mistake of the application")

    async def fail_later(_: VideoFrame) -> None:
        calls["coroutine"] += 1
        if min(calls.values()) >= 5:
            enough.set()
        raise ValueError("another mistake")

    with (
        caplog.at_level(logging.ERROR),
        stream.on_video_frame(fail),
        stream.on_video_frame(fail_later),
    ):
        async with asyncio.timeout(LIMIT):
            await enough.wait()
    assert len([record for record in caplog.records if "callback" in record.message]) == 2


async def test_a_slow_reader_gets_the_newest_pictures() -> None:
    """Of pictures that wait the oldest are dropped; their number is bounded."""
    source = PushVideoSource()
    stream = LocalStream(video=source)
    synthetic = SyntheticVideoSource()
    got: list[int] = []
    blocked = asyncio.Event()

    async def slow(frame: VideoFrame) -> None:
        code = read_code(frame)
        assert code is not None
        got.append(code.counter)
        await blocked.wait()

    with stream.on_video_frame(slow):
        for number in range(20):
            source.push_frame(synthetic.draw(number))
        blocked.set()
        await until(lambda: got[-1:] == [19])
    assert got == [0, 18, 19]
    stream.close()


async def test_sound_is_converted_as_asked(stream: LocalStream) -> None:
    """`audio_frames` gives 10 ms blocks at the rate and channel count asked for."""
    for rate, channels in ((48_000, 1), (16_000, 1), (44_100, 2), (8_000, 2)):
        blocks: list[AudioFrame] = []
        async with asyncio.timeout(LIMIT):
            async for block in stream.audio_frames(sample_rate=rate, channels=channels):
                blocks.append(block)
                if len(blocks) == 40:
                    break
        shape = (rate // 100,) if channels == 1 else (rate // 100, channels)
        assert {block.samples.shape for block in blocks} == {shape}
        gaps = np.diff([block.timestamp for block in blocks])
        assert abs(gaps - 0.01).max() < 0.002
        samples = np.concatenate([block.samples for block in blocks])
        mono = samples if channels == 1 else samples[:, 0]
        assert abs(dominant_tone(mono[rate // 20 :], rate).frequency - 500) < 5
    with pytest.raises(ConfigurationError):
        stream.on_audio(lambda _: None, sample_rate=12_345)
    with pytest.raises(ConfigurationError):
        stream.on_audio(lambda _: None, channels=3)


async def test_iteration_ends_when_the_stream_closes(stream: LocalStream) -> None:
    """Iterators of a stream that closes end, and a closed stream takes no sinks."""

    async def count() -> int:
        return len([frame async for frame in stream.video_frames()])

    async with asyncio.timeout(LIMIT):
        counting = asyncio.ensure_future(count())
        await first_frame(stream)
        stream.close()
        assert await counting >= 1
    with pytest.raises(InvalidStateError):
        stream.on_video_frame(lambda _: None)


async def test_sources_run_only_while_somebody_listens() -> None:
    """Threads of a stream start with the first sink and end with the last."""
    await until(lambda: not media_threads())  # those of tests before may still be ending
    stream = LocalStream.synthetic()
    subscription = stream.on_video_frame(lambda _: None)
    assert "ringmesh-synthetic" in media_threads()
    assert "ringmesh-tone" not in media_threads()
    subscription.close()
    await until(lambda: not media_threads())
    stream.close()


async def test_pushed_pictures_and_sound_reach_the_other_side() -> None:
    """Arrays in rgb24 and bgr24, PyAV frames and PCM at another rate arrive."""
    video, audio = PushVideoSource(), PushAudioSource()
    red = np.zeros((120, 160, 3), np.uint8)
    red[:, :, 0] = 255
    times = np.arange(44_100 * 2) / 44_100
    tone = (np.sin(2 * np.pi * 800 * times) * 8000).astype(np.int16)
    async with joined(LocalStream(audio=audio, video=video), None) as (_, right):
        remote = await right.remote_stream()
        for push in (
            lambda: video.push_frame(red),
            lambda: video.push_frame(red[:, :, ::-1], "bgr24"),
            lambda: video.push_frame(av.VideoFrame.from_ndarray(red, format="rgb24")),
        ):
            video.push_frame(VideoFrame.black(160, 120))
            await first_frame(remote, is_black)
            push()
            await first_frame(remote, is_red)
        audio.push_pcm(np.stack([tone, tone], axis=1), 44_100)
        heard = await hear_until(remote, lambda tone: tone.purity > 0.9)
        assert abs(heard.frequency - 800) < 5


async def test_a_muted_push_source_goes_black_although_nothing_is_pushed() -> None:
    """Disabling video blacks the picture at once, even when the application stops pushing."""
    source = PushVideoSource()
    stream = LocalStream(video=source)
    async with joined(stream, None) as (_, right):
        remote = await right.remote_stream()
        source.push_frame(np.full((120, 160, 3), 255, np.uint8))
        await first_frame(remote, lambda frame: frame.luma().mean() > 200)
        stream.video_enabled = False
        await first_frame(remote, is_black)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((120, 160), np.uint8),
        np.zeros((120, 160, 4), np.uint8),
        np.zeros((120, 160, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((0, 160, 3), np.uint8),
        np.zeros((9000, 16, 3), np.uint8),
        b"not a picture",
        None,
    ],
)
def test_wrong_pictures_are_refused(picture: object) -> None:
    """Wrong shapes, dtypes and sizes raise `MediaError` that says what is wanted."""
    with pytest.raises(MediaError, match="picture"):
        PushVideoSource().push_frame(picture)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.zeros(480, np.float32), 48_000),
        (np.zeros((480, 3), np.int16), 48_000),
        (np.zeros((2, 2, 2), np.int16), 48_000),
        (np.zeros(480, np.int16), 0),
        (np.zeros(480, np.int16), 1_000_000),
        (b"\0\0" * 480, 48_000),
        (np.zeros(48_000 * 11, np.int16), 48_000),
    ],
)
def test_wrong_sound_is_refused(samples: object, rate: int) -> None:
    """Wrong shapes, dtypes, rates and too much at once raise `MediaError`."""
    source = PushAudioSource()
    with pytest.raises(MediaError):
        source.push_pcm(samples, rate)  # type: ignore[arg-type]
    assert source.queued_seconds == 0


def test_odd_rates_are_converted() -> None:
    """PCM at a rate that is no multiple of 100 Hz, such as 11025, is taken."""
    source = PushAudioSource()
    source.push_pcm(np.zeros(11_025, np.int16), 11_025)
    assert 0.9 < source.queued_seconds <= 1.0


async def test_the_echo_sends_back_what_comes() -> None:
    """`LocalStream.echo` returns picture and sound to the sender."""
    stream = LocalStream.synthetic(stream_id=9, tone_hz=650)
    async with joined(stream, None) as (left, right):
        echo = LocalStream.echo(await right.remote_stream())
        await right.connection.set_local_stream(echo)
        remote = await left.remote_stream()
        frame = await first_frame(remote, lambda frame: read_code(frame) is not None)
        code = read_code(frame)
        assert code is not None
        assert code.stream_id == 9
        heard = await hear_until(remote, lambda tone: tone.purity > 0.9)
        assert abs(heard.frequency - 650) < 5
        echo.close()


@pytest.mark.parametrize("size", [(160, 90), (320, 180), (640, 360), (1280, 720), (358, 202)])
def test_the_code_is_read_back_at_every_size(size: tuple[int, int]) -> None:
    """What is drawn is read, also after scaling, noise and a shift in brightness."""
    source = SyntheticVideoSource(*size, stream_id=11)
    generator = np.random.default_rng(1)
    for counter in (0, 1, 1023, 40_000, 65_535):
        frame = source.draw(counter)
        assert read_code(frame) == FrameCode(11, counter)
        noisy = frame.i420().astype(np.int16) + generator.integers(-20, 20, frame.i420().size)
        data = np.clip(noisy + 10, 0, 255).astype(np.uint8)
        assert read_code(VideoFrame(data, *size)) == FrameCode(11, counter)
        scaled = VideoFrame.from_av(frame.to_av().reformat(256, 144))
        assert read_code(scaled) == FrameCode(11, counter)


def test_other_pictures_have_no_code() -> None:
    """Black, white, random and damaged pictures read as None."""
    generator = np.random.default_rng(2)
    assert read_code(VideoFrame.black(640, 360)) is None
    for _ in range(50):
        data = generator.integers(0, 255, 160 * 90 * 3 // 2).astype(np.uint8)
        assert read_code(VideoFrame(data, 160, 90)) is None
    frame = SyntheticVideoSource().draw(5)
    damaged = frame.i420().copy()
    luma = damaged[: 640 * 360].reshape(360, 640)
    luma[:90, 200:230] = 255 - luma[:90, 200:230]
    assert read_code(VideoFrame(damaged, 640, 360)) is None


@pytest.mark.parametrize(
    "arguments",
    [(161, 90), (100, 50), (640, 360, 0.0), (640, 360, 500.0), (640, 360, 25.0, 16)],
)
def test_impossible_synthetic_pictures_are_refused(arguments: tuple[int, ...]) -> None:
    """Sizes, rates and ids out of range are `ConfigurationError`."""
    with pytest.raises(ConfigurationError):
        SyntheticVideoSource(*arguments)


def test_frames_convert_to_pixels_and_back() -> None:
    """Colours survive the way through I420; odd sides lose their last line."""
    blue = np.zeros((121, 161, 3), np.uint8)
    blue[:, :, 2] = 255
    frame = VideoFrame.from_ndarray(blue, timestamp=time.monotonic())
    assert (frame.width, frame.height) == (160, 120)
    assert abs(frame.to_ndarray("rgb24").astype(int) - blue[:120, :160]).max() < 12
    assert abs(frame.to_ndarray("bgr24").astype(int) - blue[:120, :160, ::-1]).max() < 12
    assert frame.luma().shape == (120, 160)


def is_red(frame: VideoFrame) -> bool:
    """Whether a picture is red."""
    red, green, blue = frame.to_ndarray().reshape(-1, 3).mean(axis=0)
    return bool(red > 180 and green < 60 and blue < 60)
