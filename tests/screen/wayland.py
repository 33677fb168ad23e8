"""A desktop whose screen is shared through the portal: D-Bus, PipeWire, WirePlumber and
xdg-desktop-portal as they are, and a laboratory's dialogue, see `portal_backend`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from ringmesh.media.frames import Pixels
from tests.screen.desktop import running, wait_until
from tests.screen.portal_backend import NAME, STREAM

ROOT = Path(__file__).parents[2]
_PORTAL = f"""[portal]
DBusName={NAME}
Interfaces=org.freedesktop.impl.portal.ScreenCast
UseIn=laboratory
"""


class WaylandDesktop:
    """Shares one screen at a time. `answers` decides what the person says."""

    def __init__(self, folder: Path, backend: subprocess.Popen[bytes]) -> None:
        self._folder = folder
        self._backend = backend

    def answers(self, code: int | None) -> None:
        """The person chooses (0), declines (1), or does nothing (None)."""
        (self._folder / "answer").write_text("" if code is None else str(code))

    def asked(self) -> list[str]:
        """What the person was asked."""
        return (self._folder / "asked").read_text().splitlines()

    def ends_sharing(self) -> None:
        """The person ends every sharing."""
        self._backend.send_signal(signal.SIGUSR1)

    @contextmanager
    def screen(self, picture: Pixels) -> Iterator[None]:
        """A screen with this RGB picture, until the end of the block."""
        path = self._folder / "screen.png"
        with av.open(path, "w", format="image2", options={"update": "1"}) as container:
            stream = container.add_stream("png", width=picture.shape[1], height=picture.shape[0])
            stream.pix_fmt = "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux([*stream.encode(frame), *stream.encode()])
        size = f"width={picture.shape[1]},height={picture.shape[0]}"
        pipeline = (  # only a live source feeds a PipeWire stream of its own
            f"videotestsrc is-live=true ! video/x-raw,format=BGRx,{size},framerate=15/1 "
            f"! gdkpixbufoverlay location={path} ! videoconvert ! video/x-raw,format=BGRx "
            "! pipewiresink mode=provide "
            f"stream-properties=props,media.class=Video/Source,node.name={STREAM}"
        )
        with running("gst-launch-1.0", *pipeline.split(), stdout=subprocess.DEVNULL):
            wait_until(lambda: STREAM in self._streams(), "the screen")
            yield

    @staticmethod
    def _streams() -> str:
        return subprocess.run(
            ["pw-cli", "ls", "Node"], capture_output=True, text=True, check=False
        ).stdout


@contextmanager
def wayland(folder: Path, environment: pytest.MonkeyPatch) -> Iterator[WaylandDesktop]:
    """Such a desktop; what the block starts is part of it."""
    portals, run = folder / "portals", folder / "run"
    portals.mkdir()
    run.mkdir(mode=0o700)
    (portals / "laboratory.portal").write_text(_PORTAL)
    (folder / "asked").touch()
    for name, value in {
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/bus",
        "WAYLAND_DISPLAY": "wayland-0",
        "XDG_CURRENT_DESKTOP": "laboratory",
        "XDG_DESKTOP_PORTAL_DIR": str(portals),
        "XDG_RUNTIME_DIR": str(run),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_DATA_HOME": str(folder / "share"),
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
    }.items():
        environment.setenv(name, value)
    environment.delenv("DISPLAY", raising=False)
    with ExitStack() as desktop:
        bus = os.environ["DBUS_SESSION_BUS_ADDRESS"]
        desktop.enter_context(running("dbus-daemon", "--session", "--nofork", f"--address={bus}"))
        wait_until((folder / "bus").exists, "the D-Bus session")
        desktop.enter_context(running("pipewire"))
        wait_until((run / "pipewire-0").exists, "PipeWire")
        desktop.enter_context(running("wireplumber"))
        backend = desktop.enter_context(
            running(sys.executable, "-m", "tests.screen.portal_backend", str(folder))
        )
        wait_until(lambda: _owned(NAME), "the dialogue")
        found = WaylandDesktop(folder, backend)
        found.answers(0)
        yield found


def _owned(name: str) -> bool:
    question = ("org.freedesktop.DBus", "--object-path", "/org/freedesktop/DBus", "--method")
    asked = subprocess.run(
        ["gdbus", "call", "--session", "--dest", *question, f"{question[0]}.NameHasOwner", name],
        capture_output=True,
        text=True,
        check=False,
    )
    return "true" in asked.stdout
