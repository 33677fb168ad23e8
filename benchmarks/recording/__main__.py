"""CPU of recording a call into one file: ``python -m benchmarks.recording``.

The floor encodes pictures and sound that were composed and mixed beforehand (libvpx and libopus
with our settings); we compose and mix everybody's pictures (640x360, 25 a second, all of them new)
and sound besides. Both make the same film, without a clock, so nothing is left out. CPU is in
cores: seconds of CPU per second of film. Every ratio compares figures of the same round.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from ringmesh.media.audio_mix import AudioMix
from ringmesh.media.composer import Composer
from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.media_file import FORMATS, MediaFileWriter
from ringmesh.media.synthetic import SyntheticVideoSource, ToneSource

SIZE = (1280, 720)
RATE = 25
PEOPLE = (1, 2, 3, 4)
AIM = 1.5

Frame = VideoFrame | AudioFrame


class People:
    """What some people send in a few seconds."""

    def __init__(self, count: int, seconds: int) -> None:
        pictures = [SyntheticVideoSource(640, 360, RATE, number) for number in range(count)]
        voices = [ToneSource(300.0 + 110 * number) for number in range(count)]
        self.pictures = [
            (
                moment / RATE,
                {number: one.make(moment / RATE) for number, one in enumerate(pictures)},
            )
            for moment in range(seconds * RATE)
        ]
        self.sound = [
            (number, voice.make(block / 50))
            for block in range(seconds * 50)
            for number, voice in enumerate(voices)
        ]

    def composed(self) -> Iterable[Frame]:
        """One picture and one sound of all of them."""
        composer, mix = Composer(*SIZE), AudioMix(0.0)
        sound = iter(self.sound)
        waiting = next(sound, None)
        for moment, pictures in self.pictures:
            picture = composer.compose(pictures, moment)
            if picture is not None:
                yield picture
            while waiting is not None and waiting[1].timestamp <= moment:
                mix.add(*waiting)
                waiting = next(sound, None)
            block = mix.take(moment)
            if block is not None:
                yield block


def cores(frames: Iterable[Frame], seconds: int) -> float:
    """Seconds of CPU per second of film that making and writing these frames takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mkv"
        begun = time.process_time()
        writer = MediaFileWriter(path.open("wb", buffering=0), FORMATS[".mkv"], size=SIZE)
        for frame in frames:
            writer.write(frame)
        writer.close()
        return (time.process_time() - begun) / seconds


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=6, help="length of the film")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'people':>6} {'cores':>7} {'encoders':>9} {'ratio':>6}")
    for count in PEOPLE:
        people = People(count, arguments.seconds)
        finished = list(people.composed())
        rounds = [
            (cores(people.composed(), arguments.seconds), cores(finished, arguments.seconds))
            for _ in range(arguments.rounds)
        ]
        ours, floor = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(one / other for one, other in rounds)
        met = "" if ratio <= AIM else f"  (aim: {AIM})"
        print(f"{count:>6} {ours:>7.3f} {floor:>9.3f} {ratio:>6.2f}{met}")


if __name__ == "__main__":
    main()
