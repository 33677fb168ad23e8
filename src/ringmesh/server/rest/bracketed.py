"""Names with brackets: ``user[login]=alice&ids[]=1&ids[]=2`` <-> nested values."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

MAX_FIELDS = 200
MAX_DEPTH = 5

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")


def split_name(name: str) -> list[str] | None:
    """``a[b][]`` as ``["a", "b", ""]``; None for names whose brackets do not match."""
    match = _NAME.fullmatch(name)
    return [match[1], *_BRACKET.findall(match[2])] if match else None


def parse_form(text: str) -> dict[str, Any]:
    """Read a form-encoded body. Values stay text; ``[]`` at a name's end makes a list.

    Raises:
        ValueError: too many fields, too deep, or names that contradict each other.
    """
    form: dict[str, Any] = {}
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    for name, value in pairs:
        parts = split_name(name)
        if parts is None or len(parts) > MAX_DEPTH or "" in parts[:-1]:
            raise ValueError("a name is not of the form a[b][c]")
        _insert(form, parts, value)
    return form


def _insert(form: dict[str, Any], parts: list[str], value: str) -> None:
    is_list = parts[-1] == ""
    path = parts[:-1] if is_list else parts
    place = form
    for part in path[:-1]:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise ValueError("a name is used for a value and for a group")
    if not is_list:
        if isinstance(place.get(path[-1]), dict | list):
            raise ValueError("a name is used for a value and for a group")
        place[path[-1]] = value
        return
    values = place.setdefault(path[-1], [])
    if not isinstance(values, list):
        raise ValueError("a name is used for a value and for a list")
    values.append(value)
