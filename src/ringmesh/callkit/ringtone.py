"""The ring tone: a sound file, or two tones of our own, again and again."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from array import array
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ringmesh.errors import MediaError

_logger = logging.getLogger(__name__)

SAMPLE_RATE = 48_000
MAX_FILE = 20 * 1024 * 1024
"""Bytes that a ring tone's file may have: it is kept in memory while it rings."""

_TONES = (440, 480)  # the audible ringing tone of North America (Bellcore GR-506)
_SOUND, _PAUSE = 2, 4
_LEVEL = 6000


def own_tone() -> array[int]:
    """One period of the tone that is used without a file: mono, int16."""
    period = SAMPLE_RATE // math.gcd(*_TONES)  # after which both begin anew
    cycle = array(
        "h",
        (
            int(_LEVEL * sum(math.sin(2 * math.pi * tone * at / SAMPLE_RATE) for tone in _TONES))
            for at in range(period)
        ),
    )
    return cycle * (_SOUND * SAMPLE_RATE // period) + array("h", bytes(2 * _PAUSE * SAMPLE_RATE))


def sound_of(path: Path | None) -> array[int]:
    """The samples of a sound file (WAV, FLAC, MP3 or Ogg Vorbis): mono, int16.

    Raises `MediaError` for a file that cannot be played.
    """
    if path is None:
        return own_tone()
    import miniaudio

    try:
        if path.stat().st_size > MAX_FILE:
            raise MediaError(f"ring tone {path} has more than {MAX_FILE} bytes")
        decoded = miniaudio.decode_file(str(path), nchannels=1, sample_rate=SAMPLE_RATE)
    except (OSError, miniaudio.MiniaudioError) as error:
        raise MediaError(f"ring tone {path} cannot be played: {error}") from error
    samples: array[int] = decoded.samples
    if not samples:
        raise MediaError(f"ring tone {path} holds no sound")
    return samples


class RingTone:
    """Plays while something rings. What goes wrong is logged, since a call rings without it too."""

    def __init__(self) -> None:
        self._wanted = False
        self._path: Path | None = None
        self._device: Any = None
        self._task: asyncio.Task[None] | None = None

    @staticmethod
    def is_available() -> bool:
        """Whether miniaudio is installed. It is loaded when something rings, in a thread."""
        return find_spec("miniaudio") is not None

    def play(self, path: Path | None) -> None:
        """Begin, or go on."""
        self._wanted, self._path = True, path
        self._follow()

    def stop(self) -> None:
        """Be silent. Does nothing when it is."""
        self._wanted = False
        self._follow()

    async def close(self) -> None:
        """Be silent, and wait until the sound device is closed."""
        self.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def _follow(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._change(), name="ring tone")

    async def _change(self) -> None:
        """Opening and closing a sound device takes time, so it is done in a thread."""
        while self._wanted != (self._device is not None):
            try:
                if self._wanted:
                    self._device = await asyncio.to_thread(_start, self._path)
                else:
                    device, self._device = self._device, None
                    await asyncio.to_thread(device.close)
            except Exception as error:  # the sound system's own errors are of many kinds
                _logger.warning("no ring tone: %s", error)
                return


def _start(path: Path | None) -> Any:
    import miniaudio

    playing = _endless(sound_of(path))
    next(playing)
    device = miniaudio.PlaybackDevice(
        output_format=miniaudio.SampleFormat.SIGNED16,
        nchannels=1,
        sample_rate=SAMPLE_RATE,
        buffersize_msec=100,
        app_name="Ringmesh",
        # On Linux the sound servers of desktops: ALSA's library writes to standard error.
        backends=[miniaudio.Backend.PULSEAUDIO] if sys.platform == "linux" else None,
    )
    device.start(playing)
    return device


def _endless(samples: array[int]) -> Generator[array[int], int, None]:
    frames = yield array("h")
    at = 0
    while True:
        piece = samples[at : at + frames]
        while len(piece) < frames:
            piece += samples[: frames - len(piece)]
        at = (at + frames) % len(samples)
        frames = yield piece
