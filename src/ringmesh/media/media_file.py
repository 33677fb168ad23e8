"""Writing pictures and sound with timestamps into a media file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import IO

import av
import av.container
import av.error
import numpy as np

from ringmesh.media.audio import SAMPLE_RATE, AudioConverter, to_av_audio
from ringmesh.media.frames import AudioFrame, Pcm, Pixels, VideoFrame

WRITE_ERRORS = (av.error.FFmpegError, OSError, ValueError)
"""What writing may raise: a full disk, an encoder that refuses."""

MAX_WAIT = 3.0
"""Seconds of one kind that are held back while the first frame of the other kind is awaited."""

MAX_DRIFT = 0.06
"""Seconds that sound may be off before silence is put in or sound is left out."""

_CLOCK = Fraction(1, 1000)
_BITS_PER_PIXEL = 3.0


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A container with the codecs for it, in FFmpeg's names."""

    container: str
    video: str
    audio: str


_MATROSKA = FileFormat("matroska", "libvpx", "libopus")
FORMATS = {
    ".mkv": _MATROSKA,
    ".webm": FileFormat("webm", "libvpx", "libopus"),
    ".mp4": FileFormat("mp4", "libx264", "aac"),
}
"""By extension."""

_VIDEO_OPTIONS = {
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "10"},
    "libx264": {"preset": "veryfast", "tune": "zerolatency"},
}


