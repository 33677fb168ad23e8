"""A camera for both sides: ``python -m benchmarks.media_chain.camera FIFO WIDTHxHEIGHT@RATE``.

It draws a few seconds of pictures beforehand and writes them into a named pipe at their rate, over
and over, for whoever opens it: as a real camera's, they come into the process that shows them from
outside, by a copy.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import dataclass

import av

from ringmesh.media.frames import VideoFrame


@dataclass(frozen=True, slots=True)
class Format:
    """Of the pictures: pixels, and pictures per second."""

    width: int
    height: int
    rate: int

    @classmethod
    def parse(cls, text: str) -> Format:
        """From ``WIDTHxHEIGHT@RATE``."""
        size, rate = text.split("@")
        width, height = size.split("x")
        return cls(int(width), int(height), int(rate))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}@{self.rate}"


def drawn(wanted: Format) -> list[VideoFrame]:
    """Three seconds of pictures."""
    graph = f"testsrc2=size={wanted.width}x{wanted.height}:rate={wanted.rate}"
    with av.open(graph, format="lavfi") as container:
        frames = (VideoFrame.from_av(frame) for frame in container.decode(video=0))
        return [frame for frame, _ in zip(frames, range(3 * wanted.rate), strict=False)]


def source_of(fifo: str) -> str:
    """What PyAV opens, with the format ``lavfi``, to see the pictures of this pipe."""
    return f"movie=filename={fifo}:format_name=yuv4mpegpipe"


def main(fifo: str, wanted: Format) -> None:
    """Show without end."""
    header = f"YUV4MPEG2 W{wanted.width} H{wanted.height} F{wanted.rate}:1 Ip A1:1 C420jpeg\n"
    pictures = [b"FRAME\n" + frame.i420().tobytes() for frame in drawn(wanted)]
    while True:
        with suppress(BrokenPipeError), open(fifo, "wb") as pipe:  # noqa: PTH123
            pipe.write(header.encode())
            due = time.monotonic()
            while True:
                for picture in pictures:
                    pipe.write(picture)
                    pipe.flush()
                    due += 1 / wanted.rate
                    time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1], Format.parse(sys.argv[2]))
