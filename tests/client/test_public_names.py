"""The public names, their documentation and their settings agree."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import pytest

import ringmesh
from ringmesh.client import events

GUIDE = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text()


def section(title: str) -> str:
    """One section of the guide."""
    return GUIDE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_public_name_is_documented() -> None:
    """The guide lists the public names, all of them and no others."""
    listed = re.findall(r"`([A-Za-z0-9_]+)`", section("All public names"))
    assert sorted(listed) == sorted(ringmesh.__all__)
    assert len(set(listed)) == len(listed)


def test_every_public_name_exists() -> None:
    """Names are loaded when they are used, and each is what its module defines."""
    for name in ringmesh.__all__:
        value = getattr(ringmesh, name)
        assert not isinstance(value, type) or value.__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ringmesh.nothing  # type: ignore[attr-defined]


def test_every_public_object_has_a_contract() -> None:
    """Public classes and functions, and their public methods, have docstrings."""
    for name in ringmesh.__all__:
        value = getattr(ringmesh, name)
        if not isinstance(value, type | FunctionType):
            continue
        assert value.__doc__, name
        for member, function in vars(value).items() if isinstance(value, type) else ():
            if not member.startswith("_") and callable(function):
                assert function.__doc__, f"{name}.{member}"


def test_import_is_light() -> None:
    """The server imports the package without loading the media libraries."""
    program = (
        "import sys, ringmesh; print([m for m in ('av', 'numpy', 'webrtc') if m in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert output.strip() == "[]"


@pytest.mark.parametrize(
    "settings",
    [ringmesh.RTCConfig, ringmesh.RTCMediaConfig, ringmesh.CubeChatConnectionSettings],
)
def test_every_setting_is_documented(settings: type) -> None:
    """The guide's tables have each field, with its default."""
    rows = dict(
        re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+?) \| [^|]+ \|$", section("Settings"), re.M)
    )
    for item in dataclasses.fields(settings):
        default = item.default
        assert rows[item.name] == (f"{default:g}" if type(default) is float else str(default))


def test_every_event_is_documented_with_its_callback() -> None:
    """The guide's tables pair each event with the callback that tells the same."""
    tables = section("Callbacks and events")
    rows = {
        event: callback
        for callback, event in re.findall(r"^\| `(\w+)\([^)]*\)` \| `(\w+)` \|", tables, re.M)
    }
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type)]
    leaves = [
        kind for kind in kinds if issubclass(kind, events.Event) and not kind.__subclasses__()
    ]
    assert rows == {kind.__name__: kind.callback for kind in leaves}
