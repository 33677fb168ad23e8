"""Handing items from any thread to a callback on the event loop, through a bounded queue."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Handover(Generic[T]):
    """Calls `callback` on the event loop with every item put, in order, one at a time.

    A coroutine is awaited before the next item is taken. While it, or the loop, is busy, at most
    `max_queued` items wait and the oldest is dropped. What the callback raises is logged once.
    """

    def __init__(self, callback: Callable[[T], Awaitable[None] | None], max_queued: int) -> None:
        self._callback = callback
        self._queue: deque[T] = deque(maxlen=max(1, max_queued))
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._scheduled = False
        self._awaiting: asyncio.Future[None] | None = None
        self._complained = False
        self._closed = False

    def put(self, item: T) -> None:
        """Add an item, on any thread."""
        self._queue.append(item)
        if threading.get_ident() == self._thread:
            self._drain()
        elif not self._scheduled:
            self._scheduled = True
            try:
                self._loop.call_soon_threadsafe(self._drain)
            except RuntimeError:  # the loop is closed: nobody is left to tell
                self._closed = True

    def close(self) -> None:
        """Forget what waits and cancel a coroutine that runs. On the event loop."""
        self._closed = True
        self._queue.clear()
        if self._awaiting is not None:
            self._awaiting.cancel()

    def _drain(self) -> None:
        # Cleared first: an item appended after this line schedules another drain.
        self._scheduled = False
        while self._queue and self._awaiting is None and not self._closed:
            try:
                result = self._callback(self._queue.popleft())
            except Exception:
                self._complain()
                continue
            if result is not None:
                self._awaiting = asyncio.ensure_future(result)
                self._awaiting.add_done_callback(self._awaited)

    def _awaited(self, future: asyncio.Future[None]) -> None:
        self._awaiting = None
        if not future.cancelled() and future.exception() is not None:
            self._complain(future.exception())
        self._drain()

    def _complain(self, error: BaseException | None = None) -> None:
        if not self._complained:
            self._complained = True
            _log.error("a media callback failed: %r", self._callback, exc_info=error or True)
