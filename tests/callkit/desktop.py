"""A desktop of the test's own: an X server, a D-Bus session and a notification daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

LIMIT = 60.0
ROOT = Path(__file__).parents[2]
NOTIFICATIONS = "org.freedesktop.Notifications"

_BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={folder}/bus</listen>
<servicedir>{folder}/share/dbus-1/services</servicedir>
<policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""

_DUNST = """[global]
    dmenu = {folder}/choose
    follow = none
    origin = top-left
    notification_limit = 10
"""

_CHOOSE = """#!/bin/sh
grep -m 1 "$(cat {folder}/choice)"
"""


class Program:
    """A process of the desktop, whose output is in `log`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    async def says(self, text: str, times: int = 1) -> None:
        """Wait until it has written this."""

        async def said() -> bool:
            count = self.output().count(text)
            if self.process.returncode is not None and count < times:
                raise AssertionError(f"ended without saying {text!r}:\n{self.output()}")
            return count >= times

        await until(said, lambda: f"{text!r} in:\n{self.output()}")

    async def stop(self, number: int = 15) -> int:
        """Send a signal and wait for the end; the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ends()

    async def ends(self) -> int:
        """Wait for the end; the exit code."""
        async with asyncio.timeout(LIMIT):
            return await self.process.wait()


async def until(
    condition: Callable[[], Awaitable[object]], what: Callable[[], str] = lambda: "it"
) -> None:
    """Wait for something that nothing tells of."""
    try:
        async with asyncio.timeout(LIMIT):
            while not await condition():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what()}") from None


class Desktop:
    """Everything below `folder`; nothing of the machine's own desktop is touched.

    Attributes:
        environment: for programs that are to be part of it.
        session: its D-Bus session.
        bus: the test's own connection to that.
    """

    session: Program
    bus: MessageBus

    def __init__(self, folder: Path, *, quiet: bool = False) -> None:
        self.folder = folder
        self._quiet = quiet
        self.environment = os.environ | {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_DATA_HOME": str(folder / "share"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/bus",
            "PULSE_SERVER": f"unix:{folder}/no-sound",
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        }
        self._programs: list[Program] = []

    async def __aenter__(self) -> Self:
        (self.folder / "share/dbus-1/services").mkdir(parents=True)
        (self.folder / "run").mkdir(mode=0o700)
        (self.folder / "config/dunst").mkdir(parents=True)
        config = self.folder / "bus.conf"
        config.write_text(_BUS_CONFIG.format(folder=self.folder))
        read, write = os.pipe()
        await self.start(
            *("Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp"),
            pass_fds=(write,),
        )
        os.close(write)
        with os.fdopen(read) as display:
            self.environment["DISPLAY"] = f":{(await asyncio.to_thread(display.readline)).strip()}"
        self.session = await self.start("dbus-daemon", f"--config-file={config}", "--nofork")
        await until(self._connected, lambda: "the D-Bus session")
        return self

    async def _connected(self) -> bool:
        address = self.environment["DBUS_SESSION_BUS_ADDRESS"]
        try:
            self.bus = await MessageBus(bus_address=address, bus_type=BusType.SESSION).connect()
        except OSError:
            return False
        return True

    async def __aexit__(self, *_: object) -> None:
        self.bus.disconnect()
        for program in reversed(self._programs):
            await program.stop(9)
            if not self._quiet:
                print(f"--- {program.log.name}\n{program.output()}")
        self._end_what_the_bus_started()

    def _end_what_the_bus_started(self) -> None:
        mark = f"DBUS_SESSION_BUS_ADDRESS=unix:path={self.folder}/bus".encode()
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):  # it ended by itself
                if mark in environment.read_bytes().split(b"\0"):
                    os.kill(int(environment.parent.name), signal.SIGKILL)

    async def start(self, *command: str, pass_fds: tuple[int, ...] = ()) -> Program:
        """Start a program in this desktop."""
        log = self.folder / f"{len(self._programs)}-{Path(command[0]).name}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=self.environment,
                cwd=self.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=pass_fds,
            )
        program = Program(process, log)
        self._programs.append(program)
        return program

    async def run(self, *command: str) -> tuple[int, str]:
        """Run a program to its end: exit code and output."""
        program = await self.start(*command)
        async with asyncio.timeout(LIMIT):
            code = await program.process.wait()
        return code, program.output()

    async def ringmesh(self, *arguments: str) -> tuple[int, str]:
        """Run the command ``ringmesh``."""
        return await self.run(*ringmesh_command(*arguments))

    async def call(self, name: str, path: str, interface: str, member: str, *body: str) -> list:
        """Call a D-Bus method whose arguments are text."""
        reply = await self.bus.call(
            Message(
                destination=name,
                path=path,
                interface=interface,
                member=member,
                signature="s" * len(body),
                body=list(body),
            )
        )
        assert reply is not None
        assert reply.message_type is MessageType.METHOD_RETURN, reply.body
        return reply.body

    async def has_owner(self, name: str) -> bool:
        bus = "org.freedesktop.DBus"
        return (await self.call(bus, "/org/freedesktop/DBus", bus, "NameHasOwner", name))[0]

    @asynccontextmanager
    async def sound(self) -> AsyncIterator[Callable[[int], Awaitable[bool]]]:
        """A sound server; tells whether so many streams play."""
        path = f"{self.folder}/run/sound"
        self.environment["PULSE_SERVER"] = f"unix:{path}"
        await self.start(
            *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"),
            f"--load=module-native-protocol-unix socket={path} auth-anonymous=1",
            "--load=module-null-sink norewinds=1",
        )

        async def plays(number: int) -> bool:
            code, output = await self.run("pactl", "list", "short", "sink-inputs")
            return code == 0 and len(output.splitlines()) == number

        await until(lambda: plays(0), lambda: "the sound server")
        yield plays

    async def dunst(self) -> Dunst:
        """Start dunst."""
        (self.folder / "config/dunst/dunstrc").write_text(_DUNST.format(folder=self.folder))
        choose = self.folder / "choose"
        choose.write_text(_CHOOSE.format(folder=self.folder))
        choose.chmod(0o755)
        program = await self.start("dunst")
        await until(lambda: self.has_owner(NOTIFICATIONS), lambda: "dunst")
        return Dunst(self, program)

    async def mate(self) -> Mate:
        """Start mate-notification-daemon."""
        path = "/usr/lib/mate-notification-daemon/mate-notification-daemon"
        program = await self.start(path)
        await until(lambda: self.has_owner(NOTIFICATIONS), lambda: "mate-notification-daemon")
        return Mate(self, program)


class Dunst:
    """What a person sees and does with dunst."""

    def __init__(self, desktop: Desktop, program: Program) -> None:
        self.desktop = desktop
        self.program = program

    async def _get(self, name: str) -> int:
        body = await self.desktop.call(
            *(NOTIFICATIONS, "/org/freedesktop/Notifications"),
            *("org.freedesktop.DBus.Properties", "Get", "org.dunstproject.cmd0", name),
        )
        return body[0].value

    async def count(self) -> int:
        """How many notifications are on the screen."""
        return await self._get("displayedLength")

    async def shows(self, number: int) -> None:
        """Wait until so many are on the screen."""

        async def right() -> bool:
            return await self.count() == number

        await until(right, lambda: f"{number} notifications")

    async def press(self, button: str) -> None:
        """Open the menu of the notification and choose."""
        (self.desktop.folder / "choice").write_text(button)
        code, output = await self.desktop.run("dunstctl", "action")
        assert code == 0, output


class Mate:
    """What a person sees and does with mate-notification-daemon: real windows, a real mouse."""

    def __init__(self, desktop: Desktop, program: Program) -> None:
        self.desktop = desktop
        self.program = program

    async def _windows(self) -> list[str]:
        search = ("search", "--onlyvisible", "--name", "Critical Notification")
        _, output = await self.desktop.run("xdotool", *search)
        return [line for line in output.split() if line.isdigit()]

    async def shows(self, number: int) -> None:
        """Wait until so many are on the screen."""

        async def right() -> bool:
            return len(await self._windows()) == number

        await until(right, lambda: f"{number} windows")

    async def press(self, button: str) -> None:
        """Click on a button, where the mouse finds it."""
        window = (await self._windows())[0]
        _, output = await self.desktop.run("xdotool", "getwindowgeometry", "--shell", window)
        size = dict(line.split("=") for line in output.split() if "=" in line)
        x = int(size["WIDTH"]) - (137 if button == "Accept" else 71)
        y = int(size["HEIGHT"]) - 27
        move = ("mousemove", "--window", window, str(x), str(y), "click", "1")
        code, output = await self.desktop.run("xdotool", *move)
        assert code == 0, output


def ringmesh_command(*arguments: str) -> tuple[str, ...]:
    """The command line of ``ringmesh``."""
    program = "import sys; sys.argv[0] = 'ringmesh'; from ringmesh.cli.main import main; main()"
    return (sys.executable, "-c", program, *arguments)
