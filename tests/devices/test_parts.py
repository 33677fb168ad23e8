"""The parts without a call: choosing, listing, mixing."""

from __future__ import annotations

import asyncio
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from ringmesh.errors import ConfigurationError, MediaError, NotSupportedError
from ringmesh.media.devices import sound as sound_module
from ringmesh.media.devices.camera import Camera, CameraFormat
from ringmesh.media.devices.cameras import (
    camera_label,
    label_from,
    list_v4l2_cameras,
    panel_position,
)
from ringmesh.media.devices.mixer import BLOCK, MAX_BLOCKS, SHRINK_AFTER, Mixer, Voice
from ringmesh.media.devices.model import (
    CameraPosition,
    MediaDevice,
    MediaDeviceKind,
    find,
    next_camera,
    output_for,
    resolve,
)
from ringmesh.media.devices.monitor import DeviceMonitor, is_about_camera, open_uevents
from ringmesh.media.devices.polling import list_sound_devices
from ringmesh.media.devices.processing import AudioProcessing
from ringmesh.media.devices.route import DeviceRoute, Lost, Restored
from ringmesh.media.devices.torch import set_torch
from ringmesh.media.frames import AudioFrame, VideoFrame
from tests.devices.sound_server import SoundServer
from tests.interop.people import LIMIT

CAMERA = MediaDeviceKind.VIDEO_INPUT
OUTPUT = MediaDeviceKind.AUDIO_OUTPUT
FRONT = MediaDevice("front", "Front", CAMERA, CameraPosition.FRONT, is_default=True)
BACK = MediaDevice("back", "Back", CAMERA, CameraPosition.BACK)
SPEAKERS = MediaDevice("speakers", "Speakers", OUTPUT, form_factor="speaker")
HEADSET = MediaDevice("headset", "Headset", OUTPUT, is_default=True, form_factor="headset")
ALL = (FRONT, BACK, SPEAKERS, HEADSET)


def test_the_wanted_device_comes_first_then_the_default_then_any() -> None:
    """That is the order in which a device is chosen among those that can be used."""
    assert resolve(ALL, CAMERA, "back") is BACK
    assert resolve(ALL, CAMERA, "gone") is FRONT
    assert resolve(ALL, CAMERA, "default") is FRONT
    assert resolve(ALL, CAMERA, "back", {"back", "front"}) is None
    assert resolve((BACK,), CAMERA, "default") is BACK
    assert resolve((), CAMERA, "default") is None
    virtual = resolve((), CAMERA, "lavfi:testsrc2")
    assert virtual is not None
    assert virtual.id == "lavfi:testsrc2"
    assert resolve(ALL, CAMERA, "lavfi:testsrc2", {"lavfi:testsrc2"}) is FRONT
    assert resolve(ALL, OUTPUT, "lavfi:testsrc2") is HEADSET


def test_an_unknown_id_is_refused_with_those_there_are() -> None:
    """The message names the devices of the kind that was asked for."""
    assert find(ALL, CAMERA, "default") is FRONT
    with pytest.raises(ConfigurationError, match="no camera 'speakers'; there are: front, back"):
        find(ALL, CAMERA, "speakers")
    for nonsense in ("", "x" * 2000, "\n", None, 3):
        with pytest.raises(ConfigurationError):
            find(ALL, CAMERA, nonsense)  # type: ignore[arg-type]


def test_switching_goes_round() -> None:
    """The next camera follows the present one; the first follows the last, and none at all."""
    assert next_camera(ALL, "front") is BACK
    assert next_camera(ALL, "back") is FRONT
    assert next_camera(ALL, None) is FRONT
    with pytest.raises(ConfigurationError, match="no camera"):
        next_camera((SPEAKERS,), None)


def test_loudspeakers_are_told_from_headsets() -> None:
    """By form factor, where it is known."""
    assert output_for(ALL, loud=True) is SPEAKERS
    assert output_for(ALL, loud=False) is HEADSET
    assert output_for((MediaDevice("x", "X", OUTPUT),), loud=True) is None


def _frame(value: int, blocks: int = 1) -> AudioFrame:
    return AudioFrame(np.full(BLOCK * blocks, value, np.int16), 48_000)


