"""Rows of facts as a table for people, or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ringmesh.cli.accounts import printable


def print_rows(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print them; ``none`` where there are none. All have the same members."""
    if as_json:
        print(json.dumps(list(rows)))
        return
    if not rows:
        print("none")
        return
    table = [list(rows[0]), *([printable(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
