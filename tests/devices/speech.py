"""Speech to talk with, and a room to talk in."""

from __future__ import annotations

import io
import subprocess
import wave

import numpy as np
from numpy.typing import NDArray

from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.frames import Pcm

Sound = NDArray[np.float64]


def speech(text: str, voice: str, seconds: float, *, rms: float = 2500.0) -> Sound:
    """A voice that says this again and again, at 48 kHz."""
    command = ["espeak-ng", "-v", voice, "--stdout", text]
    output = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(output)) as spoken:
        rate = spoken.getframerate()
        samples = np.frombuffer(spoken.readframes(10**8), np.int16).astype(float)
    count = round(seconds * SAMPLE_RATE)
    times = np.arange(len(samples) * SAMPLE_RATE // rate) * rate / SAMPLE_RATE
    resampled = np.interp(times, np.arange(len(samples)), samples)
    repeated = np.resize(resampled, count)
    return repeated * rms / np.sqrt(np.mean(repeated**2))


def echo_in_room(played: Sound, *, delay: float, reverberation: float = 0.3) -> Sound:
    """What a microphone hears of speakers: 12 dB quieter, late, half of it directly.

    `delay` in seconds; `reverberation` is the time in seconds in which it fades by 60 dB.
    """
    length = round(reverberation * SAMPLE_RATE)
    response = np.random.default_rng(7).standard_normal(length)
    response *= np.exp(-6.9 * np.arange(length) / length)
    response[0] = np.sqrt(np.sum(response[1:] ** 2))
    response *= 0.25 / np.sqrt(np.sum(response**2))
    size = 1 << (len(played) + length).bit_length()
    echo = np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(response, size), size)
    late = np.concatenate((np.zeros(round(delay * SAMPLE_RATE)), echo))
    return late[: len(played)]


def decibels(one: Sound | Pcm, other: Sound | Pcm) -> float:
    """How much louder the one is."""
    power, reference = (np.mean(np.square(sound, dtype=float)) for sound in (one, other))
    return float(10 * np.log10(power / reference))
