"""Quantities as people write them: ``5%``, ``100ms``, ``600kbit``."""

from __future__ import annotations

import re

from tests.netlab.plumbing import LabError


def _number(text, table, what, default):
    m = re.fullmatch(r"\s*([0-9.]+)\s*([a-z%]*)\s*", str(text).lower())
    if not m or m.group(2) not in table:
        raise LabError(
            "cannot read {} {!r} (units: {})".format(what, text, " ".join(filter(None, table)))
        )
    return float(m.group(1)) * (table[m.group(2)] if m.group(2) else default)


def seconds(x):
    """'100ms', '0.1s', 0.1 -> 0.1; a bare number is seconds."""
    return x if isinstance(x, (int, float)) else _number(x, {"": 1, "ms": 1e-3, "s": 1}, "time", 1)


def fraction(x):
    """'5%' or 0.05 -> 0.05"""
    v = x if isinstance(x, (int, float)) else _number(x, {"": 1, "%": 0.01}, "loss", 1)
    if not 0 <= v <= 1:
        raise LabError(f"loss must lie between 0% and 100%, not {x!r} (did you forget the %?)")
    return v


def bits(x):
    """'1mbit', '500kbit', 1000000 -> bit/s"""
    units = {"": 1, "bit": 1, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9, "k": 1e3, "m": 1e6}
    v = x if isinstance(x, (int, float)) else _number(x, units, "rate", 1)
    if v <= 0:
        raise LabError("rate must be positive")
    return v