def test_voices_are_added_up_and_clipped() -> None:
    """Everybody is heard at once, whatever the length of the blocks that are asked for."""
    mixer = Mixer()
    for _ in range(3):
        mixer.put("a", _frame(20_000))
        mixer.put("b", _frame(20_000))
        mixer.put("c", _frame(-5_000))
    assert mixer.take(100).tolist() == [32_767] * 100
    mixer.remove("b")
    assert len(mixer.take(700)) == 700
    assert mixer.take(BLOCK)[-1] == 15_000
    assert mixer.take(2 * BLOCK)[-1] == 0
    for _ in range(5):
        mixer.put("a", _frame(1))
    mixer.restart()
    assert not mixer.take(BLOCK).any()


def test_a_voice_waits_for_two_blocks_and_keeps_twelve() -> None:
    """It begins with 20 ms in hand, and again after it ran dry; the oldest of too many goes."""
    voice = Voice()
    voice.put(_frame(1))
    assert voice.take() is None
    voice.put(_frame(2))
    assert [voice.take() is not None for _ in range(3)] == [True, True, False]
    for value in range(MAX_BLOCKS + 5):
        voice.put(_frame(value))
    first = voice.take()
    assert first is not None
    assert first[0] == 5


def test_a_queue_that_stays_long_becomes_short_again() -> None:
    """After a burst the delay shrinks by 10 ms a second, without a gap."""
    voice = Voice()
    for _ in range(6):
        voice.put(_frame(1000))
    for _ in range(6 * SHRINK_AFTER):
        voice.put(_frame(1000))
        block = voice.take()
        assert block is not None
        assert (block > 990).all()
    voice_left = 0
    while voice.take() is not None:
        voice_left += 1
    assert voice_left == 1


def _capabilities(card: bytes, whole: int, node: int) -> bytes:
    return struct.pack("16s32s32sIII12x", b"uvcvideo", card, b"usb", 0, whole, node)


def test_cameras_are_told_from_other_video_nodes() -> None:
    """A node without pictures (a camera's metadata) is none; the label is the driver's."""
    assert label_from(_capabilities(b"HD Cam", 0x84A00001, 0x04200001), "video0") == "HD Cam"
    assert label_from(_capabilities(b"", 0x84A00001, 0x04200001), "video0") == "video0"
    assert label_from(_capabilities(b"HD Cam", 0x84A00001, 0x04A00000), "video1") is None
    assert label_from(_capabilities(b"Old", 0x05000001, 0), "video2") == "Old"


def test_what_is_no_camera_is_not_listed(tmp_path: Path) -> None:
    """Files, folders and devices of other kinds in the place of cameras are left out."""
    (tmp_path / "video0").write_bytes(b"no camera")
    (tmp_path / "video1").symlink_to("/dev/null")
    (tmp_path / "video2").mkdir()
    assert list_v4l2_cameras(tmp_path, tmp_path) == ()
    assert camera_label(Path("/dev/null")) is None


def test_the_side_of_a_camera_is_what_the_firmware_says(tmp_path: Path) -> None:
    """It is read from the nearest part of the machine that knows; else it is unknown."""
    device = tmp_path / "usb1" / "1-1" / "1-1:1.0"
    device.mkdir(parents=True)
    (tmp_path / "usb1" / "physical_location").mkdir()
    panel = tmp_path / "usb1" / "physical_location" / "panel"
    panel.write_text("back\n")
    assert panel_position(device) is CameraPosition.BACK
    panel.write_text("unknown\n")
    assert panel_position(device) is None
    assert panel_position(tmp_path / "gone") is None


def test_a_busy_or_broken_camera_says_so() -> None:
    """What FFmpeg cannot open as a camera raises `MediaError` with its reason."""
    camera = MediaDevice("/dev/null", "Null", CAMERA)
    with pytest.raises(MediaError, match=r"'Null' cannot be used \(.+\): is another program"):
        Camera(camera, CameraFormat(), lambda _: None, lambda: None)


def test_a_camera_without_a_light_says_so() -> None:
    """Also where the node exists and takes no V4L2 control."""
    for name in ("/dev/null", "/dev/nothing", "lavfi:testsrc2"):
        with pytest.raises(NotSupportedError, match="light"):
            set_torch(MediaDevice(name, name, CAMERA), True)


