"""Devices as values, and which of them is to be used. Terms of W3C Media Capture and Streams."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ringmesh.errors import ConfigurationError

DEFAULT_DEVICE = "default"
"""The id that stands for whichever device the system has as its default."""

VIRTUAL_CAMERA = "lavfi:"
"""What the ids of cameras begin with that are FFmpeg filter graphs, for instance
``lavfi:testsrc2=size=640x480:rate=25``. They are never listed and always there."""

LOUDSPEAKERS = frozenset({"speaker", "internal", "hifi", "tv", "computer", "portable"})
"""Form factors of outputs that everybody in the room hears (freedesktop's words)."""

EARPIECES = frozenset({"headset", "headphone", "handset", "hands-free"})
"""Form factors of outputs that one person hears."""

_MAX_ID_LENGTH = 1000


class MediaDeviceKind(Enum):
    """What a device is for; the values are W3C's."""

    AUDIO_INPUT = "audioinput"
    AUDIO_OUTPUT = "audiooutput"
    VIDEO_INPUT = "videoinput"

    @property
    def noun(self) -> str:
        """The word for it in a sentence."""
        return _NOUNS[self]


_NOUNS = {
    MediaDeviceKind.AUDIO_INPUT: "microphone",
    MediaDeviceKind.AUDIO_OUTPUT: "sound output",
    MediaDeviceKind.VIDEO_INPUT: "camera",
}


class CameraPosition(Enum):
    """Which way a camera looks."""

    FRONT = "front"
    """Towards the person who uses the machine."""
    BACK = "back"


@dataclass(frozen=True, slots=True)
class MediaDevice:
    """A camera, a microphone or an output of sound.

    Attributes:
        id: names it on this machine, as long as it is plugged in at least.
        label: what a person calls it.
        position: of a camera, where known.
        is_default: whether the system uses it where nothing else was chosen.
        form_factor: of a device for sound, where known: ``speaker``, ``headset``, ``webcam`` and
            so on, in freedesktop's words.
        instance: of a device for sound, another one each time it is plugged in.
    """

    id: str
    label: str
    kind: MediaDeviceKind
    position: CameraPosition | None = None
    is_default: bool = False
    form_factor: str = ""
    instance: str = field(default="", repr=False)


def of_kind(devices: Iterable[MediaDevice], kind: MediaDeviceKind) -> tuple[MediaDevice, ...]:
    """Those of one kind, in their order."""
    return tuple(device for device in devices if device.kind is kind)


def find(devices: Iterable[MediaDevice], kind: MediaDeviceKind, device_id: str) -> MediaDevice:
    """The device with this id. Raises `ConfigurationError`, naming those there are."""
    check_device_id(device_id)
    found = resolve(devices, kind, device_id)
    if found is None or device_id not in (found.id, DEFAULT_DEVICE):
        known = ", ".join(device.id for device in of_kind(devices, kind)) or "none"
        raise ConfigurationError(f"there is no {kind.noun} {device_id!r}; there are: {known}")
    return found


def resolve(
    devices: Iterable[MediaDevice],
    kind: MediaDeviceKind,
    wanted: str,
    unusable: Collection[str] = (),
) -> MediaDevice | None:
    """The wanted device while it is there, else the default one, else the first, else None."""
    virtual = kind is MediaDeviceKind.VIDEO_INPUT and wanted.startswith(VIRTUAL_CAMERA)
    if virtual and wanted not in unusable:
        return MediaDevice(wanted, wanted.removeprefix(VIRTUAL_CAMERA), kind)
    usable = [device for device in of_kind(devices, kind) if device.id not in unusable]
    return min(
        usable,
        key=lambda device: (device.id != wanted, not device.is_default),
        default=None,
    )


def next_camera(devices: Iterable[MediaDevice], current: str | None) -> MediaDevice:
    """The camera that follows this one in the list. Raises `ConfigurationError` without any."""
    cameras = of_kind(devices, MediaDeviceKind.VIDEO_INPUT)
    if not cameras:
        raise ConfigurationError("there is no camera on this machine")
    ids = [camera.id for camera in cameras]
    return cameras[(ids.index(current) + 1) % len(ids)] if current in ids else cameras[0]


def output_for(devices: Sequence[MediaDevice], *, loud: bool) -> MediaDevice | None:
    """The output that a whole room hears, or one that only its wearer does, as far as known."""
    factors = LOUDSPEAKERS if loud else EARPIECES
    outputs = of_kind(devices, MediaDeviceKind.AUDIO_OUTPUT)
    fitting = [device for device in outputs if device.form_factor in factors]
    return min(fitting, key=lambda device: not device.is_default, default=None)


def check_device_id(device_id: str) -> None:
    """Raise `ConfigurationError` for what cannot be the id of a device."""
    if not isinstance(device_id, str) or not 0 < len(device_id) <= _MAX_ID_LENGTH:
        raise ConfigurationError(f"a device id is a text, not {device_id!r:.100}")
    if not device_id.isprintable():
        raise ConfigurationError("a device id is printable text")
