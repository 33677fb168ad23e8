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
"""Samples played and not yet matched with recorded ones; the oldest are dropped."""

_LOOKS = 100
"""Blocks in which the least that was played ahead is looked for."""


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

    def played(self, block: Pcm) -> None:
        """Speakers play this, on any thread."""

    def process(self, block: Pcm) -> Pcm:
        """A recorded block, cleaned; on the recording thread."""


class WebRtcVoiceProcessor:
    """libwebrtc's audio processing module."""

    def __init__(self, settings: AudioProcessing) -> None:
        """Raises `NotSupportedError` when pywebrtc-audio is not installed."""
        self._processor = _new_processor(settings) if settings.any else None
        self._cancels_echo = settings.echo_cancellation
        self._far = bytearray()
        self._looks = _LOOKS - 1
        self._ahead = MAX_FAR_SAMPLES
        self._lock = threading.Lock()

    def played(self, block: Pcm) -> None:
        """Keep it until the recording reaches the same moment."""
        if self._cancels_echo:
            with self._lock:
                self._far += block.tobytes()
                del self._far[: -MAX_FAR_SAMPLES * 2]

    def process(self, block: Pcm) -> Pcm:
        """The block without echo and noise."""
        if self._processor is None:
            return block
        cleaned: Pcm = self._processor.process(block, self._take_far(len(block)))
        return cleaned

    def _take_far(self, count: int) -> Pcm:
        with self._lock:
            self._catch_up(count)
            far = bytes(self._far[: count * 2])
            del self._far[: count * 2]
        return np.frombuffer(far.ljust(count * 2, b"\0"), np.int16)

    def _catch_up(self, count: int) -> None:
        """Drop what was always ahead: a reference that comes after its echo is of no use.

        It piles up when the speakers began before the microphone, and when their clock is faster.
        """
        self._ahead = min(self._ahead, len(self._far) // 2)
        self._looks += 1
        if self._looks == _LOOKS:
            del self._far[: max(0, self._ahead - count) * 2]
            self._looks, self._ahead = 0, MAX_FAR_SAMPLES


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
