"""``ringmesh devices``: cameras, microphones and outputs."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ringmesh.media.devices.model import MediaDevice

CameraOption = Annotated[
    str | None,
    typer.Option(
        "--camera",
        metavar="ID",
        help="Send this camera (see ringmesh devices); default is the system's default.",
    ),
]
MicrophoneOption = Annotated[
    str | None, typer.Option("--microphone", metavar="ID", help="Send this microphone, likewise.")
]
SpeakersOption = Annotated[
    str | None,
    typer.Option("--speakers", metavar="ID", help="Play what comes in on this output, likewise."),
]


def devices(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the cameras, microphones and outputs that calls can use."""
    found = asyncio.run(_list())
    if as_json:
        print(json.dumps([_as_json(device) for device in found]))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("kind", "id", "label", "default"):
        table.add_column(heading, overflow="fold")
    for device in found:
        default = "yes" if device.is_default else ""
        table.add_row(device.kind.noun, Text(device.id), Text(device.label), default)
    Console(highlight=False).print(table)


async def _list() -> tuple[MediaDevice, ...]:
    from ringmesh.media.devices.monitor import DeviceMonitor  # slow to load

    monitor = DeviceMonitor()
    try:
        return await monitor.list()
    finally:
        await monitor.aclose()


def _as_json(device: MediaDevice) -> dict[str, object]:
    return {
        "kind": device.kind.value,
        "id": device.id,
        "label": device.label,
        "position": device.position.value if device.position is not None else None,
        "default": device.is_default,
        "form_factor": device.form_factor,
    }
