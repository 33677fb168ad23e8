"""Writing pictures and sound with timestamps into a media file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from fractions import Fraction
from typing import IO

import av
import av.container
import av.error
import numpy as np

from ringmesh.media.audio import SAMPLE_RATE, AudioConverter
from ringmesh.media.audio_mix import Placer
from ringmesh.media.composer import fit, upright
from ringmesh.media.frames import AudioFrame, Pcm, VideoFrame

WRITE_ERRORS = (av.error.FFmpegError, OSError, ValueError)
"""What writing may raise: a full disk, an encoder that refuses."""

MAX_WAIT = 3.0
"""Seconds of one kind that are held back while the first frame of the other kind is awaited."""

BLIND_SIZE = (640, 360)
"""Width and height of a track of pictures that begins before there are any."""

_CLOCK = Fraction(1, 1000)
_BITS_PER_PIXEL = 3.0


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A container with the codecs for it, in FFmpeg's names.

    Attributes:
        options: of the container: whole pieces reach the disk twice a second, so that the file
            can be played while it is written, and whatever happens to this process.
        resizable: whether the size of pictures may change in the middle.
    """

    container: str
    video: str
    audio: str
    options: dict[str, str] = field(default_factory=dict)
    resizable: bool = False


_CLUSTERS = {"cluster_time_limit": "500", "flush_packets": "1"}
_FRAGMENTS = {
    "movflags": "hybrid_fragmented+delay_moov+default_base_moof",  # a plain file at the end
    "frag_duration": "500000",
    "flush_packets": "1",
}
FORMATS = {
    ".mkv": FileFormat("matroska", "libvpx", "libopus", _CLUSTERS, resizable=True),
    ".webm": FileFormat("webm", "libvpx", "libopus", _CLUSTERS, resizable=True),
    ".mp4": FileFormat("mp4", "libx264", "aac", _FRAGMENTS),
}
"""By extension."""

FIXED_SIZE = (1280, 720)
"""Width and height of pictures in a format that is not resizable, unless a size is given."""

_VIDEO_OPTIONS = {
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "10"},
    "libx264": {"preset": "veryfast", "tune": "zerolatency"},
}


