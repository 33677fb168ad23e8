"""Echo cancellation, noise suppression and gain control of a microphone."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ringmesh.errors import ConfigurationError, NotSupportedError
from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.frames import Pcm

MAX_FAR_SAMPLES = SAMPLE_RATE // 5
"""Samples that are played or will be, not yet matched with recorded ones; the oldest go."""

EARLY = 0.005
"""Seconds by which the reference is given before it is played: what comes after its echo is of no
use."""

TOLERANCE = 0.004
"""Seconds that it may be off before it is moved; the canceller has to learn the echo again then."""

LOOKS = 25
"""Blocks over which that is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioProcessing:
    """What is done to the sound of a microphone; W3C's constraints of the same names.

    Attributes:
        echo_cancellation: take out what our own speakers play.
        noise_suppression: take out steady noise, by up to 12 dB.
        auto_gain_control: bring speech to an even level.
    """

    echo_cancellation: bool = True
    noise_suppression: bool = True
    auto_gain_control: bool = True

    def __post_init__(self) -> None:
        for name in ("echo_cancellation", "noise_suppression", "auto_gain_control"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name} is True or False")

    @property
    def any(self) -> bool:
        """Whether anything is done at all."""
        return self.echo_cancellation or self.noise_suppression or self.auto_gain_control


class VoiceProcessor(Protocol):
    """Cleans recorded speech. Blocks are int16, mono, 48 kHz, 10 ms."""

    def played(self, samples: Pcm, ends: float) -> None:
        """Speakers play this until then (monotonic clock), on any thread."""

    def process(self, block: Pcm, now: float) -> Pcm:
        """A block recorded until now, cleaned; on the recording thread."""


class WebRtcVoiceProcessor:
    """libwebrtc's audio processing module."""

    def __init__(self, settings: AudioProcessing) -> None:
        """Raises `NotSupportedError` when pywebrtc-audio is not installed."""
        self._processor = _new_processor(settings) if settings.any else None
        self._cancels_echo = settings.echo_cancellation
        self._far = Reference()
        self._lock = threading.Lock()

    def played(self, samples: Pcm, ends: float) -> None:
        """Keep it until the recording reaches the same moment."""
        if self._cancels_echo:
            with self._lock:
                self._far.put(samples, ends)

    def process(self, block: Pcm, now: float) -> Pcm:
        """The block without echo and noise."""
        if self._processor is None:
            return block
        with self._lock:
            far = self._far.take(len(block), now)
        cleaned: Pcm = self._processor.process(block, far)
        return cleaned


class Reference:
    """What the speakers play, in step with what is recorded.

    Samples follow each other without a gap. When they are off by more than `TOLERANCE` most of the
    time (the queue before the speakers became longer or shorter, clocks differ) they are moved.
    """

    def __init__(self) -> None:
        self._samples = bytearray()
        self._ends = 0.0
        self._late: list[float] = []

    def put(self, samples: Pcm, ends: float) -> None:
        """Speakers play this until then."""
        self._samples += samples.tobytes()
        del self._samples[: -MAX_FAR_SAMPLES * 2]
        self._ends = ends

    def take(self, count: int, now: float) -> Pcm:
        """The next samples, which were played until now or will be `EARLY` later; else silence."""
        coming = self._ends - now - EARLY
        if coming > 0:
            self._look(len(self._samples) // 2 / SAMPLE_RATE - coming - count / SAMPLE_RATE)
        far = bytes(self._samples[: count * 2])
        del self._samples[: count * 2]
        return np.frombuffer(far.ljust(count * 2, b"\0"), np.int16)

    def _look(self, late: float) -> None:
        first = not self._late
        self._late.append(late)
        if not first and len(self._late) < LOOKS:
            return
        late = float(np.median(self._late))
        moved = round(abs(late) * SAMPLE_RATE) * 2 if abs(late) > TOLERANCE else 0
        if late > 0:
            del self._samples[:moved]
        else:
            self._samples[:0] = bytes(moved)
        if not first:
            self._late = [0.0]


def _new_processor(settings: AudioProcessing) -> Any:
    try:
        from pywebrtc_audio import AudioProcessor
    except ImportError as error:
        raise NotSupportedError(
            "cleaning the microphone's sound needs pywebrtc-audio: pip install 'ringmesh[devices]',"
            " or switch AudioProcessing off"
        ) from error
    return AudioProcessor(
        sample_rate=SAMPLE_RATE,
        echo_cancellation=settings.echo_cancellation,
        noise_suppression=settings.noise_suppression,
        auto_gain_control=settings.auto_gain_control,
    )
