"""A PulseAudio server of the tests' own, whose microphones and outputs come and go as told."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np

from ringmesh.media.frames import Pcm
from tests.interop.people import LIMIT


class SoundServer:
    """Runs while it is entered.

    Attributes:
        address: what ``PULSE_SERVER`` is set to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "native"
        self.address = f"unix:{self._socket}"
        self._process: asyncio.subprocess.Process | None = None
        self._environment = os.environ | {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_SERVER": self.address,
        }

    async def start(self) -> None:
        """Start it, with the output ``speakers`` alone, which stays the default."""
        self._socket.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL"),
            *("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"),
            *("--disable-shm=yes", "--log-level=error", "--load"),
            f"module-native-protocol-unix socket={self._socket} auth-anonymous=1",
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(LIMIT):
            while not self._socket.exists():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        # With a default that stays, PulseAudio does not move the tones of the rooms to a new one.
        await self.plug_output("speakers")
        await self.pactl("set-default-sink", "speakers")

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def hang(self) -> None:
        """Let it answer nobody any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    async def pactl(self, *arguments: str) -> str:
        """What this command prints."""
        process = await asyncio.create_subprocess_exec(
            "pactl", *arguments, env=self._environment, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, arguments
        return output.decode().strip()

    async def plug_microphone(self, name: str, tone_hz: float) -> str:
        """A microphone in a room of its own, with a tone in it; returns what `unplug` wants.

        Nothing but the room's output `<name>_room` stays when it is unplugged, and the same room
        is used when it is plugged in again.
        """
        room = f"{name}_room"
        if room not in await self.pactl("list", "sinks", "short"):
            await self.plug_output(room)
            await self.pactl("load-module", "module-sine", f"sink={room}", f"frequency={tone_hz:g}")
        return await self.pactl(
            *("load-module", "module-remap-source", f"master={room}.monitor"),
            *(f"source_name={name}", f"source_properties='device.description={name}'"),
        )

    async def plug_output(self, name: str, form_factor: str = "") -> str:
        """An output; returns what `unplug` wants."""
        # Without norewinds recording from its monitor loses half of the sound.
        properties = f"device.description={name}"
        if form_factor:
            properties += f" device.form_factor={form_factor}"
        return await self.pactl(
            *("load-module", "module-null-sink", f"sink_name={name}", "norewinds=1"),
            *("rate=48000", "channels=1", f"sink_properties='{properties}'"),
        )

    async def unplug(self, module: str) -> None:
        """Take a device away."""
        await self.pactl("unload-module", module)

    async def users_of(self, kind: str) -> int:
        """How many streams of a kind (``sink-inputs``, ``source-outputs``) there are."""
        return len(re.findall(r"^\d+", await self.pactl("list", kind, "short"), re.M))

    @asynccontextmanager
    async def hearing(self, output: str) -> AsyncIterator[asyncio.StreamReader]:
        """What an output plays, int16 mono at 48 kHz."""
        process = await asyncio.create_subprocess_exec(
            *("parec", f"--device={output}.monitor", "--format=s16le", "--rate=48000"),
            *("--channels=1", "--latency-msec=20"),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def next_sound(reader: asyncio.StreamReader, seconds: float) -> Pcm:
    """The next part of what an output plays."""
    data = await asyncio.wait_for(reader.readexactly(round(seconds * 48_000) * 2), LIMIT)
    return np.frombuffer(data, np.int16)
