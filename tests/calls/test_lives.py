"""Random lives end well, see `tests.calls.lives` and `tests.calls.chaos`."""

from __future__ import annotations

import pytest

from tests.calls.chaos import ChaosLife
from tests.calls.lives import GlareLife, GroupLife, Life

LIVES = {Life: 500, GlareLife: 1000, GroupLife: 500, ChaosLife: 1500}


UNFORGOTTEN = (10162, 75626, 80640, 82520)
"""Seeds of lives that once ended badly: two devices that fought for ever over the path of a caller
who talked to both."""


def replay(life: Life) -> None:
    """Live one life, and print what happened in it."""
    try:
        life.live()
    finally:
        print("\n".join(life.world.wire))
        for device in life.world.devices:
            print(device.user_id, device.name, device.history, device.ignored)


@pytest.mark.parametrize("kind", LIVES)
def test_random_lives(kind: type[Life], request: pytest.FixtureRequest) -> None:
    """Every life ends in agreement, and then in nothing."""
    seed = request.config.getoption("--life-seed", default=None)
    if seed is not None:
        replay(kind(seed))
        return
    for seed in (*range(LIVES[kind]), *UNFORGOTTEN):
        try:
            kind(seed).live()
        except BaseException as error:
            error.add_note(f"{kind.__name__} {seed}: replay with --life-seed={seed}")
            raise