class MediaFileWriter:
    """Encodes frames into a file. Time 0 is the timestamp of the first one.

    The header waits for the first frame of each kind that was announced, at most `MAX_WAIT`; a
    kind that comes later is left out. Methods raise what is in `WRITE_ERRORS`.
    """

    def __init__(
        self,
        file: IO[bytes],
        format: FileFormat,
        *,
        audio: bool = True,
        video: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        """`audio` and `video` announce what will come; the writer closes `file`."""
        self.video_frames = 0
        self.size = 0
        self._file = file
        self._format = format
        self._awaited = {kind for kind, comes in (("audio", audio), ("video", video)) if comes}
        self._size = size
        self._origin: float | None = None
        self._held: list[VideoFrame | AudioFrame] = []
        self._container: av.container.OutputContainer | None = None
        self._video: av.VideoStream | None = None
        self._audio: av.AudioStream | None = None
        self._converter = AudioConverter(block_ms=20)
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

    def write_video(self, frame: VideoFrame) -> None:
        """Add a picture."""
        self._write(frame, "video")

    def write_audio(self, frame: AudioFrame) -> None:
        """Add a block of sound of any length."""
        self._write(frame, "audio")

    def close(self) -> None:
        """Flush the encoders, write the index and close the file."""
        with contextlib.closing(self._file):
            self._begin()
            if self._container is not None:
                for stream in (self._video, self._audio):
                    if stream is not None:
                        self._container.mux(stream.encode(None))
                self._container.close()
            self.size = self._file.tell()

    def _write(self, frame: VideoFrame | AudioFrame, kind: str) -> None:
        if self._origin is None:
            self._origin = frame.timestamp
        if self._container is None:
            self._held.append(frame)
            self._awaited.discard(kind)
            if not self._awaited or frame.timestamp - self._origin > MAX_WAIT:
                self._begin()
        else:
            self._encode(frame)

    def _begin(self) -> None:
        """Write the header for the kinds that came, then what was held back."""
        held, self._held = self._held, []
        if not held or self._container is not None:
            return
        pictures = [frame for frame in held if isinstance(frame, VideoFrame)]
        container = av.open(self._file, "w", format=self._format.container)
        if pictures:
            self._video = self._add_video(container, pictures[0])
        if len(pictures) < len(held):
            self._audio = self._add_audio(container)
        self._container = container
        for frame in sorted(held, key=lambda frame: frame.timestamp):
            self._encode(frame)

    def _add_audio(self, container: av.container.OutputContainer) -> av.AudioStream:
        stream = container.add_stream(self._format.audio, rate=SAMPLE_RATE)
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.layout = "mono"
        stream.codec_context.bit_rate = 64_000
        return stream

    def _add_video(
        self, container: av.container.OutputContainer, first: VideoFrame
    ) -> av.VideoStream:
        upright = _upright(first)
        width, height = self._size or (upright.width, upright.height)
        stream = container.add_stream(
            self._format.video, rate=30, options=_VIDEO_OPTIONS[self._format.video]
        )
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base = _CLOCK
        context.bit_rate = round(width * height * _BITS_PER_PIXEL)
        return stream

    def _encode(self, frame: VideoFrame | AudioFrame) -> None:
        if isinstance(frame, VideoFrame):
            self._encode_video(frame)
        else:
            for block in self._converter.convert(frame):
                for samples in self._in_step(block):
                    self._encode_samples(samples)

    def _encode_video(self, frame: VideoFrame) -> None:
        if self._video is None or self._container is None or self._origin is None:
            return
        size = (self._video.codec_context.width, self._video.codec_context.height)
        picture = fit(_upright(frame), *size).to_av()
        pts = max(self._pts + 1, round((frame.timestamp - self._origin) * 1000))
        # libvpx spreads bits by duration: without one it would plan for 1000 pictures a second.
        picture.duration = min(pts - self._pts, 1000) if self._pts >= 0 else 40
        picture.pts = self._pts = pts
        picture.time_base = _CLOCK
        self.video_frames += 1
        self._container.mux(self._video.encode(picture))

    def _in_step(self, block: AudioFrame) -> Iterator[Pcm]:
        """The block's samples, with silence before them where some are missing."""
        assert self._origin is not None
        missing = round((block.timestamp - self._origin) * SAMPLE_RATE) - self._samples
        if missing < -MAX_DRIFT * SAMPLE_RATE:
            return
        if missing > MAX_DRIFT * SAMPLE_RATE or (self._samples == 0 and missing > 0):
            length = len(block.samples)
            for _ in range(round(missing / length)):
                yield np.zeros(length, np.int16)
        yield block.samples

    def _encode_samples(self, samples: Pcm) -> None:
        if self._audio is None or self._container is None:
            return
        frame = to_av_audio(AudioFrame(samples, SAMPLE_RATE))
        frame.pts, frame.time_base = self._samples, Fraction(1, SAMPLE_RATE)
        self._samples += len(samples)
        self._container.mux(self._audio.encode(frame))


def fit(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """Scale a picture into a size, keeping its shape, with black bars around it."""
    if (frame.width, frame.height) == (width, height):
        return frame
    scale = min(width / frame.width, height / frame.height)
    inner_width = max(2, round(frame.width * scale / 2) * 2)
    inner_height = max(2, round(frame.height * scale / 2) * 2)
    scaled = frame.to_av().reformat(inner_width, inner_height, "yuv420p")
    small = VideoFrame.from_av(scaled, timestamp=frame.timestamp)
    canvas = VideoFrame.black(width, height, timestamp=frame.timestamp)
    left, top = (width - inner_width) // 4 * 2, (height - inner_height) // 4 * 2
    for big, part, shift in zip(_planes(canvas), _planes(small), (1, 2, 2), strict=True):
        rows, columns = part.shape
        big[top // shift : top // shift + rows, left // shift : left // shift + columns] = part
    return canvas


def _upright(frame: VideoFrame) -> VideoFrame:
    """The picture turned as it is to be shown."""
    if frame.rotation == 0:
        return frame
    turned = [np.rot90(plane, -frame.rotation // 90).reshape(-1) for plane in _planes(frame)]
    sideways = frame.rotation in (90, 270)
    width, height = (frame.height, frame.width) if sideways else (frame.width, frame.height)
    return VideoFrame(np.concatenate(turned), width, height, timestamp=frame.timestamp)


def _planes(frame: VideoFrame) -> tuple[Pixels, Pixels, Pixels]:
    data, width, height = frame.i420(), frame.width, frame.height
    size, quarter = width * height, width * height // 4
    half = (height // 2, width // 2)
    return (
        data[:size].reshape(height, width),
        data[size : size + quarter].reshape(half),
        data[size + quarter :].reshape(half),
    )
