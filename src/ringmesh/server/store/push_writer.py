"""Group commit: what waits to be written goes into one transaction."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine

_T = TypeVar("_T")
_Work: TypeAlias = Callable[[Connection], Any]
_Result: TypeAlias = tuple[Any, Exception | None]

_MOST = 64
"""Pieces of work in one transaction, so that the first ones do not wait for long."""


class GroupWriter:
    """Writes in one thread: SQLite's writers who wait for each other sleep for too long.

    While a transaction runs, work gathers for the next one. Under load that saves not only
    commits: each visit to the thread waits for the interpreter's lock, of which the event loop
    lets go least when there is most to do.

    Args:
        engine: its transactions are those that write.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="push store")
        self._waiting: deque[tuple[_Work, asyncio.Future[Any]]] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """Do some work in a transaction, after all that was asked for before; its result, when it
        is committed.

        Args:
            work: runs in the thread, and once more if others' work in the same transaction fails.

        Raises what the work or the database raises, and `RuntimeError` after `close`.
        """
        done: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="push store")
        return await done

    async def close(self) -> None:
        """End the thread, after what is under way."""
        if self._writing is not None:
            await asyncio.wait({self._writing})  # goes on even if we are cancelled
        await asyncio.to_thread(self._thread.shutdown)

    async def _write(self) -> None:
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(_MOST, len(self._waiting)))]
                group = [(work, done) for work, done in group if not done.cancelled()]
                results = await self._in_thread([work for work, _ in group])
                for (_, done), (value, error) in zip(group, results, strict=True):
                    if done.cancelled():
                        continue
                    if error is None:
                        done.set_result(value)
                    else:
                        done.set_exception(error)
        finally:
            self._writing = None

    async def _in_thread(self, works: Sequence[_Work]) -> list[_Result]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._together, works)
        except Exception as error:  # the thread has ended
            return [(None, error)] * len(works)

    def _together(self, works: Sequence[_Work]) -> list[_Result]:
        if len(works) < 2:
            return [self._alone(work) for work in works]
        begun = False
        try:
            with self._engine.begin() as connection:
                begun = True
                return [(work(connection), None) for work in works]
        except Exception as error:
            if not begun:  # nobody's fault, and each would wait as long for a locked database
                return [(None, error)] * len(works)
        # Whose it is shows when each has a transaction of its own.
        return [self._alone(work) for work in works]

    def _alone(self, work: _Work) -> _Result:
        try:
            with self._engine.begin() as connection:
                return work(connection), None
        except Exception as error:
            return None, error
