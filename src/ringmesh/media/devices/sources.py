"""A camera and a microphone as sources of a `LocalStream`, and speakers for remote ones."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

from ringmesh.media.audio import SAMPLE_RATE
from ringmesh.media.devices.camera import Camera, CameraFormat
from ringmesh.media.devices.mixer import START_BLOCKS, Mixer
from ringmesh.media.devices.model import MediaDevice, MediaDeviceKind
from ringmesh.media.devices.monitor import DeviceMonitor
from ringmesh.media.devices.processing import AudioProcessing, VoiceProcessor, WebRtcVoiceProcessor
from ringmesh.media.devices.pulse_playback import PulsePlayback
from ringmesh.media.devices.route import DeviceRoute, Lost, Restored
from ringmesh.media.devices.sound import PulledPlayback, Recording
from ringmesh.media.frames import AudioFrame, Pcm, VideoFrame
from ringmesh.media.media_stream import MediaStream
from ringmesh.media.sources import TICK, TICK_SAMPLES

STALL_TIME = 0.3
"""Seconds without sound from a microphone after which silence is sent in its place: a sound server
that hangs is not to look like a network that is gone."""

PUSHES = sys.platform == "linux"
"""Whether outputs are given blocks when they come, and do not ask for them."""

F = TypeVar("F", VideoFrame, AudioFrame)


class _Source(Generic[F]):
    """What a device delivers, whichever it is at the moment; a `ringmesh.media.sources.Source`.

    The device runs from its choice until it is let go, whether somebody listens or not.
    """

    ended = False

    def __init__(self) -> None:
        self._listener: Callable[[F | None], None] | None = None

    def start(self, deliver: Callable[[F | None], None]) -> None:
        """Deliver from now on."""
        self._listener = deliver

    def stop(self) -> None:
        """Deliver no more."""
        self._listener = None

    def close(self) -> None:
        """As `stop`; whoever opened the device lets it go."""
        self.stop()

    def _feed(self, frame: F) -> None:
        listener = self._listener
        if listener is not None:
            listener(frame)


class CameraSource(_Source[VideoFrame]):
    """The camera in use.

    Attributes:
        route: which one that is.
    """

    def __init__(
        self,
        monitor: DeviceMonitor,
        wanted: CameraFormat,
        on_change: Callable[[Lost | Restored], None],
    ) -> None:
        super().__init__()
        self._format = wanted
        self.route = DeviceRoute(MediaDeviceKind.VIDEO_INPUT, monitor, self._open, on_change)

    def _open(self, device: MediaDevice, failed: Callable[[], None]) -> Camera:
        camera: Camera | None = None

        def deliver(frame: VideoFrame) -> None:
            if self.route.handle is camera:  # not while another one is being opened or closed
                self._feed(frame)

        camera = Camera(device, self._format, deliver, failed)
        return camera


class MicrophoneSource(_Source[AudioFrame]):
    """The microphone in use, with its sound cleaned.

    Attributes:
        route: which one that is.
    """

    def __init__(
        self, monitor: DeviceMonitor, voice: Voice, on_change: Callable[[Lost | Restored], None]
    ) -> None:
        super().__init__()
        self._voice = voice
        self._heard_at = 0.0
        self._silence: Pcm = np.zeros(TICK_SAMPLES, np.int16)
        self._stopped: threading.Event | None = None
        self.route = DeviceRoute(MediaDeviceKind.AUDIO_INPUT, monitor, self._open, on_change)

    def start(self, deliver: Callable[[AudioFrame | None], None]) -> None:
        """Deliver from now on; silence while the microphone gives nothing."""
        super().start(deliver)
        if self._stopped is None:
            self._stopped = threading.Event()
            threading.Thread(
                target=self._fill, args=(self._stopped,), name="ringmesh-microphone", daemon=True
            ).start()

    def stop(self) -> None:
        """Deliver no more."""
        super().stop()
        if self._stopped is not None:
            self._stopped.set()
            self._stopped = None

    def _fill(self, stopped: threading.Event) -> None:
        """Sleeps until the microphone may have stalled, then delivers silence in real time."""
        pause = TICK
        while not stopped.wait(pause):
            now = time.monotonic()
            if now - self._heard_at >= STALL_TIME:
                self._feed(AudioFrame(self._silence, SAMPLE_RATE, now))
            pause = max(TICK, self._heard_at + STALL_TIME - now)

    def _open(self, device: MediaDevice, failed: Callable[[], None]) -> Recording:
        recording: Recording | None = None

        def deliver(block: Pcm, began: float) -> None:
            if recording is not None and self.route.handle is recording:
                self._heard_at = began
                samples = self._voice.processor.process(block, began + len(block) / SAMPLE_RATE)
                self._feed(AudioFrame(samples, SAMPLE_RATE, began))

        recording = Recording(device, deliver)
        return recording


class Voice:
    """What cleans the microphone's sound, knowing what the speakers play."""

    def __init__(self, settings: AudioProcessing) -> None:
        """Raises `NotSupportedError` when the library is missing."""
        self.settings = settings
        self.processor: VoiceProcessor = WebRtcVoiceProcessor(settings)

    def configure(self, settings: AudioProcessing) -> None:
        """Clean in another way from now on. Raises as the constructor does."""
        if settings != self.settings:
            self.processor = WebRtcVoiceProcessor(settings)
            self.settings = settings


class Speakers:
    """The output in use, which plays remote streams, mixed.

    Attributes:
        route: which one that is.
    """

    def __init__(
        self,
        monitor: DeviceMonitor,
        played: Callable[[Pcm, float], None],
        on_change: Callable[[Lost | Restored], None],
    ) -> None:
        """`played` is told what is played next and until when, on any thread."""
        self._mixer = Mixer(1 if PUSHES else START_BLOCKS)
        self._played = played
        self._streams: set[MediaStream] = set()
        self.route = DeviceRoute(MediaDeviceKind.AUDIO_OUTPUT, monitor, self._open, on_change)

    def add(self, stream: MediaStream) -> None:
        """Play this stream too, until it closes."""
        if stream in self._streams or stream.closed:
            return
        self._streams.add(stream)
        stream.add_audio_sink(lambda frame: self._put(stream, frame))
        stream.add_close_callback(lambda: self._remove(stream))

    def _remove(self, stream: MediaStream) -> None:
        self._streams.discard(stream)
        self._mixer.remove(stream)

    def _put(self, stream: MediaStream, frame: AudioFrame) -> None:
        self._mixer.put(stream, frame)
        output = self.route.handle
        if isinstance(output, PulsePlayback):
            while (block := self._mixer.take_complete()) is not None:
                played, ends = output.write(block)
                for samples in played:
                    self._played(samples, ends)

    def _open(
        self, device: MediaDevice, failed: Callable[[], None]
    ) -> PulsePlayback | PulledPlayback:
        if self.route.handle is None:
            self._mixer.restart()
        return PulsePlayback(device) if PUSHES else PulledPlayback(device, self._pull)

    def _pull(self, count: int) -> Pcm:
        samples = self._mixer.take(count)
        self._played(samples, time.monotonic() + count / SAMPLE_RATE)
        return samples
