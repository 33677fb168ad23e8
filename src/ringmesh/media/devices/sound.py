"""Recording from a microphone and playing to speakers, through miniaudio."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from ringmesh.errors import MediaError, NotSupportedError
from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.devices.model import MediaDevice
from ringmesh.media.frames import Pcm

PERIOD_MS = 10
"""Length of the blocks that devices give and take."""

APPLICATION = "ringmesh"


def load_miniaudio() -> Any:
    """The library, or `NotSupportedError` when it is not installed."""
    try:
        import miniaudio
    except ImportError as error:
        raise NotSupportedError(
            "microphones and speakers need miniaudio: pip install 'ringmesh[devices]'"
        ) from error
    return miniaudio


class Recording:
    """A microphone that records, from its making until `close`.

    Args:
        deliver: called on the device's thread with blocks of 10 ms, 48 kHz, mono, and the time
            on the monotonic clock at which they began. miniaudio sees to their length.
    """

    def __init__(self, device: MediaDevice, deliver: Callable[[Pcm, float], None]) -> None:
        """Raises `MediaError` when the microphone cannot be opened."""
        self._deliver = deliver
        self._device = _open("CaptureDevice", device, self._take())

    def close(self) -> None:
        """Stop. Waits for the block that is being delivered."""
        _close(self._device)

    def _take(self) -> Generator[None, bytearray, None]:
        while True:
            data = yield
            samples: Pcm = np.frombuffer(data, np.int16)
            self._deliver(samples, time.monotonic() - len(samples) / SAMPLE_RATE)


class PulledPlayback:
    """Speakers that ask for what they play, from their making until `close`.

    Args:
        pull: called on the device's thread with how many samples it needs next; mono, 48 kHz.
    """

    def __init__(self, device: MediaDevice, pull: Callable[[int], Pcm]) -> None:
        """Raises `MediaError` when the device cannot be opened."""
        self._pull = pull
        self._device = _open("PlaybackDevice", device, self._give())

    def close(self) -> None:
        """Stop."""
        _close(self._device)

    def _give(self) -> Generator[Pcm | bytes, int, None]:
        count = yield b""
        while True:
            count = yield self._pull(count)


def _open(class_name: str, device: MediaDevice, callback: Generator[Any, Any, None]) -> Any:
    miniaudio = load_miniaudio()
    next(callback)
    kind = getattr(miniaudio, class_name)
    opened = kind.__new__(kind)  # in two steps, so that what failed half-way can be closed
    try:
        opened.__init__(
            miniaudio.SampleFormat.SIGNED16,
            nchannels=1,
            sample_rate=SAMPLE_RATE,
            buffersize_msec=PERIOD_MS,
            device_id=_device_pointer(miniaudio, device.id),
            backends=backends(miniaudio),
            app_name=APPLICATION,
        )
        opened.start(callback)
    except miniaudio.MiniaudioError as error:
        _close(opened)
        reason = error.args[0]
        raise MediaError(
            f"the {device.kind.noun} {device.label!r} cannot be opened ({reason}): is it in use, "
            "or was it unplugged?"
        ) from error
    return opened


def _close(device: Any) -> None:
    """Close a device and its connection to the sound server, which miniaudio leaves open."""
    context = getattr(device, "_context", None)
    device._context = None
    device.close()
    if context is not None:
        load_miniaudio().lib.ma_context_uninit(context)


def backends(miniaudio: Any) -> list[Any]:
    """PulseAudio (and PipeWire in its place) on Linux, the system's own elsewhere."""
    return [miniaudio.Backend.PULSEAUDIO] if sys.platform == "linux" else []


def _device_pointer(miniaudio: Any, device_id: str) -> Any:
    """miniaudio's form of an id: PulseAudio's name of the device, or bytes written as hex."""
    raw = device_id.encode() if sys.platform == "linux" else bytes.fromhex(device_id)
    pointer = miniaudio.ffi.new("ma_device_id *")
    buffer = miniaudio.ffi.buffer(pointer)
    if len(raw) >= len(buffer):
        raise MediaError(f"the id of {device_id!r:.50} is too long")
    buffer[: len(raw)] = raw
    return pointer
