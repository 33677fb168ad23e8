"""Running a command's coroutine, and ending it in order when asked to."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from ringmesh.cli.exit_code import ExitCode


def run(command: Coroutine[Any, Any, ExitCode]) -> None:
    """Run it and leave with its exit code. Ctrl-C cancels it unless it uses `on_interrupt`."""
    try:
        code = asyncio.run(command)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    raise typer.Exit(code)


@contextmanager
def on_interrupt(callback: Callable[[], object]) -> Iterator[None]:
    """Call this on the event loop for each Ctrl-C or SIGTERM, instead of what is usual."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(callback)) for number in numbers
    ]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


async def first_of(*awaitables: Awaitable[object]) -> object:
    """The result of what is done first; the others are cancelled. Raises what that one raised."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return done.pop().result()
