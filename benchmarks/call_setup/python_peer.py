"""One person with the Python SDK in a process of its own, told what to do line by line.

Reads JSON commands, writes JSON facts. Times are seconds of the machine's wall clock, which all
processes share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import ringmesh
from ringmesh import CallType, P2PSession
from ringmesh.client.events import RemoteStreamReceived, SessionClosed
from ringmesh.media.streams import LocalStream


def tell(fact: str, **values: object) -> None:
    """Write one line to whoever runs this."""
    print(json.dumps({"fact": fact, "at": time.time(), **values}), flush=True)


async def first_picture(session: P2PSession) -> None:
    """Tell when the first picture of the other side has been decoded."""
    event = await session.wait_for(RemoteStreamReceived)
    async for _ in event.stream.video_frames():
        tell("picture", call=session.session_id)
        return


async def answer(session: P2PSession, local: LocalStream) -> None:
    """Tell that it rings, answer at once."""
    tell("rings", call=session.session_id)
    await session.init_local_media_stream(local)
    tell("accepts", call=session.session_id)
    await session.accept_call()
    await first_picture(session)


async def commands() -> asyncio.StreamReader:
    """Standard input as a stream."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def main(url: str, login: str, password: str) -> None:
    """Serve until standard input ends."""
    local = LocalStream.synthetic(width=640, height=480)
    watchers: set[asyncio.Task[None]] = set()

    def watch(work: asyncio.Task[None]) -> None:
        watchers.add(work)
        work.add_done_callback(watchers.discard)

    async with ringmesh.connect(url, login=login, password=password) as me:
        me.calls.on_receive_new_session = lambda session: watch(
            asyncio.create_task(answer(session, local))
        )
        tell("ready", user=me.id)
        lines = await commands()
        while line := await lines.readline():
            opponent = json.loads(line)["call"]
            session = me.calls.create_call_session(CallType.VIDEO_CALL, [opponent])
            await session.init_local_media_stream(local)
            tell("invites", call=session.session_id)
            await session.start_call()
            await first_picture(session)
            await lines.readline()  # the driver has seen both pictures
            await session.hang_up()
            await session.wait_for(SessionClosed, timeout=10)
            tell("over", call=session.session_id)
    local.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
