"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
REAL_TIME = {"cli", "client", "interop", "media", "netlab", "samples", "turn", "web"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A call between real processes in real time may starve on a loaded machine: try it twice.

    The summary names what needed a second try.
    """
    for item in items:
        if item.path.is_relative_to(TESTS) and item.path.relative_to(TESTS).parts[0] in REAL_TIME:
            item.add_marker(pytest.mark.flaky(reruns=1))
