"""Playing through PulseAudio (or PipeWire in its place) with as little delay as the sound allows.

miniaudio asks for sound every few milliseconds, and periods ahead. Here a block is handed to the
sound server when it comes, and waits there only as long as `Playout` wants: less delay, and nobody
wakes up in between.
"""

from __future__ import annotations

import ctypes
import threading
import time
from functools import cache
from typing import Any

from ringmesh.errors import MediaError, NotSupportedError
from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.devices.model import MediaDevice
from ringmesh.media.devices.playout import Playout
from ringmesh.media.devices.sound import APPLICATION
from ringmesh.media.frames import Pcm

BYTES_PER_SECOND = 2 * SAMPLE_RATE
BYTES_PER_MS = BYTES_PER_SECOND // 1000

SINK_MS = 2.5
"""How much the device itself is asked to keep; it may keep more."""

REQUEST_MS = 50
"""How often the server says that it has room, for which nobody waits; up to twice that may wait."""

_NO_AUTOSPAWN = 0x1
_AUTO_UPDATE, _DONT_MOVE, _ADJUST_LATENCY = 0x8, 0x200, 0x2000
_CONTEXT_READY, _CONTEXT_FAILED = 4, 5
_STREAM_READY, _STREAM_FAILED = 2, 3
_S16LE = 3
_WHATEVER = 0xFFFFFFFF

_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


class _SampleSpec(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


class _BufferAttributes(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint32) for name in ("maxlength", "tlength", "prebuf", "minreq", "fragsize")
    )


class _TimingInfo(ctypes.Structure):
    """The beginning of `pa_timing_info`."""

    _fields_ = (
        ("seconds", ctypes.c_long),
        ("microseconds", ctypes.c_long),
        ("synchronized_clocks", ctypes.c_int),
        ("sink_usec", ctypes.c_uint64),
        ("source_usec", ctypes.c_uint64),
        ("transport_usec", ctypes.c_uint64),
        ("playing", ctypes.c_int),
        ("write_index_corrupt", ctypes.c_int),
        ("write_index", ctypes.c_int64),
        ("read_index_corrupt", ctypes.c_int),
        ("read_index", ctypes.c_int64),
    )


