"""Between our frames and libwebrtc's: the tracks we send, the tracks we receive.

Frames are written to, and read from, the extension module `wrtc` itself, below the streams of
the package `webrtc`: that takes frames on any thread, so that a source does not wait for the
event loop, and costs less. The exact version of wrtc is pinned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import webrtc
import wrtc  # type: ignore[import-not-found]

from ringmesh.media.frames import AudioFrame, Pcm, Pixels, VideoFrame
from ringmesh.media.media_stream import Subscription
from ringmesh.media.streams import LocalStream, RemoteStream
from ringmesh.media.wrtc_sync import SoundDelay

_tracks: WeakKeyDictionary[LocalStream, LocalTracks] = WeakKeyDictionary()


class NativeVideoFrame(VideoFrame):
    """A picture in libwebrtc's memory, copied only when somebody wants its pixels."""

    __slots__ = ("buffer",)

    def __init__(self, buffer: wrtc.VideoFrameBuffer, timestamp: float, rotation: int) -> None:
        super().__init__(None, buffer.width, buffer.height, timestamp=timestamp, rotation=rotation)
        self.buffer = buffer

    def i420(self) -> Pixels:
        """The packed planes, copied on the first call."""
        if self._i420 is None:
            self._i420 = self._copied()
        return self._i420

    def at(self, timestamp: float) -> VideoFrame:
        """The same picture at another time."""
        return NativeVideoFrame(self.buffer, timestamp, self.rotation)

    def _copied(self) -> Pixels:
        width, height = self.width, self.height
        if self.buffer.format != "I420" or width % 2 or height % 2:
            return self._converted()
        size, half_width, half_height = width * height, width // 2, height // 2
        data: Pixels = np.empty(size * 3 // 2, np.uint8)
        planes = [
            (0, 0, width, height, 0, width),
            (0, 0, half_width, half_height, size, half_width),
            (0, 0, half_width, half_height, size * 5 // 4, half_width),
        ]
        self.buffer.copyPlanes(data, planes)
        return data

    def _converted(self) -> Pixels:
        """Other formats and odd sizes by way of RGB; browsers send neither as a rule."""
        shape = (self.height, self.width, 4)
        rgba: Pixels = np.empty(shape, np.uint8)
        self.buffer.convertTo(
            rgba.reshape(-1), "RGBA", 0, 0, self.width, self.height, 0, self.width * 4, "", False
        )
        even = VideoFrame.from_ndarray(np.ascontiguousarray(rgba[:, :, :3]))
        self.width, self.height = even.width, even.height
        return even.i420()


class LocalTracks:
    """The tracks of one local stream: made once, shared by all peers that send it."""

    def __init__(self, stream: LocalStream) -> None:
        self._video = webrtc.VideoTrackGenerator()
        self._audio = webrtc.MediaStreamTrackGenerator("audio")
        self._stream = ref(stream)  # a value must not keep its key alive
        self._users = {"audio": 0, "video": 0}
        self._subscriptions: dict[str, Subscription] = {}
        self.group = webrtc.MediaStream()
        self.content_hint = ""
        self.content_changed: set[Callable[[], None]] = set()
        stream.add_content_callback(self._set_content_hint)

    @classmethod
    def of(cls, stream: LocalStream) -> LocalTracks:
        """The tracks of this stream."""
        tracks = _tracks.get(stream)
        if tracks is None:
            tracks = _tracks[stream] = cls(stream)
        return tracks

    def track(self, kind: str) -> webrtc.MediaStreamTrack:
        """The track of this kind, ``audio`` or ``video``."""
        return self._audio if kind == "audio" else self._video.track

    def acquire(self, kind: str) -> None:
        """A connected peer begins to send the track of this kind."""
        self._users[kind] += 1
        stream = self._stream()
        if self._users[kind] == 1 and stream is not None and not stream.closed:
            self._subscriptions[kind] = (
                stream.add_audio_sink(self._write_audio)
                if kind == "audio"
                else stream.add_video_sink(self._write_video)
            )

    def release(self, kind: str) -> None:
        """A peer ends sending it."""
        self._users[kind] -= 1
        if self._users[kind] == 0 and kind in self._subscriptions:
            self._subscriptions.pop(kind).close()

    def _set_content_hint(self, hint: str) -> None:
        """With ``text`` libwebrtc scales nothing down, and no denoiser smooths edges."""
        self.content_hint = self._video.track.content_hint = hint
        for callback in tuple(self.content_changed):
            callback()

    def _write_video(self, frame: VideoFrame) -> None:
        buffer = frame.buffer if isinstance(frame, NativeVideoFrame) else native_buffer(frame)
        self._video._native.writeVideo(buffer, round(frame.timestamp * 1e6), frame.rotation)

    def _write_audio(self, frame: AudioFrame) -> None:
        samples = frame.samples
        self._audio._generator.writeAudio(
            samples.tobytes(), frame.sample_rate, frame.channels, len(samples)
        )


def native_buffer(frame: VideoFrame) -> wrtc.VideoFrameBuffer:
    """Copy a picture into libwebrtc's memory."""
    width, height = frame.width, frame.height
    size = width * height
    layout = [(0, width), (size, width // 2), (size * 5 // 4, width // 2)]
    return wrtc.VideoFrameBuffer.fromData("I420", width, height, frame.i420(), layout)


class RemoteTracks:
    """Reads the tracks of one opponent into a `RemoteStream`, while somebody listens."""

    def __init__(self) -> None:
        self.stream = RemoteStream(self._update)
        self._tracks: dict[str, webrtc.MediaStreamTrack] = {}
        self._readers: dict[str, _Reader] = {}
        self._sound_delay: SoundDelay | None = None

    def add(self, receiver: webrtc.RTCRtpReceiver) -> None:
        """The opponent has a (new) track, of the kind of this receiver."""
        track = receiver.track
        kind = str(track.kind.value)
        self._stop(kind)
        self._tracks[kind] = track
        if kind == "audio":
            self._sound_delay = SoundDelay(receiver)
        self.stream.add_track(kind)
        self._update()

    def close(self) -> None:
        """End reading and close the stream."""
        self._tracks.clear()
        self.stream.close()
        for kind in list(self._readers):
            self._stop(kind)
        if self._sound_delay is not None:
            self._sound_delay.stop()

    def _update(self) -> None:
        wanted = {"video": self.stream.wants_video, "audio": self.stream.wants_audio}
        for kind, track in self._tracks.items():
            if not wanted[kind]:
                self._stop(kind)
            elif kind not in self._readers:
                reader = _VideoReader if kind == "video" else _AudioReader
                self._readers[kind] = reader(track, self.stream, self._delay)
        if self._sound_delay is not None:
            in_step = wanted["video"] and wanted["audio"]
            (self._sound_delay.start if in_step else self._sound_delay.stop)()

    def _delay(self) -> float:
        return 0.0 if self._sound_delay is None else self._sound_delay.seconds

    def _stop(self, kind: str) -> None:
        reader = self._readers.pop(kind, None)
        if reader is not None:
            reader.close()


class _Reader(webrtc.MediaStreamTrackProcessor):
    """Hands frames to a stream as soon as the event loop learns of them.

    It goes below the processor's stream of frames: without futures, tasks and wrapper objects
    per frame, receiving costs the event loop a third.
    """

    max_queued: int

    def __init__(
        self,
        track: webrtc.MediaStreamTrack,
        stream: RemoteStream,
        sound_delay: Callable[[], float],
    ) -> None:
        self._stream: RemoteStream | None = stream
        self._sound_delay = sound_delay
        super().__init__(webrtc.MediaStreamTrackProcessorInit(track, self.max_queued))
        asyncio.get_running_loop().call_soon(self._read_all)

    def close(self) -> None:
        """Read nothing more."""
        self._stream = None
        self._native_obj.cancel()

    def _on_event(self, name: str, *_: object) -> None:
        if name == "_ready":
            self._native_obj._ackWakeup()
            self._read_all()

    def _read_all(self) -> None:
        while self._stream is not None and (item := self._native_obj.read()) is not None:
            self._hand_over(self._stream, item)

    def _hand_over(self, stream: RemoteStream, item: tuple[Any, ...]) -> None:
        raise NotImplementedError


class _VideoReader(_Reader):
    max_queued = 8

    def _hand_over(self, stream: RemoteStream, item: tuple[Any, ...]) -> None:
        buffer, timestamp_us, rotation, _ = item
        timestamp = timestamp_us / 1e6 + self._sound_delay()
        stream.deliver_video(NativeVideoFrame(buffer, timestamp, rotation))


class _AudioReader(_Reader):
    max_queued = 100

    def _hand_over(self, stream: RemoteStream, item: tuple[Any, ...]) -> None:
        data, bits, rate, channels, _, timestamp_us = item
        if bits != 16:
            return
        samples: Pcm = np.frombuffer(data, np.int16)
        if channels > 1:
            samples = samples.reshape(-1, channels)
        stream.deliver_audio(AudioFrame(samples, rate, timestamp_us / 1e6))
