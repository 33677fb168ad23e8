"""Options and fixtures of the call tests."""

from __future__ import annotations

import pytest

from tests.calls.pair import Pair


def pytest_addoption(parser: pytest.Parser) -> None:
    """``pytest tests/calls --life-seed N`` replays one random life and prints its wire."""
    parser.addoption("--life-seed", type=int, default=None, help="replay one random call life")


@pytest.fixture
def pair() -> Pair:
    return Pair()