class PulsePlayback:
    """An output of the sound server that plays, from its making until `close`."""

    def __init__(self, device: MediaDevice) -> None:
        """Raises `MediaError` when the output cannot be opened. May wait for the server."""
        self._lib = _load()
        self._playout = Playout()
        self._closing = threading.Lock()
        self._context: Any = None
        self._stream: Any = None
        self._underflow = -1
        self._mainloop = self._lib.pa_threaded_mainloop_new()
        self._wake = _Callback(lambda *_: self._lib.pa_threaded_mainloop_signal(self._mainloop, 0))
        self._lib.pa_threaded_mainloop_start(self._mainloop)
        try:
            self._lib.pa_threaded_mainloop_lock(self._mainloop)
            try:
                self._connect()
                self._open(device)
            finally:
                self._lib.pa_threaded_mainloop_unlock(self._mainloop)
        except MediaError:
            self.close()
            raise

    def write(self, block: Pcm) -> tuple[list[Pcm], float]:
        """Play a block of 10 ms, 48 kHz, mono, on any thread.

        Returns what is played in its place, and until when on the monotonic clock. Never waits for
        the server: what it has no room for is lost.
        """
        lib = self._lib
        with self._closing:
            if self._mainloop is None:
                return [], 0.0
            lib.pa_threaded_mainloop_lock(self._mainloop)
            try:
                queued, in_device, ran_dry = self._state()
                played = self._playout.put(block, queued, ran_dry)
                data = b"".join(samples.tobytes() for samples in played)
                if lib.pa_stream_writable_size(self._stream) < len(data):
                    return [], 0.0
                lib.pa_stream_write(self._stream, data, len(data), None, 0, 0)
            finally:
                lib.pa_threaded_mainloop_unlock(self._mainloop)
        seconds = sum(len(samples) for samples in played) / SAMPLE_RATE
        return played, time.monotonic() + max(0.0, queued + in_device) + seconds

    def close(self) -> None:
        """Stop. Idempotent."""
        lib = self._lib
        with self._closing:
            mainloop, self._mainloop = self._mainloop, None
        if mainloop is None:
            return
        lib.pa_threaded_mainloop_lock(mainloop)
        if self._stream is not None:
            lib.pa_stream_set_state_callback(self._stream, _Callback(), None)
            lib.pa_stream_disconnect(self._stream)
            lib.pa_stream_unref(self._stream)
        lib.pa_context_set_state_callback(self._context, _Callback(), None)
        lib.pa_context_disconnect(self._context)
        lib.pa_context_unref(self._context)
        lib.pa_threaded_mainloop_unlock(mainloop)
        lib.pa_threaded_mainloop_stop(mainloop)
        lib.pa_threaded_mainloop_free(mainloop)

    def _state(self) -> tuple[float, float, bool]:
        """Seconds in the server's queue and in the device, and whether the queue ran dry lately."""
        lib = self._lib
        queued = in_device = 0.0
        if found := lib.pa_stream_get_timing_info(self._stream):
            info = found.contents
            # libpulse's own estimate between two reports of the server takes long to settle.
            elapsed = time.time() - info.seconds - info.microseconds / 1e6 if info.playing else 0.0
            queued = (info.write_index - info.read_index) / BYTES_PER_SECOND - elapsed
            in_device = info.sink_usec / 1e6
        underflow = lib.pa_stream_get_underflow_index(self._stream)
        ran_dry, self._underflow = underflow != self._underflow, underflow
        return queued, in_device, ran_dry

    def _connect(self) -> None:
        lib = self._lib
        api = lib.pa_threaded_mainloop_get_api(self._mainloop)
        self._context = lib.pa_context_new(api, APPLICATION.encode())
        lib.pa_context_set_state_callback(self._context, self._wake, None)
        if lib.pa_context_connect(self._context, None, _NO_AUTOSPAWN, None) < 0:
            raise MediaError("there is no sound server")
        while (state := lib.pa_context_get_state(self._context)) != _CONTEXT_READY:
            if state >= _CONTEXT_FAILED:
                raise MediaError("there is no sound server")
            lib.pa_threaded_mainloop_wait(self._mainloop)

    def _open(self, device: MediaDevice) -> None:
        lib = self._lib
        spec = _SampleSpec(_S16LE, SAMPLE_RATE, 1)
        # ADJUST_LATENCY gives the device half of what tlength is above two requests.
        attributes = _BufferAttributes(
            maxlength=_WHATEVER,
            tlength=round((2 * REQUEST_MS + 2 * SINK_MS) * BYTES_PER_MS),
            prebuf=10 * BYTES_PER_MS,
            minreq=REQUEST_MS * BYTES_PER_MS,
            fragsize=_WHATEVER,
        )
        self._stream = lib.pa_stream_new(self._context, APPLICATION.encode(), spec, None)
        lib.pa_stream_set_state_callback(self._stream, self._wake, None)
        flags = _AUTO_UPDATE | _DONT_MOVE | _ADJUST_LATENCY
        name = device.id.encode()
        refused = lib.pa_stream_connect_playback(self._stream, name, attributes, flags, None, None)
        while (state := lib.pa_stream_get_state(self._stream)) != _STREAM_READY:
            if refused < 0 or state >= _STREAM_FAILED:
                raise MediaError(f"the output {device.label!r} cannot be opened: was it unplugged?")
            lib.pa_threaded_mainloop_wait(self._mainloop)


@cache
def _load() -> Any:
    """libpulse, with its signatures."""
    try:
        lib = ctypes.CDLL("libpulse.so.0")
    except OSError as error:
        raise NotSupportedError("sound devices need PulseAudio's client library") from error
    pointer, integer, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    signatures: dict[str, tuple[Any, ...]] = {
        "threaded_mainloop_new": (pointer,),
        "threaded_mainloop_get_api": (pointer, pointer),
        "threaded_mainloop_start": (integer, pointer),
        "threaded_mainloop_stop": (None, pointer),
        "threaded_mainloop_free": (None, pointer),
        "threaded_mainloop_lock": (None, pointer),
        "threaded_mainloop_unlock": (None, pointer),
        "threaded_mainloop_wait": (None, pointer),
        "threaded_mainloop_signal": (None, pointer, integer),
        "context_new": (pointer, pointer, text),
        "context_set_state_callback": (None, pointer, _Callback, pointer),
        "context_connect": (integer, pointer, text, integer, pointer),
        "context_get_state": (integer, pointer),
        "context_disconnect": (None, pointer),
        "context_unref": (None, pointer),
        "stream_new": (pointer, pointer, text, ctypes.POINTER(_SampleSpec), pointer),
        "stream_set_state_callback": (None, pointer, _Callback, pointer),
        "stream_connect_playback": (
            *(integer, pointer, text, ctypes.POINTER(_BufferAttributes), integer),
            *(pointer, pointer),
        ),
        "stream_get_state": (integer, pointer),
        "stream_disconnect": (integer, pointer),
        "stream_unref": (None, pointer),
        "stream_write": (
            *(integer, pointer, text, ctypes.c_size_t, pointer),
            *(ctypes.c_int64, integer),
        ),
        "stream_writable_size": (ctypes.c_size_t, pointer),
        "stream_get_timing_info": (ctypes.POINTER(_TimingInfo), pointer),
        "stream_get_underflow_index": (ctypes.c_int64, pointer),
    }
    for name, (result, *arguments) in signatures.items():
        function = getattr(lib, f"pa_{name}")
        function.restype, function.argtypes = result, arguments
    return lib
