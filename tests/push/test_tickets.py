"""Tickets: good for one user, one call and a short time, under one application's key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmesh.server.push.tickets import Ticket, Tickets, application_of
from ringmesh.server.push.webpush import new_vapid_key

KEY = new_vapid_key()
TICKETS = Tickets(KEY)
ISSUED = TICKETS.issue(777, 4002, "call", now=1000, expires_at=1060)


def test_a_good_ticket() -> None:
    """It says who may answer, on every server with the key."""
    assert Tickets(KEY).read(ISSUED, "call", 1059) == Ticket(777, 4002, 1060)
    assert application_of(ISSUED) == 777


def test_it_ends_with_the_ring() -> None:
    """And after two minutes at the latest."""
    assert TICKETS.read(ISSUED, "call", 1060) is None
    long = TICKETS.issue(777, 4002, "call", now=1000, expires_at=10**9)
    assert TICKETS.read(long, "call", 1119) is not None
    assert TICKETS.read(long, "call", 1120) is None


@pytest.mark.parametrize(
    "forged",
    [
        ISSUED.replace("4002", "4003"),
        ISSUED.replace("777", "778"),
        ISSUED.replace("1060", "9999"),
        ISSUED[:-1] + ("A" if ISSUED[-1] != "A" else "B"),
        ISSUED + "A",
        "",
        "1.2.3",
    ],
)
def test_forged_tickets(forged: str) -> None:
    """Whatever is changed, it is worth nothing."""
    assert TICKETS.read(forged, "call", 1001) is None


def test_other_calls_and_other_keys() -> None:
    """A ticket is for its call, and for its application's key."""
    assert TICKETS.read(ISSUED, "another call", 1001) is None
    assert Tickets(new_vapid_key()).read(ISSUED, "call", 1001) is None


@given(st.text(), st.text())
def test_any_text(text: str, session_id: str) -> None:
    """Any text is read without an error."""
    assert TICKETS.read(text, session_id, 0) is None
    assert application_of(text) is None or text.count(".") == 3
