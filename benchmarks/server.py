"""The whole server in a process of its own, as `ringmesh serve` runs it, for benchmarks."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

START_LIMIT = 30.0  # seconds


@asynccontextmanager
async def serving(data_dir: Path, port: int = 18080) -> AsyncIterator[str]:
    """Run a server over this folder; yields its URL."""
    ringmesh = Path(sys.executable).with_name("ringmesh")
    process = await asyncio.create_subprocess_exec(
        *(str(ringmesh), "serve", "--data", str(data_dir), "--port", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(START_LIMIT), httpx2.AsyncClient() as client:
            while process.returncode is None:
                try:
                    await client.get(f"{url}/health")
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
        if process.returncode is not None:
            raise RuntimeError(f"ringmesh serve stopped at once with {process.returncode}")
        yield url
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.wait()
