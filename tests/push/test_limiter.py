"""How many events somebody may post."""

from __future__ import annotations

from ringmesh.server.push.limiter import WINDOW_SECONDS, EventLimiter


def test_so_many_a_minute() -> None:
    """Each has a count of their own, which begins anew after a minute."""
    limiter = EventLimiter(2)
    assert [limiter.hit("ada", 10 + n) for n in range(3)] == [True, True, False]
    assert limiter.hit("bob", 13)
    assert not limiter.hit("ada", 10 + WINDOW_SECONDS - 0.1)
    assert limiter.hit("ada", 10 + WINDOW_SECONDS)


def test_nobody_is_remembered_for_ever() -> None:
    """Who has posted nothing for a minute takes no memory."""
    limiter = EventLimiter(2)
    for who in range(1000):
        limiter.hit(who, 0.001 * who)
    limiter.hit("ada", 1 + WINDOW_SECONDS)
    assert len(limiter._windows) == 1