def test_a_camera_delivers_until_it_is_closed() -> None:
    """Pictures come on its own thread with the present time; none after `close` returned."""
    frames: list[VideoFrame] = []
    device = MediaDevice("lavfi:testsrc2=size=64x48:rate=50", "Test", CAMERA)
    camera = Camera(device, CameraFormat(), frames.append, lambda: None)
    while len(frames) < 5:
        pass
    camera.close()
    count = len(frames)
    assert [frame.timestamp for frame in frames] == sorted(frame.timestamp for frame in frames)
    camera.close()
    assert len(frames) == count


def test_missing_libraries_say_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, devices for sound raise `NotSupportedError` that names it."""
    monkeypatch.setitem(sys.modules, "miniaudio", None)
    with pytest.raises(NotSupportedError, match=r"ringmesh\[devices\]"):
        sound_module.load_miniaudio()


def test_settings_are_checked() -> None:
    """Anything but True and False is refused."""
    with pytest.raises(ConfigurationError, match="echo_cancellation"):
        AudioProcessing(echo_cancellation=1)  # type: ignore[arg-type]


async def test_devices_are_listed_by_the_library_of_other_systems(sound: SoundServer) -> None:
    """What lists microphones and outputs elsewhere finds those of this sound server, too."""
    await sound.plug_microphone("headset", 500)
    found = await asyncio.to_thread(list_sound_devices)
    kinds = {device.label: device.kind for device in found}
    assert kinds["speakers"] is MediaDeviceKind.AUDIO_OUTPUT
    assert kinds["headset"] is MediaDeviceKind.AUDIO_INPUT
    assert all(bytes.fromhex(device.id) for device in found)


async def test_the_kernel_tells_of_devices() -> None:
    """Its messages arrive, and those about cameras are told from others."""
    news = open_uevents()
    assert news is not None
    with news:
        trigger = Path("/sys/class/mem/null/uevent")
        await asyncio.to_thread(trigger.write_text, "add")
        async with asyncio.timeout(LIMIT):
            message = b""
            while b"SUBSYSTEM=mem" not in message.split(b"\0"):
                message = await asyncio.get_running_loop().sock_recv(news, 8192)
    assert not is_about_camera(message)
    assert is_about_camera(message.replace(b"SUBSYSTEM=mem", b"SUBSYSTEM=video4linux"))
    assert not is_about_camera(b"change@/x\0ACTION=change\0SUBSYSTEM=video4linux\0")


class _List(DeviceMonitor):
    """A list of devices that a test writes."""

    async def start(self) -> None:
        """Nothing to watch."""

    def write(self, *devices: MediaDevice) -> None:
        """These are there now."""
        self._set(devices, ())


class _Opened:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


async def test_a_route_follows_the_list_and_failures() -> None:
    """Lost, another, failed, none, restored: each is told once, and each device closed once."""
    monitor = _List()
    opened: list[tuple[str, _Opened]] = []
    changes: asyncio.Queue[Lost | Restored] = asyncio.Queue()
    fail = {}

    def open_device(device: MediaDevice, failed: object) -> _Opened:
        if device.id == "broken":
            raise MediaError("broken")
        opened.append((device.id, _Opened()))
        fail[device.id] = failed
        return opened[-1][1]

    async def change() -> Lost | Restored:
        return await asyncio.wait_for(changes.get(), LIMIT)

    broken = MediaDevice("broken", "Broken", CAMERA)
    route = DeviceRoute(CAMERA, monitor, open_device, changes.put_nowait)
    monitor.write(FRONT, BACK)
    assert await route.select("back") is BACK
    monitor.write(FRONT)
    assert await change() == Lost(BACK, FRONT)
    monitor.write(FRONT, BACK)
    assert await change() == Restored(BACK)
    fail["back"]()  # type: ignore[operator]
    assert await change() == Lost(BACK, FRONT)
    monitor.write(broken)
    assert await change() == Lost(FRONT, None)
    monitor.write(broken, BACK)
    assert await change() == Restored(BACK)
    with pytest.raises(MediaError):
        await route.select("broken")
    assert route.device is BACK
    await route.aclose()
    assert [name for name, _ in opened] == ["back", "front", "back", "front", "back"]
    assert all(device.closed for _, device in opened)
    assert changes.empty()
