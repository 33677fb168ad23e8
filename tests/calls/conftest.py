"""Options of the call tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """``pytest tests/calls --life-seed N`` replays one random life and prints its wire."""
    parser.addoption("--life-seed", type=int, default=None, help="replay one random call life")
