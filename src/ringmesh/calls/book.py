"""All calls of one device. (Skeleton: signatures are final, bodies follow.)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ringmesh.calls.config import CallConfig
from ringmesh.calls.effects import Effect
from ringmesh.calls.machine import CallMachine
from ringmesh.signals import CallType, Signal, UserInfo


@dataclass(frozen=True, slots=True)
class CallEffects:
    """Effects of one call; `call` is None for signals that belong to no call here."""

    call: CallMachine | None
    effects: list[Effect]


class CallBook:
    """Creates calls, routes every received signal, and keeps the time of all calls.

    Verbs and engine reports go to the `CallMachine`; creating, dialling, received signals and
    time go through the book. A call that rings comes as a new `CallMachine` whose first effect
    is ``Notify(CallEvent.RECEIVE_NEW_SESSION)``.
    """

    def __init__(self, own_id: int, config: CallConfig | None = None) -> None:
        raise NotImplementedError

    @property
    def calls(self) -> Mapping[str, CallMachine]:
        """Live calls by session id: ringing, dialled and running ones."""
        raise NotImplementedError

    def create_call(
        self, session_id: str, call_type: CallType, opponents_ids: Iterable[int]
    ) -> CallMachine:
        """A new outgoing call. The book knows it from `dial` on.

        Raises:
            ConfigurationError: nobody or more than three to call, ourselves or somebody twice,
                or a session id that is in use.
        """
        raise NotImplementedError

    def dial(
        self, call: CallMachine, now: float, user_info: UserInfo | None = None
    ) -> list[CallEffects]:
        """Start an outgoing call. Answers instead if that very person is ringing us.

        Raises:
            InvalidStateError: dialled before, or `max_calls` are running.
        """
        raise NotImplementedError

    def receive(self, signal: Signal, sender_id: int, now: float) -> list[CallEffects]:
        """Take any call signal, own ones from other devices included."""
        raise NotImplementedError

    def deadline(self) -> float | None:
        """When to call `tick`; None when no timer runs in any call."""
        raise NotImplementedError

    def tick(self, now: float) -> list[CallEffects]:
        """Do what is due in every call."""
        raise NotImplementedError
