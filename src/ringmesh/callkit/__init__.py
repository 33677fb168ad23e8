"""Ringing while the application is closed: notifications, the agent, and what both remember.

`docs/callkit.md` is the guide. `CallKit` is what applications use; ``ringmesh agent`` runs
`ringmesh.callkit.agent`.
"""

from typing import TYPE_CHECKING

from ringmesh.callkit.call_event import CallEvent, CallState

if TYPE_CHECKING:
    from ringmesh.callkit.call_kit import CallKit

__all__ = ["CallEvent", "CallKit", "CallState"]


def __getattr__(name: str) -> object:
    """The agent never loads `CallKit`, which brings the media libraries with it."""
    if name != "CallKit":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ringmesh.callkit.call_kit import CallKit

    return CallKit
