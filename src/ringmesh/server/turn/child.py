"""A child process that is kept alive and does not outlive us."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Sequence

import structlog

from ringmesh.errors import ConfigurationError

FIRST_PAUSE = 1.0
MAX_PAUSE = 60.0
"""Seconds before a restart; each one doubles them, as long as the process dies at once."""

STEADY = 60.0
"""Seconds of life after which a death counts as the first one again."""

STOP_LIMIT = 5.0
"""Seconds to end after SIGTERM."""

MAX_LINE = 16_384

_logger = structlog.get_logger(__name__)


class Child:
    """Runs a command, again whenever it ends, until `stop`.

    Args:
        on_line: gets each line that it writes.
        user: name of the user to run as; needs root. It keeps the right to open low ports.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        on_line: Callable[[str], None],
        user: str | None = None,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._command = [*_wrapper(user), *command]
        self._on_line = on_line
        self._first_pause = first_pause
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process is not None else None

    async def start(self) -> None:
        """Start it the first time. Raises `ConfigurationError` when it cannot be executed."""
        try:
            self._process = await self._spawn()
        except OSError as error:
            raise ConfigurationError(f"cannot run {self._command[0]}: {error.strerror}") from error
        self._task = asyncio.create_task(self._supervise(self._process), name="relay")

    async def stop(self) -> None:
        """End it. Idempotent."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_LIMIT):
                await self._drain(process)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _supervise(self, process: Process) -> None:
        loop = asyncio.get_running_loop()
        pause = self._first_pause
        while True:
            begun = loop.time()
            await self._drain(process)
            if loop.time() - begun > STEADY:
                pause = self._first_pause
            _logger.error("relay ended", status=process.returncode, restart_in_seconds=pause)
            process = await self._restart(pause)
            pause = min(2 * pause, MAX_PAUSE)

    async def _restart(self, pause: float) -> Process:
        while True:
            await asyncio.sleep(pause)
            try:
                self._process = await self._spawn()
            except OSError as error:
                _logger.error("relay cannot be started", reason=error.strerror)
                pause = MAX_PAUSE
            else:
                self.restarts += 1
                return self._process

    async def _spawn(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            limit=MAX_LINE,
            start_new_session=True,  # Ctrl-C is for us, we end it ourselves
        )

    async def _drain(self, process: Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than MAX_LINE, and dropped
                continue
            if not line:
                break
            self._on_line(line.decode(errors="replace").rstrip())
        with contextlib.suppress(ProcessLookupError):
            await process.wait()


def _wrapper(user: str | None) -> list[str]:
    """Words before the command: end it when we die, however that happens, and as whom to run."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return []
    words = [setpriv, "--pdeathsig", "TERM"]
    if user is not None:
        right = "+net_bind_service"
        words += ["--reuid", user, "--regid", user, "--clear-groups"]
        words += ["--inh-caps", right, "--ambient-caps", right]
    return [*words, "--"]
