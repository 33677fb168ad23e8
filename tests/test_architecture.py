"""The layers of docs/architecture.md, read from the source itself."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "ringmesh"

VOCABULARY = {"errors", "ice", "signals"}
MAY_IMPORT = {
    "protocol": set(),
    "calls": set(),
    "media": set(),
    "stun": set(),
    "client": {"calls", "protocol", "media", "stun"},
    "callkit": {"client", "calls"},
    "server": {"protocol", "stun"},
    "cli": {"client", "server", "media", "stun", "callkit"},
}
PURE = {"protocol", "calls"}
IMPURE_MODULES = {
    "asyncio", "socket", "threading", "time", "random", "secrets", "uuid", "os", "subprocess",
    "selectors", "ssl", "datetime", "logging",
}  # fmt: skip


def modules(layer: str) -> list[Path]:
    """Every source file of a layer."""
    return sorted((PACKAGE / layer).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Dotted names of everything a file imports, relative imports resolved."""
    found = set()
    package = ["ringmesh", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module.split(".") if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_imports_point_one_way(layer: str) -> None:
    """A layer imports the vocabulary, itself and the layers below it."""
    allowed = VOCABULARY | MAY_IMPORT[layer] | {layer}
    for path in modules(layer):
        used = {name.split(".")[1] for name in imports(path) if name.startswith("ringmesh.")}
        assert used <= allowed, f"{path.relative_to(ROOT)} imports {sorted(used - allowed)}"


@pytest.mark.parametrize("layer", sorted(PURE))
def test_pure_cores_know_no_world(layer: str) -> None:
    """The pure layers import nothing that does input, output, concurrency, time or chance."""
    for path in modules(layer):
        used = {name.split(".")[0] for name in imports(path)}
        assert not used & IMPURE_MODULES, f"{path.relative_to(ROOT)}: {used & IMPURE_MODULES}"


def test_only_media_knows_the_engine() -> None:
    """The WebRTC engine's package is imported by `media` alone."""
    others = itertools.chain.from_iterable(
        modules(layer) for layer in MAY_IMPORT if layer != "media"
    )
    for path in others:
        used = {name.split(".")[0] for name in imports(path)}
        assert not used & {"webrtc", "wrtc"}, path.relative_to(ROOT)


def test_every_layer_is_listed() -> None:
    """A new folder or module at the top needs a decision about its place."""
    found = {
        path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    assert found == set(MAY_IMPORT)
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", *VOCABULARY}
