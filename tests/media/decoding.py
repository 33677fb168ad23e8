"""What a file holds, by decoding it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from ringmesh.media.file_source import from_av_audio
from ringmesh.media.frames import VideoFrame
from ringmesh.media.synthetic import read_code


@dataclass
class Contents:
    """A decoded file: pictures with their seconds, and all its sound."""

    frames: list[tuple[float, VideoFrame]]
    samples: np.ndarray
    audio_start: float

    @property
    def counters(self) -> list[int | None]:
        """The frame counters that can be read."""
        codes = [read_code(frame) for _, frame in self.frames]
        return [code.counter if code else None for code in codes]


def decoded(path: Path) -> Contents:
    """Decode a whole file."""
    frames: list[tuple[float, VideoFrame]] = []
    pieces: list[np.ndarray] = []
    audio_start = -1.0
    with av.open(str(path)) as container:
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                frames.append((frame.time, VideoFrame.from_av(frame)))
            else:
                if audio_start < 0:
                    audio_start = frame.time
                block = from_av_audio(frame, 0)
                pieces.append(block.samples if block.channels == 1 else block.samples[:, 0])
    samples = np.concatenate(pieces) if pieces else np.empty(0, np.int16)
    return Contents(frames, samples, audio_start)
