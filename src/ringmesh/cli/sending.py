"""What the commands send in a call."""

from __future__ import annotations

from ringmesh.cli.call_options import TEST, DeviceOptions
from ringmesh.client.session import P2PSession
from ringmesh.media.streams import LocalStream
from ringmesh.signals import CallType


def open_local_stream(send: str, call_type: CallType, *, loop: bool) -> LocalStream:
    """The stream for ``--send``. Raises `MediaError` for a file that cannot be played."""
    if send == TEST:
        return LocalStream.synthetic(video=call_type is CallType.VIDEO_CALL)
    return LocalStream.from_file(send, loop=loop)


async def prepare(session: P2PSession, stream: LocalStream, devices: DeviceOptions) -> None:
    """Let a call send this stream, or camera and microphone in its place, and use the speakers."""
    camera = devices.camera if session.call_type is CallType.VIDEO_CALL else None
    if camera is None and devices.microphone is None:
        await session.init_local_media_stream(stream)
    else:
        await session.init_local_media_stream(camera=camera, microphone=devices.microphone)
    if devices.speakers is not None:
        await session.select_audio_output(devices.speakers)
