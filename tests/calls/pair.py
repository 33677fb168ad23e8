"""Two call machines that face each other, with a test in place of engines and network."""

from __future__ import annotations

from ringmesh.calls.config import CallConfig
from ringmesh.calls.effects import (
    CallEvent,
    Effect,
    Notify,
    Send,
)
from ringmesh.calls.machine import CallMachine
from ringmesh.ice import IceCandidate
from ringmesh.signals import (
    Call,
    CallType,
    Signal,
)
from tests.calls.simulation import World


def candidate(number: int) -> IceCandidate:
    return IceCandidate(f"candidate:{number} 1 udp 1 192.0.2.1 {number} typ host")


def signals(effects: list[Effect]) -> list[Signal]:
    return [effect.signal for effect in effects if isinstance(effect, Send)]


def events(effects: list[Effect]) -> list[CallEvent]:
    return [effect.event for effect in effects if isinstance(effect, Notify)]


class Pair:
    """A caller (1) and a callee (2) whose engine reports and signals the test makes itself."""

    def __init__(self) -> None:
        world = World()
        config = CallConfig(disconnect_time_interval=30, automatic_ice_restart=False)
        self.caller = world.device(1, config).book.create_call("s", CallType.VIDEO_CALL, [2])
        self.caller.dial(0.0)
        [sent] = self.caller.offer_made(2, "offer", 0.0)
        assert isinstance(sent, Send)
        assert isinstance(sent.signal, Call)
        book = world.device(2, config).book
        [result] = book.receive(sent.signal, 1, 0.0)
        assert result.call is not None
        self.callee: CallMachine = result.call

    def exchange(self) -> None:
        """Both descriptions are applied on both sides."""
        self.callee.accept(1.0)
        [accept] = signals(self.callee.answer_made(1, "answer", 1.0))
        self.caller.receive(accept, 2, 1.0)
        self.caller.answer_set(2, 1.0)
