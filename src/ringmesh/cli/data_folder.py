"""Where a server keeps its data, as the commands for its administrator know it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def default_data_dir() -> Path:
    """The folder for application data that this system's conventions name."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "ringmesh"


DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="DIR",
        envvar="RINGMESH_DATA",
        file_okay=False,
        default_factory=default_data_dir,
        show_default=False,
        help=f"Folder with the server's data. (default: {default_data_dir()})",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def data_argument(data: Path) -> str:
    """What to add to a suggested command so that it uses the same folder."""
    return "" if data == default_data_dir() else f" --data {data}"
