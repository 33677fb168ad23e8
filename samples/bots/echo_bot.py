"""Answers every call and sends back what it sees and hears; several calls at a time."""

import asyncio
import contextlib
import os

import ringmesh


async def echo(call: ringmesh.P2PSession) -> None:
    """One call, from ringing to its end."""
    print(f"user {call.caller_id} calls", flush=True)
    await call.accept_call()
    received = await call.wait_for(ringmesh.RemoteStreamReceived, user_id=call.caller_id)
    stream = ringmesh.LocalStream.echo(received.stream)
    try:
        await call.replace_media_stream(stream)
        await call.wait_for(ringmesh.SessionClosed)
    finally:
        stream.close()
    print(f"the call ended: {call.close_reason}", flush=True)


async def main() -> None:
    """Sign in and wait for calls."""
    async with ringmesh.connect(
        os.environ.get("RINGMESH_SERVER", "http://localhost:8080"),
        login=os.environ.get("RINGMESH_LOGIN", "bot"),
        password=os.environ.get("RINGMESH_PASSWORD", "bot-demo"),
    ) as me:
        me.calls.on_receive_new_session = echo
        print(f"{me.user.name} is waiting for calls", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
