"""Recording several streams into one file: a composed picture and mixed sound."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path

from ringmesh.errors import ConfigurationError, MediaError
from ringmesh.media.audio_mix import AudioMix
from ringmesh.media.composer import Composer
from ringmesh.media.frames import MAX_SIDE, MIN_SIDE, AudioFrame, VideoFrame
from ringmesh.media.media_stream import MediaStream, Subscription
from ringmesh.media.recorder import FileRecorder

SIZE = (1280, 720)
"""Width and height of the composed picture."""

FRAME_RATE = 25
"""Composed pictures a second, at most."""

MIN_DELAY, MAX_DELAY = 0.1, 0.8
"""Seconds after which a moment is written: as soon as everybody's sound is there."""

MAX_BEHIND = 0.4
"""Seconds that the composer may be behind before it leaves pictures out."""

STILL_INTERVAL = 0.5
"""Seconds after which a picture that does not change is written again."""

MAX_PICTURES, MAX_BLOCKS = 40, 200
"""What may wait of each person; the oldest is dropped."""

_TICK = 1 / FRAME_RATE


@dataclass(eq=False)
class _Part:
    """What one person sends."""

    key: Hashable
    stream: MediaStream
    pictures: deque[VideoFrame] = field(default_factory=lambda: deque(maxlen=MAX_PICTURES))
    blocks: deque[AudioFrame] = field(default_factory=lambda: deque(maxlen=MAX_BLOCKS))
    shown: VideoFrame | None = None
    subscriptions: list[Subscription] = field(default_factory=list)

    def attach(self) -> None:
        """Begin to take in what comes."""
        self.subscriptions = [
            self.stream.add_video_sink(self.pictures.append),
            self.stream.add_audio_sink(self.blocks.append),
        ]

    def detach(self) -> None:
        """Take nothing more in."""
        for subscription in self.subscriptions:
            subscription.close()

    def picture_at(self, moment: float) -> VideoFrame | None:
        """The picture that is nearest to a moment, or before it."""
        while self.pictures and self.pictures[0].timestamp <= moment + _TICK / 2:
            self.shown = self.pictures.popleft()
        return self.shown


class MixedRecorder(FileRecorder):
    """Records streams that come and go: everybody in a grid, and the sound of all of them."""

    def __init__(
        self,
        path: str | Path,
        *,
        video: bool = True,
        size: tuple[int, int] = SIZE,
        on_error: Callable[[MediaError], None] | None = None,
    ) -> None:
        """Open (and overwrite) the file. On the event loop.

        Without `video` there is sound only. `on_error` is called on the event loop, once, when
        writing fails later (disk full): the recording ends there. Raises `MediaError` when the
        path cannot be written or its extension is not known, `ConfigurationError` for an impossible
        size.
        """
        if not all(side % 2 == 0 and MIN_SIDE <= side <= MAX_SIDE for side in size):
            raise ConfigurationError(
                f"width and height are even, {MIN_SIDE} to {MAX_SIDE} pixels, not {size}"
            )
        kinds = frozenset(("audio", "video") if video else ("audio",))
        super().__init__(path, lambda: kinds, size=size, on_error=on_error)
        self._video = video
        self._composer = Composer(*size)
        self._mix: AudioMix | None = None
        self._origin = 0.0
        self._parts: dict[Hashable, _Part] = {}
        self._gone: deque[Hashable] = deque()
        self._stopped = threading.Event()
        self._next = 0
        self._written_at = 0.0
        self._start()

    def put(self, key: Hashable, stream: MediaStream) -> None:
        """Record this stream, in place of the one with this key, if any. On the event loop."""
        if self._finishing:
            return
        part = _Part(key, stream)
        before = self._parts.get(key)
        if before is not None:
            before.detach()
            part.shown = before.shown
        self._parts = {**self._parts, key: part}
        part.attach()

    def remove(self, key: Hashable) -> None:
        """Record nothing more of this one. On the event loop."""
        part = self._parts.get(key)
        if part is not None:
            part.detach()
            self._parts = {other: item for other, item in self._parts.items() if other != key}
            self._gone.append(key)

    def _detach(self) -> None:
        for part in self._parts.values():
            part.detach()
        self._stopped.set()

    def _write_all(self) -> None:
        while not self._stopped.wait(_TICK):
            self._advance(time.monotonic(), MIN_DELAY)
        self._advance(time.monotonic(), 0.0)

    def _advance(self, now: float, delay: float) -> None:
        """Write what is due."""
        parts = list(self._parts.values())
        if self._mix is None and not self._begin(parts):
            return
        assert self._mix is not None
        while self._gone:
            self._mix.remove(self._gone.popleft())
        for part in parts:
            while part.blocks:
                self._mix.add(part.key, part.blocks.popleft())
        heard = self._mix.heard_until()
        latest = now - delay
        until = latest if heard is None else max(now - MAX_DELAY, min(heard, latest))
        if self._video:
            self._write_pictures(parts, until)
        sound = self._mix.take(until)
        if sound is not None:
            self._writer.write(sound)

    def _begin(self, parts: list[_Part]) -> bool:
        """Time 0 is the first frame of all."""
        first = [
            waiting[0].timestamp
            for part in parts
            for waiting in (part.pictures, part.blocks)
            if waiting
        ]
        if not first:
            return False
        self._origin = min(first)
        self._mix = AudioMix(self._origin)
        return True

    def _write_pictures(self, parts: list[_Part], until: float) -> None:
        last = int((until - self._origin) * FRAME_RATE)
        if (last - self._next) * _TICK > MAX_BEHIND:
            self._dropped += last - self._next
            self._next = last
        while self._next <= last:
            moment = self._origin + self._next * _TICK
            self._next += 1
            pictures = {part.key: part.picture_at(moment) for part in parts}
            picture = self._composer.compose(pictures, moment)
            if picture is None and moment - self._written_at >= STILL_INTERVAL:
                picture = self._composer.still(moment)
            if picture is not None:
                self._written_at = moment
                self._writer.write(picture)
