"""What the speakers of this machine play, to be mixed into what is sent. PulseAudio, PipeWire."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from ringmesh.errors import NotSupportedError
from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.devices.mixer import Mixer
from ringmesh.media.devices.model import MediaDevice, MediaDeviceKind
from ringmesh.media.devices.sound import Recording
from ringmesh.media.frames import AudioFrame, Pcm

_DEFAULT_MONITOR = "@DEFAULT_MONITOR@"
"""PulseAudio's name of the source that hears what the default output plays."""


class SystemAudio:
    """Records what the default output plays, from its making until `close`."""

    def __init__(self) -> None:
        """Raises `NotSupportedError` on systems that let no program hear that, and `MediaError`
        when it cannot be opened."""
        if sys.platform != "linux":
            raise NotSupportedError(
                "this system lets no program hear what others play: share the screen without sound"
            )
        self._mixer = Mixer()
        output = MediaDevice(_DEFAULT_MONITOR, "system sound", MediaDeviceKind.AUDIO_INPUT)
        self._recording = Recording(output, self._put)

    def mix(self, frame: AudioFrame) -> AudioFrame:
        """A block of mono 48 kHz with what was played meanwhile added to it."""
        played = self._mixer.take(len(frame.samples))
        total = frame.samples.astype(np.int32) + played
        return replace(frame, samples=np.clip(total, -32768, 32767).astype(np.int16))

    def close(self) -> None:
        """Stop. Idempotent."""
        self._recording.close()

    def _put(self, block: Pcm, began: float) -> None:
        self._mixer.put(self, AudioFrame(block, SAMPLE_RATE, began))
