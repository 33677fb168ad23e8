"""Draw the transition tables of calls into docs/calls.md. Run it after changing them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ringmesh.calls.transitions import (
    LEG_TRANSITIONS,
    LIVE,
    RESTART_TRANSITIONS,
    Action,
    LegEvent,
    LegState,
    RestartState,
)

DOCUMENT = Path(__file__).parent.parent / "docs" / "calls.md"
BEGIN = "<!-- drawn by scripts/draw_call_states.py -->"
END = "<!-- end of drawing -->"


def _name(state: LegState | RestartState) -> str:
    return state.replace("-", "_")


def _label(event: LegEvent, actions: Iterable[Action]) -> str:
    done = ", ".join(actions)
    return f"{event} / {done}" if done else str(event)


def leg_diagram() -> list[str]:
    """The table of legs, without the ways to the end."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {_name(LegState.NEW)}"]
    for (state, event), (to, actions) in LEG_TRANSITIONS.items():
        if to is not LegState.CLOSED:
            lines.append(f"    {_name(state)} --> {_name(to)}: {_label(event, actions)}")
    return [*lines, "```"]


def endings() -> list[str]:
    """Every way to the end, and what a closed leg still does, as a table."""
    ways: dict[tuple[LegEvent, tuple[Action, ...]], list[LegState]] = {}
    for (state, event), (to, actions) in LEG_TRANSITIONS.items():
        if to is LegState.CLOSED:
            ways.setdefault((event, actions), []).append(state)
    lines = ["| event | in | does |", "|---|---|---|"]
    for (event, actions), states in ways.items():
        where = "every state" if tuple(states) == LIVE else ", ".join(states)
        lines.append(f"| {event} | {where} | {', '.join(actions)} |")
    return lines


def restart_diagram() -> list[str]:
    """The table of ICE restarts."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {_name(RestartState.IDLE)}"]
    for (state, event), (to, actions) in RESTART_TRANSITIONS.items():
        lines.append(f"    {_name(state)} --> {_name(to)}: {_label(event, actions)}")
    return [*lines, "```"]


def drawing() -> str:
    """All that belongs between the marks of the document."""
    parts = [
        ["On the way (event / what the leg does):"],
        leg_diagram(),
        ["To the end, `closed`:"],
        endings(),
        ["ICE restart, inside a leg whose descriptions are exchanged:"],
        restart_diagram(),
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def main() -> None:
    """Replace the drawing in the document."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{drawing()}\n\n{END}{after}")


if __name__ == "__main__":
    main()
