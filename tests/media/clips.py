"""Media files to play."""

from __future__ import annotations

from pathlib import Path

from ringmesh.media.media_file import FORMATS, MediaFileWriter
from ringmesh.media.synthetic import SyntheticVideoSource, ToneSource


def write_clip(
    path: Path, *, seconds: float = 1.0, audio: bool = True, video: bool = True, rate: int = 25
) -> Path:
    """Write a file with a counted picture and a tone of 440 Hz."""
    picture, tone = SyntheticVideoSource(320, 180, rate), ToneSource(440)
    kinds = {kind for kind, comes in (("audio", audio), ("video", video)) if comes}
    writer = MediaFileWriter(path.open("wb"), FORMATS[path.suffix], lambda: kinds)
    for number in range(round(seconds * 50)):
        position = number / 50
        if video and number % 2 == 0:
            writer.write(picture.make(position))
        if audio:
            writer.write(tone.make(position))
    writer.close()
    return path
