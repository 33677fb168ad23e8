"""Echo, noise and gain, measured on speech."""

from __future__ import annotations

import numpy as np
import pytest

from ringmesh import AudioProcessing, CallType, LocalStream, PushAudioSource
from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.devices.processing import WebRtcVoiceProcessor
from tests.devices.calls import Call
from tests.devices.sound_server import SoundServer
from tests.devices.speech import Sound, decibels, echo_in_room, speech

BLOCK = 480
SECONDS = 10
THEIRS = "The quick brown fox jumps over the lazy dog, and nobody asks it why."
OURS = "Seven times eight is fifty six, if I may say so now."
LEVEL_KEPT = AudioProcessing(auto_gain_control=False)


def cleaned(
    settings: AudioProcessing, recorded: Sound, played: Sound, *, head_start: int = 0
) -> Sound:
    """What the processing makes of a recording during which this was played.

    `head_start` blocks of silence were played before the microphone was there.
    """
    processor = WebRtcVoiceProcessor(settings)
    for number in range(head_start):
        processor.played(np.zeros(BLOCK, np.int16), (number + 1 - head_start) * 0.01)
    blocks = []
    for start in range(0, len(recorded) - BLOCK + 1, BLOCK):
        now = start / SAMPLE_RATE
        processor.played(played[start : start + BLOCK].astype(np.int16), now + 0.01)
        blocks.append(processor.process(recorded[start : start + BLOCK].astype(np.int16), now))
    return np.concatenate(blocks).astype(float)


@pytest.mark.parametrize("delay", [0.02, 0.08])
def test_echo_is_taken_out_and_speech_is_kept(delay: float) -> None:
    """At least 30 dB of the echo in a room goes; our own speech stays within 3 dB, also while
    both talk."""
    played = speech(THEIRS, "en", SECONDS)
    own = speech(OURS, "en+f3", SECONDS)
    echo = echo_in_room(played, delay=delay)
    hiss = np.random.default_rng(1).standard_normal(len(echo)) * 5
    later = slice(3 * SAMPLE_RATE, None)

    left = cleaned(LEVEL_KEPT, echo + hiss, played)
    both = cleaned(LEVEL_KEPT, echo + hiss + own, played)
    alone = cleaned(LEVEL_KEPT, hiss + own, np.zeros_like(played))
    loss = decibels(echo[later], left[later])
    print(
        f"echo return loss {loss:.1f} dB, speech {decibels(alone[later], own[later]):+.1f} dB, "
        f"while both talk {decibels(both[later], own[later]):+.1f} dB"
    )
    assert loss >= 30
    assert abs(decibels(alone[later], own[later])) < 3
    assert abs(decibels(both[later], own[later])) < 3


def test_speakers_may_begin_before_the_microphone() -> None:
    """What they played before it was there does not make the reference late."""
    played = speech(THEIRS, "en", SECONDS)
    echo = echo_in_room(played, delay=0.02)
    later = slice(3 * SAMPLE_RATE, None)
    left = cleaned(LEVEL_KEPT, echo, played, head_start=50)
    assert decibels(echo[later], left[later]) >= 30


def test_each_part_can_be_switched() -> None:
    """Without echo cancellation the echo stays, without noise suppression the noise, without gain
    control the level; with everything off the sound is untouched."""
    played = speech(THEIRS, "en", 4)
    echo = echo_in_room(played, delay=0.02)
    noise = np.random.default_rng(1).standard_normal(len(echo)) * 300
    quiet = speech(OURS, "en+f3", 4, rms=300)
    silence = np.zeros_like(played)
    later = slice(2 * SAMPLE_RATE, None)

    def off(**settings: bool) -> AudioProcessing:
        nothing = {
            "echo_cancellation": False,
            "noise_suppression": False,
            "auto_gain_control": False,
        }
        return AudioProcessing(**(nothing | settings))

    assert np.array_equal(cleaned(off(), echo, played), echo.astype(np.int16))
    kept = cleaned(off(noise_suppression=True), echo, played)
    assert decibels(echo[later], kept[later]) < 6
    quieter = cleaned(off(noise_suppression=True), noise, silence)
    assert decibels(noise[later], quieter[later]) > 5
    louder = cleaned(off(auto_gain_control=True), quiet, silence)
    assert decibels(louder[later], quiet[later]) > 6


async def test_echo_does_not_come_back_in_a_call(sound: SoundServer, call: Call) -> None:
    """What the other person says is played, recorded again by our microphone, and taken out."""
    await sound.pactl(
        *("load-module", "module-remap-source", "master=speakers.monitor"),
        "source_name=beside_the_speakers",
    )
    session = call.me.calls.create_call_session(
        CallType.AUDIO_CALL, [call.session.opponents_ids[0]]
    )
    call.session = session
    voice = PushAudioSource(max_seconds=30)
    call.answer_with(LocalStream(audio=voice))
    session.audio_processing = LEVEL_KEPT
    await session.init_local_media_stream(microphone="beside_the_speakers")
    await session.select_audio_output("speakers")
    await call.connect()
    said = speech(THEIRS, "en", 14)
    voice.push_pcm(said.astype(np.int16))
    await call.their_sound(4)
    kept_out = await call.their_sound(3)
    session.audio_processing = AudioProcessing(
        echo_cancellation=False, noise_suppression=False, auto_gain_control=False
    )
    await call.their_sound(0.5)
    returned = await call.their_sound(3)
    print(f"echo in a call: {decibels(returned, kept_out):.1f} dB less")
    assert decibels(returned, said) > -6
    assert decibels(returned, kept_out) > 12
