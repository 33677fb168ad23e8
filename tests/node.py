"""Scripts for Node that use the unmodified npm SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parent / "interop" / "node"
LIMIT = 120.0


async def run_script(name: str, server: Mapping[str, object]) -> dict[str, Any]:
    """What a script of `SCRIPTS` prints; the test fails if the script does.

    Args:
        server: where the server is and what else the script wants to know, as its head says.
    """
    process = await asyncio.create_subprocess_exec(
        "node", str(SCRIPTS / name), json.dumps(server),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LIMIT):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    if process.returncode:
        pytest.fail(errors.decode())
    got: dict[str, Any] = json.loads(output)
    return got
