"""Rules of the media package itself."""

from __future__ import annotations

import ast
from pathlib import Path

import ringmesh.media

PACKAGE = Path(ringmesh.media.__file__).parent


def test_only_the_wrtc_modules_import_wrtc() -> None:
    """Another engine can be put behind the seam without touching the rest."""
    for path in PACKAGE.glob("*.py"):
        imported = {
            name.partition(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert path.name.startswith("wrtc_") or not imported & {"webrtc", "wrtc"}, path.name
