"""One side of the call: ``python -m benchmarks.soak.person URL LOGIN [USER_ID]``.

It ends with its input. Writes its id when it can be called, and then a line of JSON for each line
that it reads, and before that makes a report of the call if the line says ``"report"``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from pathlib import Path

import ringmesh


async def main(url: str, login: str, callee: int | None) -> None:
    """Call, or answer."""
    counts: Counter[str] = Counter()
    local = ringmesh.LocalStream.synthetic()
    rtc = ringmesh.RTCConfig(stats_reports_interval=1000)
    async with ringmesh.connect(url, login=login, password="soak-soak", rtc=rtc) as me:
        print(json.dumps({"id": me.id}), flush=True)
        if callee is None:
            session = (await me.calls.wait_for(ringmesh.ReceiveNewSession)).session
            await session.init_local_media_stream(local)
            await session.accept_call()
        else:
            session = me.calls.create_call_session(ringmesh.CallType.VIDEO_CALL, [callee])
            await session.init_local_media_stream(local)
            await session.start_call()
        remote = (await session.wait_for(ringmesh.RemoteStreamReceived, timeout=30)).stream
        remote.on_video_frame(lambda _: counts.update(["pictures"]))
        remote.on_audio(lambda _: counts.update(["blocks"]))
        quality = ""
        while line := await asyncio.to_thread(sys.stdin.readline):
            if json.loads(line) == "report":
                quality = session.report().verdict.summary
            print(json.dumps({"memory": memory(), **counts, "quality": quality}), flush=True)
        await session.hang_up()
    local.close()


def memory() -> float:
    """MiB that this process holds (resident set)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if sys.argv[3:] else None))
