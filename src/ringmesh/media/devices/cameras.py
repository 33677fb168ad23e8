"""Which cameras there are."""

from __future__ import annotations

import logging
import os
import struct
import sys
from pathlib import Path

import av
import av.error

from ringmesh.media.devices.model import CameraPosition, MediaDevice, MediaDeviceKind

DEVICE_FOLDER = Path("/dev")
SYSTEM_FOLDER = Path("/sys/class/video4linux")

_QUERY_CAPABILITIES = 0x80685600  # VIDIOC_QUERYCAP, linux/videodev2.h
_CAPABILITIES = struct.Struct("16s32s32sIII12x")
_VIDEO_CAPTURE = 0x1 | 0x1000  # V4L2_CAP_VIDEO_CAPTURE, V4L2_CAP_VIDEO_CAPTURE_MPLANE
_HAS_NODE_CAPABILITIES = 0x80000000

_log = logging.getLogger(__name__)


def input_format() -> str:
    """FFmpeg's name of what opens a camera on this system."""
    return {"linux": "v4l2", "darwin": "avfoundation"}.get(sys.platform, "dshow")


def list_cameras() -> tuple[MediaDevice, ...]:
    """All cameras; the first is the default one. Blocks for a moment."""
    if sys.platform == "linux":
        return list_v4l2_cameras()
    try:
        devices = av.enumerate_input_devices(input_format())
    except (av.error.FFmpegError, ValueError) as error:
        _log.info("cameras cannot be listed: %s", error)
        return ()
    found = []
    for device in devices:
        if "video" in device.media_types:
            camera_id = f"video={device.name}" if input_format() == "dshow" else device.name
            found.append((camera_id, device.description or device.name, None))
    return _as_devices(found)


def list_v4l2_cameras(
    device_folder: Path = DEVICE_FOLDER, system_folder: Path = SYSTEM_FOLDER
) -> tuple[MediaDevice, ...]:
    """Those of Linux, by the links in ``v4l/by-id`` that keep their names, where there are."""
    lasting: dict[str, str] = {}
    for link in sorted(device_folder.glob("v4l/by-id/*")):
        lasting.setdefault(link.resolve().name, str(link))
    found = []
    for node in sorted(device_folder.glob("video[0-9]*"), key=lambda path: int(path.name[5:])):
        label = camera_label(node)
        if label is not None:
            position = panel_position(system_folder / node.name / "device")
            found.append((lasting.get(node.name, str(node)), label, position))
    return _as_devices(found)


def camera_label(node: Path) -> str | None:
    """What the driver calls a camera; None for what is no camera, or may not be opened."""
    import fcntl

    answer = bytearray(_CAPABILITIES.size)
    try:
        descriptor = os.open(node, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.ioctl(descriptor, _QUERY_CAPABILITIES, answer)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return label_from(bytes(answer), node.name)


def label_from(answer: bytes, fallback: str) -> str | None:
    """The label in a driver's answer; None when the node gives no pictures."""
    _, card, _, _, whole, node = _CAPABILITIES.unpack(answer)
    if not (node if whole & _HAS_NODE_CAPABILITIES else whole) & _VIDEO_CAPTURE:
        return None
    return card.split(b"\0")[0].decode("utf-8", "replace").strip() or fallback


def panel_position(device: Path) -> CameraPosition | None:
    """Which side of the machine a device sits on, as its firmware says, if it does."""
    try:
        folder = device.resolve(strict=True)
    except OSError:
        return None
    for place in (folder, *folder.parents):
        try:
            return CameraPosition((place / "physical_location" / "panel").read_text().strip())
        except (OSError, ValueError):
            continue
    return None


def _as_devices(
    found: list[tuple[str, str, CameraPosition | None]],
) -> tuple[MediaDevice, ...]:
    return tuple(
        MediaDevice(camera_id, label, MediaDeviceKind.VIDEO_INPUT, position, is_default=number == 0)
        for number, (camera_id, label, position) in enumerate(found)
    )
