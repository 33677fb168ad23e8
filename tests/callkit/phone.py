"""A small application that answers calls: started by the bus, as an installed one would be."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import ringmesh
from ringmesh.callkit import CallEvent, CallKit

APPLICATION = "org.ringmesh.TestPhone"


async def main(server: str, login: str, diary: Path) -> None:
    """Answer what the user accepts; write down what happens; end with the call."""
    over = asyncio.Event()

    def note(text: str) -> None:
        with diary.open("a") as file:
            file.write(f"{text}\n")

    note("started")
    async with CallKit(APPLICATION) as kit:
        kit.on_call_incoming_when_terminated = lambda event: note(f"missed {event.caller_name}")
        kit.on_call_rejected_when_terminated = lambda event: note(f"declined {event.caller_name}")
        await kit.init()
        async with ringmesh.connect(server, login=login, password=f"{login}-demo") as me:

            async def accepted(event: CallEvent) -> None:
                note(f"accepted {event.caller_name}")
                session = me.calls.sessions[event.session_id]
                await session.accept_call()
                await session.wait_for(ringmesh.ConnectedToUser, timeout=60)
                note("connected")

            def closed(session: ringmesh.P2PSession) -> None:
                note(f"closed {session.close_reason}")
                over.set()

            kit.on_call_accepted = accepted
            kit.on_call_incoming = lambda event: note(f"incoming {event.caller_name}")
            me.calls.on_session_closed = closed
            kit.attach(me.calls)
            note("ready")
            await over.wait()
    note("ended")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
