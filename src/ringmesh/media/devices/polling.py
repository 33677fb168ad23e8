"""Microphones and outputs by way of miniaudio, for systems other than Linux.

Written against miniaudio's documentation, and not proven on those systems yet.
"""

from __future__ import annotations

import logging
from typing import Any

from ringmesh.errors import NotSupportedError
from ringmesh.media.devices.model import MediaDevice, MediaDeviceKind
from ringmesh.media.devices.sound import load_miniaudio

_log = logging.getLogger(__name__)


def list_sound_devices() -> tuple[MediaDevice, ...]:
    """All of them, the first of each kind being the default one; none when they cannot be had."""
    try:
        miniaudio = load_miniaudio()
        devices = miniaudio.Devices()
        inputs, outputs = devices.get_captures(), devices.get_playbacks()
    except NotSupportedError as error:
        _log.info("%s", error)
        return ()
    except miniaudio.MiniaudioError as error:
        _log.info("sound devices cannot be listed: %s", error)
        return ()
    return (
        *_as_devices(miniaudio, inputs, MediaDeviceKind.AUDIO_INPUT),
        *_as_devices(miniaudio, outputs, MediaDeviceKind.AUDIO_OUTPUT),
    )


def _as_devices(
    miniaudio: Any, found: list[dict[str, Any]], kind: MediaDeviceKind
) -> list[MediaDevice]:
    return [
        MediaDevice(
            bytes(miniaudio.ffi.buffer(item["id"])).rstrip(b"\0").hex() or "00",
            item["name"],
            kind,
            is_default=number == 0,
        )
        for number, item in enumerate(found)
    ]
