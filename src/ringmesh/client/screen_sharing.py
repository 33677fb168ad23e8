"""Sharing a screen or window in a call, in place of the camera."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ringmesh.errors import InvalidStateError, MediaError
from ringmesh.media.screen.capture import capture_sources, default_source, open_grabber
from ringmesh.media.screen.grabber import CaptureSource
from ringmesh.media.screen.source import ScreenSource
from ringmesh.media.streams import LocalStream


async def list_capture_sources(*, thumbnails: bool = True) -> list[CaptureSource]:
    """The screens and windows that `P2PSession.enable_screen_sharing` can share, screens first.

    Minimised windows and those of other workspaces are left out; macOS and Windows list screens
    only. On Wayland there is one source, for which the desktop asks the person what to show.
    Without `thumbnails` it is faster. Raises `NotSupportedError` where nothing can be shared:
    without a desktop, or without the extra ``devices``.
    """
    return await asyncio.to_thread(capture_sources, thumbnails=thumbnails)


class ScreenSharing:
    """What of the screen a call shows. One at a time; its session owns it."""

    def __init__(self, gone: Callable[[str], None], changed: Callable[[], None]) -> None:
        """`gone` is called on the event loop with the reason when what is shared is gone, `changed`
        when sharing begins and ends."""
        self._gone = gone
        self._changed = changed
        self._active: _Active | None = None
        self._lock = asyncio.Lock()

    @property
    def active(self) -> bool:
        """Whether something is shared."""
        return self._active is not None

    async def begin(
        self, stream: Callable[[], LocalStream], source: str | None, *, request_audio: bool
    ) -> None:
        """Share this from now on, in place of what was shared. `stream` tells where, at the end
        of the wait for the screen. Raises as `P2PSession.enable_screen_sharing` does."""
        async with self._lock:
            active = await _opened(source or default_source(), request_audio)
            try:
                local = stream()
            except InvalidStateError:
                active.close()
                raise
            before, self._active = self._active, active
            if before is not None:
                before.close()
            active.show(local, lambda error: self._on_gone(active, error))
            if before is None:
                self._changed()

    def end(self) -> None:
        """Send again what was sent before. Does nothing when nothing is shared."""
        active, self._active = self._active, None
        if active is not None:
            active.close()
            self._changed()

    def _on_gone(self, active: _Active, error: MediaError) -> None:
        if self._active is active:
            self.end()
            self._gone(str(error))


async def _opened(source: str, request_audio: bool) -> _Active:
    """Open it on a thread: the desktop may ask the person first."""
    opening = asyncio.ensure_future(asyncio.to_thread(_Active, source, request_audio))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unused)  # nobody waits for the choice any more
        raise


def _close_unused(opening: asyncio.Future[_Active]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class _Active:
    """A screen or window, opened, and the stream that shows it."""

    def __init__(self, source: str, request_audio: bool) -> None:
        grabber = open_grabber(source)
        self._sound = None
        if request_audio:
            try:
                from ringmesh.media.screen.system_audio import SystemAudio

                self._sound = SystemAudio()
            except BaseException:
                grabber.close()
                raise
        self._loop: asyncio.AbstractEventLoop | None = None
        self._when_gone: Callable[[MediaError], None] = lambda _: None
        self._source = ScreenSource(grabber, on_gone=self._hand_over)
        self._stream: LocalStream | None = None
        self._video_was_enabled = True

    def show(self, stream: LocalStream, gone: Callable[[MediaError], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._when_gone = gone
        self._stream = stream
        self._video_was_enabled = stream.video_enabled
        stream.present(self._source)
        stream.video_enabled = True
        if self._sound is not None:
            stream.mix_audio(self._sound.mix)

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None and not stream.closed:
            stream.mix_audio(None)
            stream.video_enabled = self._video_was_enabled
            stream.present(None)
        self._source.close()
        if self._sound is not None:
            self._sound.close()

    def _hand_over(self, error: MediaError) -> None:
        """From the source's thread to the event loop."""
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._when_gone, error)
