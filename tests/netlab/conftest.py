"""Networks made of namespaces: what is missing for them is a failure, not a reason to skip."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.netlab.plumbing import require


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.network)


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    """Root, Linux, iproute2, nftables."""
    require()
