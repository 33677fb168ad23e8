"""``ringmesh devices`` and the options for devices."""

from __future__ import annotations

import asyncio
import json
import sys

import ringmesh
from ringmesh import CallType, LocalStream
from ringmesh.server.app import Server
from tests.devices.calls import OTHER_TONE, PICTURE, plays
from tests.devices.sound_server import SoundServer

LIMIT = 60.0


async def start(*arguments: str) -> asyncio.subprocess.Process:
    """Start a ``ringmesh`` command."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from ringmesh.cli.main import main; main()", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def output_of(*arguments: str) -> str:
    """What a command that ends well prints."""
    process = await start(*arguments)
    output, errors = await asyncio.wait_for(process.communicate(), LIMIT)
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def until_said(process: asyncio.subprocess.Process, line: str) -> None:
    """Wait until a command reports this as progress."""
    assert process.stderr is not None
    said: list[str] = []
    async with asyncio.timeout(LIMIT):
        while line not in said:
            raw = await process.stderr.readline()
            assert raw, f"the command ended, having said {said}"
            said.append(raw.decode().strip())


async def test_devices_are_listed(sound: SoundServer) -> None:
    """As a table for people, and as JSON for programs."""
    await sound.plug_microphone("headset", 500)
    await sound.plug_output("box", "speaker")
    table, found = await asyncio.gather(output_of("devices"), output_of("devices", "--json"))
    assert "headset" in table
    devices = {device["id"]: device for device in json.loads(found)}
    assert devices["headset"]["kind"] == "audioinput"
    assert devices["speakers"]["default"]
    assert devices["box"] == {
        "kind": "audiooutput",
        "id": "box",
        "label": "box",
        "position": None,
        "default": False,
        "form_factor": "speaker",
    }


async def test_a_call_with_devices(sound: SoundServer, service: Server) -> None:
    """``ringmesh answer`` uses camera, microphone and speakers that it is given."""
    await sound.plug_microphone("headset", 500)
    address = ("--server", service.url, "--login", "carol", "--password", "correct horse")
    devices = ("--camera", PICTURE, "--microphone", "headset", "--speakers", "default")
    async with ringmesh.connect(service.url, login="carol", password="correct horse") as carol:
        number = carol.id
    answering = await start("answer", *address, "--once", *devices)
    stream = LocalStream.synthetic(tone_hz=OTHER_TONE)
    try:
        async with ringmesh.connect(service.url, login="dave", password="correct horse") as me:
            session = me.calls.create_call_session(CallType.VIDEO_CALL, [number])
            await session.init_local_media_stream(stream)
            await session.start_call()
            await session.wait_for(ringmesh.CallAcceptedByUser, timeout=LIMIT)
            await plays(sound, "speakers", OTHER_TONE)
            received = await session.wait_for(ringmesh.RemoteStreamReceived, timeout=LIMIT)
            async for frame in received.stream.video_frames():
                if frame.width == 320 and frame.luma().std() > 20:
                    break
            await until_said(answering, "dave: connected")
            await session.hang_up()
        _, errors = await asyncio.wait_for(answering.communicate(), LIMIT)
        assert answering.returncode == 0, errors.decode()
    finally:
        stream.close()
        if answering.returncode is None:
            answering.kill()
            await answering.wait()
