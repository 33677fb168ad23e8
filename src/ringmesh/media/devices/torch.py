"""The light beside a camera."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

from ringmesh.errors import NotSupportedError
from ringmesh.media.devices.model import MediaDevice

_SET_CONTROL = 0xC008561C  # VIDIOC_S_CTRL, linux/videodev2.h
_CONTROL = struct.Struct("Ii")
_FLASH_LED_MODE = 0x009C0901  # V4L2_CID_FLASH_LED_MODE
_OFF = 0
_TORCH = 2


def set_torch(camera: MediaDevice, enabled: bool) -> None:
    """Switch the light, by V4L2's flash controls. Raises `NotSupportedError` if there is none."""
    if sys.platform != "linux" or not Path(camera.id).exists():
        raise NotSupportedError(f"the camera {camera.label!r} has no light that can be switched")
    import fcntl

    try:
        descriptor = os.open(camera.id, os.O_RDWR | os.O_NONBLOCK)
        try:
            control = _CONTROL.pack(_FLASH_LED_MODE, _TORCH if enabled else _OFF)
            fcntl.ioctl(descriptor, _SET_CONTROL, control)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise NotSupportedError(
            f"the camera {camera.label!r} has no light that can be switched ({error.strerror})"
        ) from error
