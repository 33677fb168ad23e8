"""A WebRTC engine in simulated time.

Its descriptions are plain words, and it finds a path when, and only when, two peers have applied
each other's descriptions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ringmesh.calls.effects import Effect
from ringmesh.calls.machine import CallMachine
from ringmesh.ice import IceCandidate, IceConnectionState

if TYPE_CHECKING:
    from tests.calls.simulation import Device

MEDIA_STOPPED_AFTER = 0.9
ICE_DISCONNECTED_AFTER = 5.0
ICE_FAILED_AFTER = 15.0


@dataclass(slots=True, eq=False)
class Peer:
    """One end of one connection."""

    device: Device
    call: CallMachine
    user_id: int
    local: str = ""
    remote: str = ""
    other: Peer | None = None
    state: IceConnectionState = IceConnectionState.NEW
    closed: bool = False
    described: bool = False
    candidates: list[IceCandidate] = field(default_factory=list)
    network: int = 0

    def later(self, report: Callable[[], list[Effect]], *, quick: bool = False) -> None:
        """Report to the call after the engine's delay, unless the peer is closed by then."""
        world = self.device.world
        seconds = 0.0 if quick else world.random.uniform(*world.faults.engine_delay)

        def deliver() -> None:
            if not self.closed:
                self.device.perform(self.call, report())

        world.after(seconds, deliver)

    def describe(self, kind: str) -> str:
        world = self.device.world
        self.local = f"{kind} {world.number()}"
        self.network = self.device.network
        world.peers[self.local] = self
        return self.local

    def offer(self) -> None:
        sdp = self.describe("offer")
        self.later(lambda: self.call.offer_made(self.user_id, sdp, self.device.world.now))
        self.gather()

    def answer(self, offer: str) -> None:
        self.remote = base(offer)
        if self.remote not in self.device.world.peers:
            self.refuse("broken offer")
            return
        sdp = self.describe(f"answer to {self.remote} is")
        self.described = False

        def report() -> list[Effect]:
            self.described = True
            return self.call.answer_made(self.user_id, sdp, self.device.world.now)

        self.later(report)
        self.gather()

    def set_answer(self, answer: str) -> None:
        self.remote = base(answer)
        if self.remote not in self.device.world.peers:
            self.refuse("broken answer")
            return
        self.described = False

        def report() -> list[Effect]:
            self.described = True
            return self.call.answer_set(self.user_id, self.device.world.now)

        self.later(report)
        self.look_for_path()

    def refuse(self, reason: str) -> None:
        self.later(lambda: self.call.peer_failed(self.user_id, reason, self.device.world.now))

    def gather(self) -> None:
        for number in (1, 2):
            candidate = IceCandidate(f"candidate:{number} of {self.local}")
            sdp = f"{self.local} + {number}"
            self.later(
                lambda candidate=candidate, sdp=sdp: self.call.candidate_gathered(  # type: ignore[misc]
                    self.user_id, candidate, self.device.world.now, local_sdp=sdp
                )
            )

    def look_for_path(self) -> None:
        """Connect with the peer whose answer we applied, if it still stands by it."""
        self.become(IceConnectionState.CHECKING)
        other = self.device.world.peers[self.remote]
        match = not other.closed and (other.local, other.remote) == (self.remote, self.local)
        if match and self.reachable and other.reachable:
            for peer, partner in ((self, other), (other, self)):
                before, peer.other = peer.other, partner
                if before is not None and before is not partner and before.other is peer:
                    before.lose_path()
            other.become(IceConnectionState.CHECKING)
            for peer in (self, other):
                peer.become(IceConnectionState.CONNECTED)
                peer.media(flowing=True)
        else:
            before = self.local
            self.device.world.after(ICE_FAILED_AFTER, lambda: self._give_up(before))

    def _give_up(self, local: str) -> None:
        if self.local == local and not (self.other and self.works_with(self.other)):
            self.become(IceConnectionState.FAILED)

    @property
    def reachable(self) -> bool:
        """What was gathered is still our address, and the network works."""
        return self.network == self.device.network and not self.device.cut

    def works_with(self, other: Peer) -> bool:
        """Whether media can flow."""
        joined = self.other is other and other.other is self
        return joined and not other.closed and self.reachable and other.reachable

    def media(self, *, flowing: bool) -> None:
        """What the monitor of received media reports."""
        world = self.device.world
        if not self.device.foreign:
            self.later(
                lambda: self.call.media_flow_changed(self.user_id, flowing=flowing, now=world.now),
                quick=True,
            )

    def become(self, state: IceConnectionState) -> None:
        if self.state is not state and not self.closed:
            self.state = state
            self.described |= state is IceConnectionState.CONNECTED
            world = self.device.world
            self.later(
                lambda: self.call.ice_state_changed(self.user_id, state, world.now), quick=True
            )

    def lose_path(self) -> None:
        """The path is gone: noticed after a while, given up later."""
        world, other = self.device.world, self.other
        if other is not None:
            world.after(MEDIA_STOPPED_AFTER, lambda: self._notice_silence(other))
            world.after(ICE_DISCONNECTED_AFTER, lambda: self._notice(other, "DISCONNECTED"))
            world.after(ICE_FAILED_AFTER, lambda: self._notice(other, "FAILED"))

    def regain_path(self) -> None:
        """The old path works again, unless ICE has given it up."""
        if self.other is None or not self.works_with(self.other):
            return
        if IceConnectionState.FAILED not in (self.state, self.other.state):
            for peer in (self, self.other):
                peer.become(IceConnectionState.CONNECTED)
                peer.media(flowing=True)

    def _notice_silence(self, other: Peer) -> None:
        if self.other is other and not self.works_with(other):
            self.media(flowing=False)

    def _notice(self, other: Peer, state: str) -> None:
        if self.other is other and not self.works_with(other):
            self.become(IceConnectionState[state])

    def close(self) -> None:
        self.closed = True
        if self.other is not None and self.other.other is self and not self.other.closed:
            self.other.lose_path()


def base(sdp: str) -> str:
    """A description without the candidates gathered later."""
    return sdp.split(" + ")[0]
