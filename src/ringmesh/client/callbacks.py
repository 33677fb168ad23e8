"""Runs the application's callbacks, plain functions and coroutine functions alike.

A plain function runs at once, so events reach it in order. A coroutine becomes a task of its own:
it may take as long as it likes, and await the very object that called it, and nothing waits for it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any

_logger = logging.getLogger(__name__)

MAX_RUNNING = 256
"""Coroutine callbacks that may run at the same time; further ones are refused and logged."""


class CallbackRunner:
    """Owns the tasks of running coroutine callbacks."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, callback: Callable[..., object] | None, *arguments: object) -> None:
        """Call it. What it raises is logged and goes no further."""
        if callback is None:
            return
        try:
            result = callback(*arguments)
        except Exception:
            _logger.exception("callback %s raised", _name(callback))
            return
        if inspect.iscoroutine(result):
            self._start(result, _name(callback))

    def _start(self, coroutine: Coroutine[Any, Any, object], name: str) -> None:
        if len(self._tasks) >= MAX_RUNNING:
            coroutine.close()
            _logger.error("callback %s not run: %d callbacks are still running", name, MAX_RUNNING)
            return
        task = asyncio.create_task(_logged(coroutine, name), name=f"callback {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self, grace: float) -> None:
        """Wait up to `grace` seconds for running callbacks, then cancel the rest.

        A callback may call this itself: it is not waited for.
        """
        tasks = self._tasks - {asyncio.current_task()}
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=grace)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def _logged(coroutine: Coroutine[Any, Any, object], name: str) -> None:
    try:
        await coroutine
    except Exception:
        _logger.exception("callback %s raised", name)


def _name(callback: Callable[..., object]) -> str:
    return getattr(callback, "__qualname__", type(callback).__qualname__)
