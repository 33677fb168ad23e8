"""``ringmesh screens``: what can be shared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ringmesh.media.screen.grabber import CaptureSource


def screens(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the screens and windows that ringmesh call --screen can share."""
    from ringmesh.media.screen.capture import capture_sources  # slow to load

    found = capture_sources(thumbnails=False)
    if as_json:
        print(json.dumps([_as_json(source) for source in found]))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "size", "title"):
        table.add_column(heading)
    for source in found:
        size = f"{source.width}x{source.height}" if source.width else ""
        table.add_row(source.id, size, Text(source.title))
    Console(highlight=False).print(table)


def _as_json(source: CaptureSource) -> dict[str, object]:
    return {
        "id": source.id,
        "kind": source.kind.value,
        "title": source.title,
        "width": source.width,
        "height": source.height,
    }
