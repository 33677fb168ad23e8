"""The list of this machine's devices, and news of it."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable

from ringmesh.errors import NotSupportedError
from ringmesh.media.devices import polling
from ringmesh.media.devices.cameras import list_cameras
from ringmesh.media.devices.model import MediaDevice
from ringmesh.media.devices.pulse import PulseDirectory

SETTLE_TIME = 1.0
"""Seconds after news of a camera in which its node in ``/dev`` gets its name and permissions."""

MAX_LOOKS = 8
"""Looks that may be under way; the news that come meanwhile are covered by them."""

POLL_INTERVAL = 2.0
"""Seconds between two looks where the system does not tell of changes."""

_UEVENT_PROTOCOL = 15  # NETLINK_KOBJECT_UEVENT
_KERNEL_GROUP = 1
_MAX_UEVENT = 8192

_log = logging.getLogger(__name__)


class DeviceMonitor:
    """Knows the devices of this machine while it runs; `start` may be called again and again.

    Linux tells of changes (PulseAudio's events, the kernel's for cameras). Elsewhere the devices
    are listed every two seconds.
    """

    def __init__(self) -> None:
        self._cameras: tuple[MediaDevice, ...] = ()
        self._sound: tuple[MediaDevice, ...] = ()
        self._listeners: list[Callable[[], None]] = []
        self._starting: asyncio.Lock = asyncio.Lock()
        self._started = False
        self._closed = False
        self._pulse: PulseDirectory | None = None
        self._uevents: socket.socket | None = None
        self._looks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def devices(self) -> tuple[MediaDevice, ...]:
        """Cameras, microphones and outputs, as far as known."""
        return self._cameras + self._sound

    async def start(self) -> None:
        """Begin to watch and fill the list. Missing libraries leave their devices out."""
        async with self._starting:
            if self._started or self._closed:
                return
            self._started = True
            if sys.platform == "linux":
                self._listen_to_kernel()
                await self._listen_to_pulse()
            else:
                self._poll()
            await self._look()

    async def list(self) -> tuple[MediaDevice, ...]:
        """`devices` at this moment, whether the system tells of changes or not."""
        await self.start()
        await self._look()
        return self.devices

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call this on the event loop when `devices` changed."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def aclose(self) -> None:
        """Watch no more, for good; the list stays as it is."""
        self._listeners.clear()
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._uevents is not None:
            asyncio.get_running_loop().remove_reader(self._uevents)
            self._uevents.close()
        for task in self._looks:
            task.cancel()
        if self._looks:
            await asyncio.wait(self._looks)
        if self._pulse is not None:
            await self._pulse.aclose()

    async def _listen_to_pulse(self) -> None:
        self._pulse = PulseDirectory(self._sound_changed)
        try:
            await self._pulse.start()
        except NotSupportedError as error:
            _log.info("%s", error)
        self._sound = self._pulse.devices

    def _listen_to_kernel(self) -> None:
        self._uevents = open_uevents()
        if self._uevents is not None:
            asyncio.get_running_loop().add_reader(self._uevents, self._told_by_kernel)

    def _told_by_kernel(self) -> None:
        assert self._uevents is not None
        about_cameras = False
        try:
            while message := self._uevents.recv(_MAX_UEVENT):
                about_cameras = about_cameras or is_about_camera(message)
        except BlockingIOError:
            pass
        except OSError:  # so many that the kernel dropped some
            about_cameras = True
        if about_cameras and len(self._looks) < MAX_LOOKS:
            self._look_soon(0.0)
            self._look_soon(SETTLE_TIME)

    def _poll(self) -> None:
        self._look_soon(0.0)
        self._timer = asyncio.get_running_loop().call_later(POLL_INTERVAL, self._poll)

    def _look_soon(self, delay: float) -> None:
        async def look() -> None:
            await asyncio.sleep(delay)
            await self.list()

        task = asyncio.create_task(look(), name="device list")
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)

    async def _look(self) -> None:
        if self._closed:
            return
        cameras = await asyncio.to_thread(list_cameras)
        sound = self._sound
        if self._pulse is None:
            sound = await asyncio.to_thread(polling.list_sound_devices)
        self._set(cameras, sound)

    def _sound_changed(self) -> None:
        assert self._pulse is not None
        self._set(self._cameras, self._pulse.devices)

    def _set(self, cameras: tuple[MediaDevice, ...], sound: tuple[MediaDevice, ...]) -> None:
        before = self.devices
        self._cameras, self._sound = cameras, sound
        if self.devices != before:
            _log.info("devices changed: %d cameras, %d for sound", len(cameras), len(sound))
            for listener in list(self._listeners):
                listener()


def open_uevents() -> socket.socket | None:
    """The kernel's news of devices; None where they are not to be had."""
    try:
        news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _UEVENT_PROTOCOL)
        news.setblocking(False)
        news.bind((0, _KERNEL_GROUP))
    except OSError as error:
        _log.info("no news of cameras from the system: %s", error)
        return None
    return news


def is_about_camera(message: bytes) -> bool:
    """Whether the kernel tells of a video device that came or went."""
    words = message.split(b"\0")
    return b"SUBSYSTEM=video4linux" in words and bool({b"ACTION=add", b"ACTION=remove"} & {*words})
