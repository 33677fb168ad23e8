"""One call as one device sees it. (Skeleton: signatures are final, bodies follow.)"""

from __future__ import annotations

from ringmesh.calls.config import CallConfig
from ringmesh.calls.effects import Effect
from ringmesh.calls.transitions import EndReason, LegState, SessionState
from ringmesh.ice import IceCandidate, IceConnectionState
from ringmesh.signals import CallType, Signal, UserInfo


class CallMachine:
    """One call: a leg per opponent. Created by `CallBook` only.

    `now` is in seconds of any monotonic clock. Every method returns what the owner must do, in
    order. After each one ask `deadline()` again.

    Attributes (read only): own_id, session_id, call_type, caller_id, opponents_ids (the called,
    in the caller's order), members_ids (everybody but us: the keys of the legs).
    """

    own_id: int
    session_id: str
    call_type: CallType
    caller_id: int
    opponents_ids: tuple[int, ...]
    config: CallConfig

    @property
    def members_ids(self) -> tuple[int, ...]:
        """Everybody in the call but us."""
        raise NotImplementedError

    @property
    def state(self) -> SessionState:
        """NEW (not dialled, or ringing here), PENDING, CONNECTING, CONNECTED, CLOSED."""
        raise NotImplementedError

    @property
    def is_outgoing(self) -> bool:
        """We are the caller."""
        raise NotImplementedError

    @property
    def is_ringing(self) -> bool:
        """An incoming call that was not accepted here yet, nor ended."""
        raise NotImplementedError

    @property
    def end_reason(self) -> EndReason | None:
        """Why the call ended; None while it lives."""
        raise NotImplementedError

    def leg_state(self, user_id: int) -> LegState:
        """State of the leg to this member. Raises ConfigurationError for anybody else."""
        raise NotImplementedError

    def can_restart_ice(self, user_id: int) -> bool:
        """We made the offer to this member, the descriptions are exchanged, no restart runs."""
        raise NotImplementedError

    # Application. `CallBook.dial` starts an outgoing call.

    def accept(self, now: float, user_info: UserInfo | None = None) -> list[Effect]:
        """Answer. Raises InvalidStateError unless the call is ringing here."""
        raise NotImplementedError

    def reject(self, now: float, user_info: UserInfo | None = None) -> list[Effect]:
        """Decline. Raises InvalidStateError unless the call is ringing here."""
        raise NotImplementedError

    def hang_up(self, now: float, user_info: UserInfo | None = None) -> list[Effect]:
        """Leave or cancel; declines a ringing call; nothing on an ended one."""
        raise NotImplementedError

    def restart_ice(self, user_id: int, now: float) -> list[Effect]:
        """Offer new ICE credentials. Raises InvalidStateError unless `can_restart_ice`."""
        raise NotImplementedError

    # Network: `CallBook.receive` only.

    def receive(self, signal: Signal, sender_id: int, now: float) -> list[Effect]:
        """Take a signal of this session. What does not fit is answered with `Ignored`."""
        raise NotImplementedError

    # Engine reports. Ones that no longer fit are ignored.

    def offer_made(self, user_id: int, sdp: str, now: float) -> list[Effect]:
        """The offer asked for by `MakeOffer` is the local description now."""
        raise NotImplementedError

    def answer_made(self, user_id: int, sdp: str, now: float) -> list[Effect]:
        """The answer asked for by `MakeAnswer` is the local description now."""
        raise NotImplementedError

    def answer_set(self, user_id: int, now: float) -> list[Effect]:
        """The answer given by `SetAnswer` is the remote description now."""
        raise NotImplementedError

    def peer_failed(self, user_id: int, reason: str, now: float) -> list[Effect]:
        """The engine refused a description, or broke. Ends this leg only. `reason` is shown."""
        raise NotImplementedError

    def candidate_gathered(
        self, user_id: int, candidate: IceCandidate, now: float, *, local_sdp: str | None = None
    ) -> list[Effect]:
        """A local candidate. `local_sdp`: the local description with it, for dialling repeats."""
        raise NotImplementedError

    def ice_state_changed(
        self, user_id: int, state: IceConnectionState, now: float
    ) -> list[Effect]:
        """The ICE state of the peer to this member."""
        raise NotImplementedError

    # Time

    def deadline(self) -> float | None:
        """When to call `tick`; None when no timer runs."""
        raise NotImplementedError

    def tick(self, now: float) -> list[Effect]:
        """Do what is due. Harmless when nothing is."""
        raise NotImplementedError
