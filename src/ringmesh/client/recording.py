"""Recording a call: who is in it goes into the files, and the others are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

from ringmesh.client import events
from ringmesh.client.events import Event
from ringmesh.errors import InvalidStateError, MediaError
from ringmesh.media.media_stream import MediaStream
from ringmesh.media.mixed_recorder import MixedRecorder
from ringmesh.media.recorder import Recorder, Recording
from ringmesh.media.streams import LocalStream


class _Files(Protocol):
    """What a recording writes: one file, or one per person."""

    def put(self, user_id: int, stream: MediaStream) -> None:
        """Record this stream of a person from now on, in place of the one before."""

    def remove(self, user_id: int) -> None:
        """A person has left."""

    def finish(self) -> None:
        """Begin to complete the files."""

    async def stop(self) -> list[Recording]:
        """Wait until they are complete. Raises the `MediaError` that one of them met."""


class _OneFile:
    """A composed picture and mixed sound."""

    def __init__(
        self,
        path: Path,
        *,
        video: bool,
        size: tuple[int, int],
        on_error: Callable[[MediaError], None],
    ) -> None:
        self._recorder = MixedRecorder(path, video=video, size=size, on_error=on_error)
        self.put = self._recorder.put
        self.remove = self._recorder.remove
        self.finish = self._recorder.finish

    async def stop(self) -> list[Recording]:
        return [await self._recorder.stop()]


class _Folder:
    """One file per person, ``<user id>.mkv``."""

    def __init__(self, path: Path, *, video: bool, on_error: Callable[[MediaError], None]) -> None:
        self._path = path
        self._video = video
        self._on_error = on_error
        self._recorders: dict[int, Recorder] = {}
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(f"cannot make the folder {path}: {error.strerror}") from error

    def put(self, user_id: int, stream: MediaStream) -> None:
        recorder = self._recorders.get(user_id)
        if recorder is not None:
            recorder.replace_stream(stream)
            return
        try:
            self._recorders[user_id] = Recorder(
                stream,
                self._path / f"{user_id}.mkv",
                video=self._video,
                ends_with_stream=False,
                on_error=self._on_error,
            )
        except MediaError as error:
            self._on_error(error)

    def remove(self, user_id: int) -> None:
        if user_id in self._recorders:
            self._recorders[user_id].finish()

    def finish(self) -> None:
        for recorder in self._recorders.values():
            recorder.finish()

    async def stop(self) -> list[Recording]:
        users = list(self._recorders)
        stopping = [self._recorders[user_id].stop() for user_id in users]
        results = await asyncio.gather(*stopping, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [
            replace(result, user_id=user_id)
            for user_id, result in zip(users, results, strict=True)
            if isinstance(result, Recording)
        ]


class CallRecording:
    """A recording of a call, made by `P2PSession.record`. It ends with `stop`, by leaving its
    ``async with`` block, or with the call.

    Attributes:
        path: the file or folder.
    """

    def __init__(self, path: Path, owner: RecordingOwner, size: tuple[int, int]) -> None:
        self.path = path
        self._owner = owner
        self._error: MediaError | None = None
        self._finished = False
        self._files: _Files
        if path.suffix and not path.is_dir():
            self._files = _OneFile(path, video=owner.video, size=size, on_error=self._failed)
        else:
            self._files = _Folder(path, video=owner.video, on_error=self._failed)

    async def stop(self) -> list[Recording]:
        """Complete the files and tell what was written. Idempotent.

        In a folder there is one recording for each person who was heard or seen, with their
        `user_id`. Raises the `MediaError` that ended the recording, if any.
        """
        self.finish()
        try:
            recordings = await self._files.stop()
        except MediaError:
            if self._error is None:
                raise
            recordings = []
        if self._error is not None:
            raise self._error
        return recordings

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self.stop()
            return
        with suppress(MediaError):
            await self.stop()

    # For the session.

    def put(self, user_id: int, stream: MediaStream) -> None:
        """Record this stream of a person from now on."""
        if not self._finished and not stream.closed:
            self._files.put(user_id, stream)

    def remove(self, user_id: int) -> None:
        """A person has left."""
        self._files.remove(user_id)

    def finish(self) -> None:
        """Begin to complete the files."""
        if not self._finished:
            self._finished = True
            self._files.finish()
            self._owner.ended(self)

    def _failed(self, error: MediaError) -> None:
        if self._error is None:
            self._error = error
            self.finish()
            self._owner.failed(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOwner:
    """Whom a recording belongs to.

    Attributes:
        video: whether it is a video call.
        ended: told when nothing more is recorded.
        failed: told why writing failed.
    """

    video: bool
    ended: Callable[[CallRecording], None]
    failed: Callable[[MediaError], None]


class Recordings:
    """The recordings of one call: tells them who comes and goes.

    Args:
        own_id: our user id.
        changed: told whether the others are to know that we record.
    """

    def __init__(self, own_id: int, *, changed: Callable[[bool], None]) -> None:
        self._own_id = own_id
        self._changed = changed
        self._running: list[CallRecording] = []
        self._stopping: set[asyncio.Task[None]] = set()
        self._streams: dict[int, MediaStream] = {}
        self._local: LocalStream | None = None
        self._announced = False
        self._over = False

    def announce(self, recording: bool) -> None:
        """See `P2PSession.announce_recording`."""
        self._announced = recording
        self._tell()

    def begin(
        self,
        path: str | Path,
        *,
        video: bool,
        size: tuple[int, int],
        failed: Callable[[MediaError], None],
    ) -> CallRecording:
        """See `P2PSession.record`."""
        if self._over:
            raise InvalidStateError("the call is over")
        owner = RecordingOwner(video=video, ended=self._ended, failed=failed)
        recording = CallRecording(Path(path), owner, size)
        self._running.append(recording)
        for user_id, stream in self._streams.items():
            recording.put(user_id, stream)
        self._tell()
        return recording

    def note(self, event: Event) -> None:
        """Something happened in the call."""
        match event:
            case events.LocalStreamReceived(stream):
                self.send(stream)
            case events.RemoteStreamReceived(_, user_id, stream):
                self._put(user_id, stream)
            case events.ConnectedToUser() if self._local is not None:
                # Not before: a file that nobody gets yet does not begin to play.
                self._put(self._own_id, self._local)
            case events.RemoteStreamRemoved(_, user_id, _):
                self._streams.pop(user_id, None)
                for recording in self._running:
                    recording.remove(user_id)
            case events.SessionClosed():
                self._over = True
                self._streams.clear()
                for recording in list(self._running):
                    recording.finish()

    def send(self, stream: LocalStream) -> None:
        """We send another stream."""
        self._local = stream
        if self._own_id in self._streams:
            self._put(self._own_id, stream)

    async def wait_complete(self) -> None:
        """Wait until the files of those that ended are complete."""
        await asyncio.gather(*self._stopping)

    def _put(self, user_id: int, stream: MediaStream) -> None:
        if self._streams.get(user_id) is not stream:
            self._streams[user_id] = stream
            for recording in list(self._running):
                recording.put(user_id, stream)

    def _ended(self, recording: CallRecording) -> None:
        if recording not in self._running:
            return
        self._running.remove(recording)
        task = asyncio.get_running_loop().create_task(_completed(recording), name="recording ends")
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
        self._tell()

    def _tell(self) -> None:
        self._changed(self._announced or bool(self._running))


async def _completed(recording: CallRecording) -> None:
    with suppress(MediaError):
        await recording.stop()
