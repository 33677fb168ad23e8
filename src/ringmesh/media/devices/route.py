"""Keeping one device in use: the wanted one while it is there, the default one otherwise."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from ringmesh.errors import InvalidStateError, MediaError, RingmeshError
from ringmesh.media.devices.model import (
    DEFAULT_DEVICE,
    VIRTUAL_CAMERA,
    MediaDevice,
    MediaDeviceKind,
    find,
    resolve,
)
from ringmesh.media.devices.monitor import DeviceMonitor

OPEN_TIMEOUT = 10.0
"""Seconds that opening a device may take; a sound server that hangs takes for ever."""

CLOSE_TIMEOUT = 3.0
"""Seconds that closing one is waited for."""

_log = logging.getLogger(__name__)


class OpenDevice(Protocol):
    """A device in use."""

    def close(self) -> None:
        """Let it go. May block for a moment."""


H = TypeVar("H", bound=OpenDevice)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lost:
    """A device in use vanished; `fallback` is used now, None if there is nothing else."""

    device: MediaDevice
    fallback: MediaDevice | None


@dataclass(frozen=True, slots=True)
class Restored:
    """A device that had vanished is back and used again."""

    device: MediaDevice


class DeviceRoute(Generic[H]):
    """Opens a device, follows the list of devices, and moves to another one when it has to.

    Args:
        kind: of device.
        monitor: where the list comes from.
        open_device: opens a device, in a thread of its own. It is given what to call, on any
            thread, when the device fails later.
        on_change: told on the event loop when a device is lost or restored.

    Attributes:
        device: what is in use; None when nothing is there.
        handle: what `open_device` made of it.
    """

    def __init__(
        self,
        kind: MediaDeviceKind,
        monitor: DeviceMonitor,
        open_device: Callable[[MediaDevice, Callable[[], None]], H],
        on_change: Callable[[Lost | Restored], None],
    ) -> None:
        self.device: MediaDevice | None = None
        self.handle: H | None = None
        self._kind = kind
        self._monitor = monitor
        self._open_device = open_device
        self._on_change = on_change
        self._wanted = DEFAULT_DEVICE
        self._lost: set[str] = set()
        self._failed: set[str] = set()
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def select(self, device_id: str) -> MediaDevice:
        """Use this device from now on; the one before is closed once this one runs.

        Raises `ConfigurationError` for an unknown id, `MediaError` when it cannot be opened, and
        `NotSupportedError` when a library is missing; then the one before stays in use.
        """
        await self._monitor.start()
        async with self._turn:
            if self._closed:
                raise InvalidStateError("the device was let go meanwhile")
            device = find(self._monitor.devices, self._kind, device_id)
            if not self._uses(device):
                await self._use(device)
            self._wanted = device_id
            self._lost.clear()
            self._failed.clear()
        if self._task is None:
            self._monitor.add_listener(self._changed.set)
            self._task = asyncio.create_task(self._run(), name=f"{self._kind.value} in use")
        return device

    async def aclose(self) -> None:
        """Let the device go. Idempotent."""
        self._closed = True
        self._monitor.remove_listener(self._changed.set)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        async with self._turn:
            await self._drop()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            listed = {device.id for device in self._monitor.devices}
            self._failed = {
                name for name in self._failed if name in listed or name.startswith(VIRTUAL_CAMERA)
            }
            async with self._turn:
                await self._follow()

    async def _follow(self) -> None:
        """Move to the device that is to be used now, if it is another one."""
        before = self.device
        while True:
            target = resolve(self._monitor.devices, self._kind, self._wanted, self._failed)
            if target is None or self._uses(target):
                break
            try:
                await self._use(target)
            except RingmeshError as error:
                _log.warning("%s", error)
                self._failed.add(target.id)
        if target is None:
            await self._drop()
        self._report(before)

    def _report(self, before: MediaDevice | None) -> None:
        now = self.device
        present = {device.id for device in self._monitor.devices} - self._failed
        if before is not None and now != before and before.id not in present:
            self._lost.add(before.id)
            self._on_change(Lost(before, now))
        elif now is not None and now != before and (before is None or now.id in self._lost):
            self._lost.discard(now.id)
            self._on_change(Restored(now))

    def _uses(self, device: MediaDevice) -> bool:
        mine = self.device
        return mine is not None and (mine.id, mine.instance) == (device.id, device.instance)

    async def _use(self, device: MediaDevice) -> None:
        loop = asyncio.get_running_loop()

        def failed() -> None:
            loop.call_soon_threadsafe(self._device_failed, device)

        handle = await self._opened(device, failed)
        before, self.handle, self.device = self.handle, handle, device
        _log.info("%s in use: %s", self._kind.noun, device.label)
        if before is not None:
            await _closed(before)

    async def _opened(self, device: MediaDevice, failed: Callable[[], None]) -> H:
        opening = _in_thread(partial(self._open_device, device, failed))
        try:
            return await asyncio.wait_for(asyncio.shield(opening), OPEN_TIMEOUT)
        except TimeoutError as error:
            raise MediaError(
                f"the {self._kind.noun} {device.label!r} did not open within {OPEN_TIMEOUT:g} s"
            ) from error
        finally:
            if not opening.done():
                opening.add_done_callback(_close_late)

    async def _drop(self) -> None:
        handle, self.handle, self.device = self.handle, None, None
        if handle is not None:
            await _closed(handle)

    def _device_failed(self, device: MediaDevice) -> None:
        if self.device is not None and self.device.id == device.id:
            self._failed.add(device.id)
            self._changed.set()


async def _closed(handle: OpenDevice) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(_in_thread(handle.close)), CLOSE_TIMEOUT)


def _close_late(opening: asyncio.Future[H]) -> None:
    """Close what was opened after nobody waited for it any more."""
    if not opening.cancelled() and opening.exception() is None:
        _in_thread(opening.result().close)


def _in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Run this in a thread of its own, which does not keep the program alive when it hangs."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            settle = partial(future.set_result, function())
        except Exception as error:
            settle = partial(future.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=run, name="ringmesh-device", daemon=True).start()
    return future
