"""Everything in this folder talks to a real coturn or to a server that pretends to be one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.network)


@pytest.fixture(scope="session", autouse=True)
def _coturn() -> None:
    """Missing coturn is a failure, not a reason to skip."""
    if shutil.which("turnserver") is None:
        pytest.fail("coturn is missing: run `make setup-test`")
