"""What the commands send in a call."""

from __future__ import annotations

from ringmesh.cli.call_options import TEST
from ringmesh.media.streams import LocalStream
from ringmesh.signals import CallType


def open_local_stream(send: str, call_type: CallType, *, loop: bool) -> LocalStream:
    """The stream for ``--send``. Raises `MediaError` for a file that cannot be played."""
    if send == TEST:
        return LocalStream.synthetic(video=call_type is CallType.VIDEO_CALL)
    return LocalStream.from_file(send, loop=loop)
