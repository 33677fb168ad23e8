"""Microphones and outputs of a PulseAudio server, or of PipeWire in its place, and news of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ringmesh.errors import NotSupportedError
from ringmesh.media.devices.model import MediaDevice, MediaDeviceKind

RETRY_INTERVAL = 1.0
"""Seconds between two attempts to reach a server that is not there."""

CONNECT_TIMEOUT = 5.0
"""Seconds in which a server has to answer."""

CLOSE_TIMEOUT = 1.0
"""Seconds that a question under way is waited for at the end."""

_PORT_FORM_FACTORS = ("headset", "headphone", "handset", "speaker", "hdmi")

_log = logging.getLogger(__name__)


class PulseDirectory:
    """Keeps the list of a server's devices up to date, through restarts of the server.

    Args:
        on_change: called on the event loop when `devices` may have changed.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.devices: tuple[MediaDevice, ...] = ()
        self._on_change = on_change
        self._looked = asyncio.Event()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to watch; returns with the list filled, or empty when no server is there.

        Raises `NotSupportedError` when pulsectl-asyncio or libpulse is not installed.
        """
        try:
            import pulsectl_asyncio
        except (ImportError, OSError) as error:
            raise NotSupportedError(
                "sound devices need PulseAudio's client library and pulsectl-asyncio: "
                "pip install 'ringmesh[devices]'"
            ) from error
        self._task = asyncio.create_task(self._run(pulsectl_asyncio), name="sound devices")
        with suppress(TimeoutError):
            await asyncio.wait_for(self._looked.wait(), CONNECT_TIMEOUT)

    async def aclose(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._stop.set()  # cancelled in the middle of a question the library complains
            await asyncio.wait({self._task}, timeout=CLOSE_TIMEOUT)
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self, library: Any) -> None:
        from pulsectl import PulseDisconnected, PulseError

        while not self._stop.is_set():
            pulse = library.PulseAsync(client_name="ringmesh-devices")
            try:
                await pulse.connect(timeout=CONNECT_TIMEOUT)
                await self._follow(pulse)
            except (PulseError, PulseDisconnected, TimeoutError) as error:
                _log.info("no sound server: %s", error or type(error).__name__)
            finally:
                pulse.close()
            if not self._stop.is_set():
                self._tell(())
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), RETRY_INTERVAL)

    async def _follow(self, pulse: Any) -> None:
        """Look, and look again whenever something may have changed, until the server goes."""
        changed = asyncio.Event()
        stop = asyncio.create_task(self._stop.wait())
        gone = asyncio.create_task(self._listen(pulse, changed.set), name="sound device events")
        try:
            while not gone.done() and not stop.done():
                changed.clear()
                self._tell(await _look(pulse))
                waiting = asyncio.create_task(changed.wait())
                await asyncio.wait({waiting, gone, stop}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
            if gone.done():
                gone.result()
        finally:
            stop.cancel()
            gone.cancel()
            await asyncio.gather(stop, gone, return_exceptions=True)

    async def _listen(self, pulse: Any, changed: Callable[[], None]) -> None:
        async for _ in pulse.subscribe_events("sink", "source", "server", "card"):
            changed()

    def _tell(self, devices: tuple[MediaDevice, ...]) -> None:
        news = devices != self.devices
        self.devices = devices
        self._looked.set()
        if news:
            self._on_change()


async def _look(pulse: Any) -> tuple[MediaDevice, ...]:
    server = await pulse.server_info()
    sources = [
        device_from(source, MediaDeviceKind.AUDIO_INPUT, server.default_source_name)
        for source in await pulse.source_list()
        if not is_monitor(source.proplist)
    ]
    sinks = [
        device_from(sink, MediaDeviceKind.AUDIO_OUTPUT, server.default_sink_name)
        for sink in await pulse.sink_list()
    ]
    return tuple(sources + sinks)


def is_monitor(properties: Mapping[str, str]) -> bool:
    """Whether a source records what an output plays: that is no microphone."""
    return properties.get("device.class") == "monitor"


def device_from(info: Any, kind: MediaDeviceKind, default_name: str) -> MediaDevice:
    """A sink or source as a device."""
    return MediaDevice(
        info.name,
        info.description or info.name,
        kind,
        is_default=info.name == default_name,
        form_factor=info.proplist.get("device.form_factor") or _of_port(info.port_active),
        instance=str(info.index),
    )


def _of_port(port: Any) -> str:
    """What the connector in use tells: ``analog-output-headphones`` is a headphone."""
    name = port.name.lower() if port is not None else ""
    return next((factor for factor in _PORT_FORM_FACTORS if factor in name), "")
