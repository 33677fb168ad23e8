"""A doorbell with a camera: rings somebody, shows the visitor, and opens if the answer says so.

python samples/doorbell/doorbell.py alice                       camera, microphone and speakers
python samples/doorbell/doorbell.py alice --camera /dev/video2  that camera
python samples/doorbell/doorbell.py alice --send porch.mp4      a file in their place
"""

import argparse
import asyncio
import contextlib
import os

import ringmesh

PATIENCE = 30  # seconds that it rings


async def open_media(
    call: ringmesh.P2PSession, camera: str, clip: str | None
) -> ringmesh.LocalStream | None:
    """Choose what is sent; a stream that we made is ours to close."""
    if clip is None:
        await call.init_local_media_stream(camera=camera, microphone="default")
        await call.select_audio_output("default")
        return None
    stream = ringmesh.LocalStream.from_file(clip, loop=True)
    await call.init_local_media_stream(stream)
    return stream


async def ring(me: ringmesh.Connection, login: str, camera: str, clip: str | None) -> bool:
    """Ring and talk. Tells whether somebody answered."""
    person = await me.users.get_by_login(login)
    call = me.calls.create_call_session(ringmesh.CallType.VIDEO_CALL, [person.id])
    stream = await open_media(call, camera, clip)
    try:
        await call.start_call({"door": "front"})
        print(f"ringing {login}", flush=True)
        with contextlib.suppress(ringmesh.InvalidStateError):  # it ends without an answer
            answer = await call.wait_for(ringmesh.CallAcceptedByUser)
            print("answered", flush=True)
            goodbye = await call.wait_for(ringmesh.ReceiveHungUpFromUser)
            if "yes" in (answer.user_info.get("open"), goodbye.user_info.get("open")):
                print("the door opens", flush=True)
            return True
        print(f"nobody comes: {call.close_reason}", flush=True)
        return False
    finally:
        await call.hang_up()
        if stream is not None:
            stream.close()


async def main() -> bool:
    """Sign in, ring once, go."""
    parser = argparse.ArgumentParser(description="Ring somebody.")
    parser.add_argument("user", help="login of who is to answer")
    parser.add_argument("--camera", metavar="ID", default="default", help="see ringmesh devices")
    parser.add_argument("--send", metavar="FILE", help="a media file in place of the camera")
    options = parser.parse_args()
    async with ringmesh.connect(
        os.environ.get("RINGMESH_SERVER", "http://localhost:8080"),
        login=os.environ.get("RINGMESH_LOGIN", "doorbell"),
        password=os.environ.get("RINGMESH_PASSWORD", "doorbell-demo"),
        rtc=ringmesh.RTCConfig(no_answer_timeout=PATIENCE),
    ) as me:
        return await ring(me, options.user, options.camera, options.send)


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)
