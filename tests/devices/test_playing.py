"""What is played, when, and what the echo canceller learns of it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from ringmesh.errors import MediaError
from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.devices.mixer import BLOCK, Mixer
from ringmesh.media.devices.model import MediaDevice, MediaDeviceKind
from ringmesh.media.devices.playout import (
    LEAD,
    LEAST_CUT,
    MOST_CUT,
    SHORTEST_WATCH,
    Playout,
    shortened,
)
from ringmesh.media.devices.processing import LOOKS, Reference
from ringmesh.media.devices.pulse_playback import REQUEST_MS, PulsePlayback
from ringmesh.media.devices.sound import PulledPlayback
from ringmesh.media.frames import AudioFrame, Pcm
from tests.devices.calls import is_tone
from tests.devices.sound_server import SoundServer, next_sound
from tests.interop.people import LIMIT

SPEAKERS = MediaDevice("speakers", "Speakers", MediaDeviceKind.AUDIO_OUTPUT)
TONE_HZ = 600


def block(value: int) -> Pcm:
    """10 ms of one value."""
    return np.full(BLOCK, value, np.int16)


def tone() -> Pcm:
    """A block of a tone that goes on in the next one."""
    time = np.arange(BLOCK) / SAMPLE_RATE
    return (10_000 * np.sin(2 * np.pi * TONE_HZ * time)).astype(np.int16)


def test_blocks_are_played_as_they_come_after_a_short_silence() -> None:
    """The silence comes first and again after the output ran dry."""
    playout = Playout()
    for dry in (False, True):
        silence, first = playout.put(block(1), 0.0, dry)
        assert len(silence) == LEAD * SAMPLE_RATE
        assert not silence.any()
        assert first[0] == 1
        assert [part[0] for part in playout.put(block(2), LEAD, False)] == [2]
    assert playout.times_dry == 1


def blocks_until_shorter(playout: Playout, queued: float, most: int) -> int | None:
    """After how many blocks one is made shorter while this much waits."""
    for count in range(most):
        [played] = playout.put(block(1000), queued, False)
        assert (played > 990).all()
        if len(played) < BLOCK:
            return count
    return None


def test_what_waits_is_made_less_and_later_each_time_it_ran_dry() -> None:
    """Less after a second in which too much always waited, never for what is just enough;
    after running dry it takes twice as long, and after a good while no longer than at first."""
    playout = Playout()
    playout.put(block(1), 0.0, False)
    assert blocks_until_shorter(playout, LEAD + LEAST_CUT + 0.0001, 500) == SHORTEST_WATCH - 1
    assert blocks_until_shorter(playout, LEAD + LEAST_CUT - 0.0001, 2000) is None
    playout.put(block(1), 0.0, True)
    assert blocks_until_shorter(playout, 0.05, 500) == 2 * SHORTEST_WATCH - 1
    assert blocks_until_shorter(playout, 0.05, 500) == SHORTEST_WATCH - 1


@pytest.mark.parametrize("hertz", [220, 300, 440])
def test_a_shorter_block_has_no_gap(hertz: int) -> None:
    """A whole period of a voice is left out: its tone goes on as loud and without a jump."""
    time = np.arange(BLOCK) / SAMPLE_RATE
    voice = (10_000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)
    less = shortened(voice, MOST_CUT)
    assert (BLOCK - len(less)) / SAMPLE_RATE == pytest.approx(1 / hertz, abs=0.0002)
    assert less[0] == voice[0]
    assert less[-1] == voice[-1]
    steepest = np.abs(np.diff(voice.astype(int))).max()
    assert np.abs(np.diff(less.astype(int))).max() < 1.2 * steepest
    assert np.abs(less).max() > 9_500


def test_silence_is_made_shorter_as_well() -> None:
    assert BLOCK - len(shortened(block(0), MOST_CUT)) >= LEAST_CUT * SAMPLE_RATE


def test_a_block_is_mixed_when_all_who_speak_have_given_one() -> None:
    """Somebody who is late holds the others up for one block, not for two, nor when they left."""
    mixer = Mixer(start_blocks=1)

    def say(who: str, value: int) -> list[int]:
        mixer.put(who, AudioFrame(block(value), SAMPLE_RATE))
        mixed = []
        while (samples := mixer.take_complete()) is not None:
            mixed.append(int(samples[0]))
        return mixed

    assert mixer.take_complete() is None
    assert say("a", 1) == [1]
    assert say("b", 10) == []
    assert say("a", 2) == [12]
    assert say("a", 3) == []
    assert say("b", 20) == [23]
    assert say("a", 4) == []
    assert say("a", 5) == [4, 5]
    assert say("a", 6) == [6]
    assert say("b", 30) == []
    assert say("a", 7) == [37]
    assert say("a", 8) == []
    mixer.remove("b")
    assert say("a", 9) == [8, 9]


def test_the_reference_follows_what_is_played() -> None:
    """It is in step at once, goes on without a gap, and moves when what waits before the speakers
    becomes longer or shorter; without anything to play it is silence."""
    reference = Reference()
    assert not reference.take(BLOCK, 0.0).any()
    samples = np.arange(1, 1 + 120 * BLOCK, dtype=np.uint16).view(np.int16)

    def last_taken(blocks: range, queued: float) -> int:
        for number in blocks:
            now = number * 0.01
            reference.put(samples[number * BLOCK : (number + 1) * BLOCK], now + queued + 0.01)
            far = reference.take(BLOCK, now)
        return int(far.view(np.uint16)[-1])

    played = 30 * BLOCK - BLOCK - round(0.015 * SAMPLE_RATE)
    assert abs(last_taken(range(30), 0.02) - played) <= 1
    longer = last_taken(range(30, 30 + 2 * LOOKS), 0.05)
    assert abs(longer - (29 + 2 * LOOKS) * BLOCK + round(0.045 * SAMPLE_RATE)) <= 1


async def test_a_tone_is_heard_and_lost_with_the_server(sound: SoundServer) -> None:
    """Blocks are played; a closed output and a server that died take none, without an error."""
    playback = await asyncio.to_thread(PulsePlayback, SPEAKERS)
    async with sound.hearing("speakers") as reader:
        heard = asyncio.create_task(next_sound(reader, 0.2))
        async with asyncio.timeout(LIMIT):
            while not (heard.done() and is_tone(heard.result(), TONE_HZ)):
                if heard.done():
                    heard = asyncio.create_task(next_sound(reader, 0.2))
                played, _ = playback.write(tone())
                await asyncio.sleep(0.01 if played else 0)
        heard.cancel()
    await sound.kill()
    for _ in range(50):
        playback.write(tone())
    playback.close()
    playback.close()
    assert playback.write(tone())[0] == []


async def test_a_server_that_hangs_is_not_waited_for(sound: SoundServer) -> None:
    """It is given what it had room for, and no more."""
    playback = await asyncio.to_thread(PulsePlayback, SPEAKERS)
    sound.hang()
    taken = sum(len(samples) for _ in range(100) for samples in playback.write(tone())[0])
    assert 0 < taken <= (2 * REQUEST_MS + 10) * SAMPLE_RATE // 1000
    await asyncio.wait_for(asyncio.to_thread(playback.close), LIMIT)


async def test_an_output_that_is_not_there_cannot_be_opened(
    sound: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that was unplugged, nor any while there is no sound server."""
    gone = MediaDevice("gone", "Gone", MediaDeviceKind.AUDIO_OUTPUT)
    with pytest.raises(MediaError, match="'Gone' cannot be opened"):
        await asyncio.to_thread(PulsePlayback, gone)
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere")
    with pytest.raises(MediaError, match="no sound server"):
        await asyncio.to_thread(PulsePlayback, SPEAKERS)


async def test_outputs_of_other_systems_ask_for_what_they_play(sound: SoundServer) -> None:
    """What miniaudio pulls is heard."""
    mixer = Mixer()

    def pull(count: int) -> Pcm:
        mixer.put("a", AudioFrame(tone(), SAMPLE_RATE))
        return mixer.take(count)

    playback = await asyncio.to_thread(PulledPlayback, SPEAKERS, pull)
    async with asyncio.timeout(LIMIT), sound.hearing("speakers") as reader:
        while not is_tone(await next_sound(reader, 0.2), TONE_HZ):
            pass
    await asyncio.to_thread(playback.close)