class MediaFileWriter:
    """Encodes frames into a file. Time 0 is the timestamp of the first one.

    The header waits for the first frame of each kind that is announced, at most `MAX_WAIT`, and
    has room for all kinds that are announced by then. Methods raise what is in `WRITE_ERRORS`.
    """

    def __init__(
        self,
        file: IO[bytes],
        format: FileFormat,
        announced: Callable[[], Set[str]] = lambda: {"audio", "video"},
        *,
        size: tuple[int, int] | None = None,
    ) -> None:
        """The writer closes `file`.

        `announced` tells which of ``audio`` and ``video`` have come or will. `size` fixes width
        and height; without it they change with the pictures where the format allows it: a picture
        is made larger if it has to be, never smaller.
        """
        self.video_frames = 0
        self.size = 0
        self.origin: float | None = None
        self._file = file
        self._format = format
        self._announced = announced
        self._size = size
        self._held: list[VideoFrame | AudioFrame] = []
        self._container: av.container.OutputContainer | None = None
        self._video: av.VideoStream | None = None
        self._encoder: av.VideoCodecContext | None = None
        self._audio: av.AudioStream | None = None
        self._converter = AudioConverter(block_ms=20)
        self._placer: Placer | None = None
        self._samples = 0
        self._pts = -1

    @property
    def audio_seconds(self) -> float:
        """Seconds of sound written."""
        return self._samples / SAMPLE_RATE

    @property
    def duration(self) -> float:
        """Seconds, of the longer of the two."""
        return max(self.audio_seconds, (self._pts + 1) / 1000)

    def write(self, frame: VideoFrame | AudioFrame) -> None:
        """Add a picture, or a block of sound of any length."""
        if self.origin is None:
            self.origin = frame.timestamp
        if self._container is not None:
            self._encode(frame)
            return
        self._held.append(frame)
        came = {_kind(frame) for frame in self._held}
        if self._announced() <= came or frame.timestamp - self.origin > MAX_WAIT:
            self._begin()

    def close(self) -> None:
        """Flush the encoders, write the index and close the file."""
        with contextlib.closing(self._file):
            if self._held:
                self._begin()
            if self._container is not None:
                self._flush_video()
                if self._audio is not None:
                    self._container.mux(self._audio.encode(None))
                self._container.close()
            self.size = self._file.seek(0, os.SEEK_END)

    def _begin(self) -> None:
        """Write the header, then what was held back."""
        held, self._held = self._held, []
        kinds = self._announced() | {_kind(frame) for frame in held}
        self._container = av.open(
            self._file, "w", format=self._format.container, container_options=self._format.options
        )
        if "video" in kinds:
            pictures = (frame for frame in held if isinstance(frame, VideoFrame))
            self._add_video(self._container, next(pictures, None))
        if "audio" in kinds:
            self._add_audio(self._container)
        for frame in sorted(held, key=lambda frame: frame.timestamp):
            self._encode(frame)

    def _add_audio(self, container: av.container.OutputContainer) -> None:
        stream = container.add_stream(self._format.audio, rate=SAMPLE_RATE)
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.layout = "mono"
        stream.codec_context.bit_rate = 64_000
        self._audio = stream

    def _add_video(self, container: av.container.OutputContainer, first: VideoFrame | None) -> None:
        stream = container.add_stream(self._format.video, rate=30)
        assert isinstance(stream, av.VideoStream)
        if self._size is None and not self._format.resizable:
            self._size = FIXED_SIZE
        shown = BLIND_SIZE if first is None else (first.width, first.height)
        self._video, self._encoder = stream, stream.codec_context
        self._set_up(self._encoder, *(self._size or shown))

    def _set_up(self, encoder: av.VideoCodecContext, width: int, height: int) -> None:
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base = _CLOCK
        encoder.bit_rate = round(width * height * _BITS_PER_PIXEL)
        encoder.options = _VIDEO_OPTIONS[self._format.video]
        encoder.thread_count = 1  # libvpx's threads wait for each other in busy loops

    def _encode(self, frame: VideoFrame | AudioFrame) -> None:
        if isinstance(frame, VideoFrame):
            self._encode_video(frame)
        else:
            for block in self._converter.convert(frame):
                for samples in self._in_step(block):
                    self._encode_samples(samples)

    def _encode_video(self, frame: VideoFrame) -> None:
        if self._video is None or self.origin is None:
            return
        encoder = self._encoder_for(upright(frame))
        picture = fit(frame, encoder.width, encoder.height).to_av()
        pts = max(self._pts + 1, round((frame.timestamp - self.origin) * 1000))
        # libvpx spreads bits by duration: without one it would plan for 1000 pictures a second.
        picture.duration = min(pts - self._pts, 1000) if self._pts >= 0 else 40
        picture.pts = self._pts = pts
        picture.time_base = _CLOCK
        self.video_frames += 1
        self._mux(encoder.encode(picture))

    def _encoder_for(self, frame: VideoFrame) -> av.VideoCodecContext:
        """The encoder; a new one where this picture would have to be made smaller."""
        assert self._encoder is not None
        room = frame.width <= self._encoder.width and frame.height <= self._encoder.height
        if room or self._size is not None:
            return self._encoder
        self._flush_video()
        encoder = av.CodecContext.create(self._format.video, "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.framerate = Fraction(30)
        self._set_up(encoder, frame.width, frame.height)
        self._encoder = encoder
        return encoder

    def _flush_video(self) -> None:
        if self._encoder is not None:
            self._mux(self._encoder.encode(None))

    def _mux(self, packets: Sequence[av.Packet[av.VideoStream]]) -> None:
        assert self._container is not None
        assert self._video is not None
        for packet in packets:
            packet.stream = self._video
            self._container.mux(packet)

    def _in_step(self, block: AudioFrame) -> Iterator[Pcm]:
        """The block's samples where they belong: after silence, or without what is past."""
        assert self.origin is not None
        if self._placer is None:
            self._placer = Placer(self.origin)
        missing = self._placer.place(block) - self._samples
        length = len(block.samples)
        for start in range(0, missing, length):
            yield np.zeros(min(length, missing - start), np.int16)
        yield block.samples[max(0, -missing) :]

    def _encode_samples(self, samples: Pcm) -> None:
        if self._audio is None or self._container is None or not len(samples):
            return
        frame = AudioFrame(samples, SAMPLE_RATE).to_av()
        frame.pts, frame.time_base = self._samples, Fraction(1, SAMPLE_RATE)
        self._samples += len(samples)
        self._container.mux(self._audio.encode(frame))


def _kind(frame: VideoFrame | AudioFrame) -> str:
    return "video" if isinstance(frame, VideoFrame) else "audio"
