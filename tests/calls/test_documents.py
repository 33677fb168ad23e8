"""docs/calls.md says what the code does."""

from __future__ import annotations

import re

from ringmesh.calls.config import MAX_CANDIDATES, MAX_PEOPLE, CallConfig
from ringmesh.calls.effects import CallEvent, IgnoredReason
from ringmesh.calls.ended import MAX_ENDED
from ringmesh.calls.transitions import (
    EXCHANGED,
    LEG_TRANSITIONS,
    LIMITS,
    RESTART_TRANSITIONS,
    WITH_PEER,
    Action,
    LegEvent,
    LegState,
    RestartState,
    SessionState,
)
from scripts.draw_call_states import BEGIN, DOCUMENT, END, drawing

TEXT = DOCUMENT.read_text()


def test_the_drawing_is_the_table() -> None:
    """Run scripts/draw_call_states.py after a change of the tables."""
    assert TEXT.split(BEGIN)[1].split(END)[0].strip() == drawing()


def test_tables_are_complete() -> None:
    """Every state can be reached and left, every event and every action is used."""
    reached = {to for to, _ in LEG_TRANSITIONS.values()} | {LegState.NEW}
    assert reached == set(LegState) == {state for state, _ in LEG_TRANSITIONS}
    assert {to for to, _ in RESTART_TRANSITIONS.values()} == set(RestartState)
    events = {event for _, event in [*LEG_TRANSITIONS, *RESTART_TRANSITIONS]}
    assert events == set(LegEvent)
    rows = [*LEG_TRANSITIONS.values(), *RESTART_TRANSITIONS.values()]
    assert {action for _, actions in rows for action in actions} == set(Action)


def test_every_waiting_state_has_a_limit() -> None:
    """A state that waits for somebody else ends by itself."""
    endless = {LegState.NEW, LegState.RINGING, LegState.CONNECTED, LegState.CLOSED}
    assert set(LIMITS) == set(LegState) - endless
    for state in LIMITS:
        assert (state, LegEvent.TIME_UP) in LEG_TRANSITIONS


def test_leg_and_restart_tables_do_not_compete() -> None:
    """An event that the restart table takes is not in the leg table for the same states."""
    assert set(EXCHANGED) < set(WITH_PEER)
    for _, event in RESTART_TRANSITIONS:
        assert not [state for state in EXCHANGED if (state, event) in LEG_TRANSITIONS]


def test_settings_and_bounds_are_documented() -> None:
    """The timers' table has the defaults, and the text the bounds."""
    config = CallConfig()
    rows = dict(re.findall(r"^\| .*? \| `(\w+)` \| (.*?) \|", TEXT, re.M))
    for name in ("dialing_time_interval", "connect_timeout", "disconnect_time_interval"):
        assert f"{getattr(config, name):g} s" in rows[name]
    assert f"{config.no_answer_timeout:g} s per opponent" in TEXT
    for bound in (
        f"{MAX_PEOPLE} people",
        f"{config.max_calls} calls",
        f"{MAX_CANDIDATES} candidates",
        f"{MAX_ENDED}\nremembered",
    ):
        assert bound in TEXT


def test_reasons_and_states_are_documented() -> None:
    """Every reason for ignoring and every state of a call is explained."""
    for name in [*IgnoredReason, *SessionState]:
        assert f"`{name}`" in TEXT
    for event in CallEvent:
        if "connect" in event:
            assert f"`{event}`" in TEXT
