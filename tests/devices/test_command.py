"""``ringmesh devices`` and the options for devices."""

from __future__ import annotations

import asyncio
import sys


async def ringmesh(*arguments: str) -> str:
    """What the command prints; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringmesh.cli.main", *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()
