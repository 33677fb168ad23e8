"""Users, their devices, a network and a WebRTC engine, all in memory and in simulated time.

`World` holds everything. A device performs the effects of its call book the way the SDK does;
its engine is in `tests.calls.simulated_peer`.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ringmesh.calls.book import CallBook, CallEffects
from ringmesh.calls.config import CallConfig
from ringmesh.calls.effects import (
    AddCandidates,
    CallEvent,
    ClosePeer,
    Effect,
    Ignored,
    MakeAnswer,
    MakeOffer,
    Notify,
    Send,
    SetAnswer,
    SwitchSession,
)
from ringmesh.calls.machine import CallMachine
from ringmesh.calls.transitions import SessionState
from ringmesh.signals import (
    Accept,
    Call,
    CallType,
    IceRestart,
    IceRestartRequest,
    Reject,
    Ringing,
    Signal,
)
from tests.calls.simulated_peer import Peer

STALE_CALL = 6.0
"""Seconds after which the server does not hand on a ``call`` that waited for its device."""

RESUME = 60.0
"""Seconds for which the server keeps signals for a device that is away."""


@dataclass(slots=True)
class Faults:
    """What the network does to signals: probabilities, and seconds for the delays."""

    lose: float = 0.0
    duplicate: float = 0.0
    delay: tuple[float, float] = (0.02, 0.02)
    reorder: bool = False
    engine_delay: tuple[float, float] = (0.0, 0.0)


class World:
    """Simulated time, the wire, and every device.

    `wire` and what devices remember leave ``ringing`` out, which is in `Device.heard_ringing`.
    """

    def __init__(self, *, faults: Faults | None = None, seed: int = 0) -> None:
        self.now = 1000.0
        self.faults = faults or Faults()
        self.random = random.Random(seed)
        self.devices: list[Device] = []
        self.wire: list[str] = []
        self.lost: set[tuple[int, int]] = set()
        self.peers: dict[str, Peer] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._numbers = itertools.count(1)
        self.names = itertools.count(1)
        self._arrivals: dict[tuple[int, int], float] = defaultdict(float)

    def device(
        self, user_id: int, config: CallConfig | None = None, *, foreign: bool = False
    ) -> Device:
        """A new device of a user; a foreign one knows the fields of other SDKs only."""
        device = Device(self, user_id, config, foreign=foreign)
        self.devices.append(device)
        return device

    def number(self) -> int:
        """A fresh number, for descriptions and session ids."""
        return next(self._numbers)

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._events, (self.now + seconds, next(self._order), do))

    def send(self, sender: Device, user_id: int, signal: Signal, to_device: str = "") -> None:
        """Carry a signal to the devices of a user, and a carbon where the server makes one."""
        if not isinstance(signal, Ringing):
            self.wire.append(f"{sender.user_id} {_wire_name(signal)} {user_id}")
        for device in self.devices:
            carbon = (
                device.user_id == sender.user_id
                and device is not sender
                and isinstance(signal, Accept | Reject)
            )
            addressed = device.user_id == user_id and to_device in ("", device.name)
            if addressed or carbon:
                self._carry(sender, device, signal)

    def _carry(self, sender: Device, device: Device, signal: Signal) -> None:
        faults = self.faults
        if (sender.user_id, device.user_id) in self.lost or self.random.random() < faults.lose:
            return
        copies = 2 if self.random.random() < faults.duplicate else 1
        for _ in range(copies):
            seconds = self.random.uniform(*faults.delay)
            if not faults.reorder:
                lane = (id(sender), id(device))
                at = max(self.now + seconds, self._arrivals[lane])
                self._arrivals[lane] = at
                seconds = at - self.now
            self.after(seconds, lambda: device.arrive(signal, sender.user_id, sender.name))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while (at := self._next()) is not None and at <= end:
            self.now = max(self.now, at)
            if self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
                continue
            for device in self.devices:
                device.tick()
        self.now = end

    def _next(self) -> float | None:
        times = [device.deadline for device in self.devices]
        times += [self._events[0][0]] if self._events else []
        return min((at for at in times if at is not None), default=None)

    @property
    def idle(self) -> bool:
        """No timer runs in any call of any device."""
        return all(device.book.deadline() is None for device in self.devices)

    def count(self, line: str) -> int:
        """How often a line like ``1 call 2`` was sent."""
        return self.wire.count(line)


def _wire_name(signal: Signal) -> str:
    name = type(signal).__name__
    return name[0].lower() + name[1:]


class Device:
    """One device: the part of the SDK around the call book, with the fake engine.

    Attributes:
        history: what the application was told, one line each, with the user or the reason.
        ignored: why received signals had no effect.
        rings: incoming calls, as they came.
        closings: calls as their end was told.
        early_candidates: candidates given to a peer whose remote description was not applied yet.
    """

    def __init__(
        self, world: World, user_id: int, config: CallConfig | None, *, foreign: bool = False
    ) -> None:
        self.world = world
        self.user_id = user_id
        self.name = f"device {next(world.names)}"
        self.foreign = foreign
        self.network = 0
        self.cut = False
        self.away_since: float | None = None
        self.crashed = False
        self.book = CallBook(user_id, config)
        self.become_foreign(foreign)
        self.heard_ringing: list[tuple[str, int]] = []
        self._outbox: list[tuple[int, Signal, str]] = []
        self._inbox: list[tuple[float, Signal, int, str]] = []
        self.history: list[str] = []
        self.ignored: list[str] = []
        self.rings: list[CallMachine] = []
        self.sent: list[tuple[int, Signal]] = []
        self.closings: list[CallMachine] = []
        self._deadline: float | None = None
        self._touched = True
        self.early_candidates = 0
        self.on_ring: Callable[[CallMachine], None] | None = None
        self._peers: dict[tuple[CallMachine, int], Peer] = {}

    def become_foreign(self, foreign: bool) -> None:
        """Before the first call: know the fields of other SDKs only."""
        self.foreign = foreign
        if foreign:
            config = replace(self.book._config, automatic_ice_restart=False)
            self.book = CallBook(self.user_id, config)

    # Inputs

    def call(self, *opponents: int, call_type: CallType = CallType.VIDEO_CALL) -> CallMachine:
        """Create a call and dial."""
        call = self.create(*opponents, call_type=call_type)
        self.take(self.book.dial(call, self.world.now))
        return call

    def create(self, *opponents: int, call_type: CallType = CallType.VIDEO_CALL) -> CallMachine:
        """Create a call."""
        session_id = f"session {self.world.number()} of {self.user_id}"
        return self.book.create_call(session_id, call_type, opponents)

    def accept(self, call: CallMachine | None = None) -> CallMachine:
        """Accept a call, the last that rang unless told otherwise."""
        call = call or self.rings[-1]
        self.perform(call, call.accept(self.world.now))
        return call

    def reject(self, call: CallMachine | None = None, **user_info: str) -> None:
        """Reject a call, the last that rang unless told otherwise."""
        call = call or self.rings[-1]
        self.perform(call, call.reject(self.world.now, user_info))

    def hang_up(self, call: CallMachine) -> None:
        """Hang up."""
        self.perform(call, call.hang_up(self.world.now))

    def restart_ice(self, call: CallMachine, user_id: int) -> None:
        """Restart ICE."""
        self.perform(call, call.restart_ice(user_id, self.world.now))

    def receive(self, signal: Signal, sender_id: int, sender: str = "") -> None:
        """A signal from the network."""
        if self.foreign:
            if isinstance(signal, Ringing | IceRestartRequest):
                return
            signal = replace(signal, extra={})
        self.take(self.book.receive(signal, sender_id, self.world.now, sender))

    def _would_stick(self, signal: Signal, sender_id: int) -> bool:
        """SDKs that made the offer of a leg apply another's, and then fail to make an answer."""
        call = self.book.calls.get(signal.session_id)
        if call is None or not isinstance(signal, IceRestart):
            return False
        return call._leg(sender_id).offerer

    # The network. While the device is away its signals wait, here and at the server.

    def arrive(self, signal: Signal, sender_id: int, sender: str) -> None:
        """The server has a signal for this device."""
        if self.crashed:
            return
        if self.away_since is None:
            stuck = self.foreign and self._would_stick(signal, sender_id)
            assert not stuck, "it cannot answer an offer any more"
            self.receive(signal, sender_id, sender)
        elif not self.foreign:
            self._inbox.append((self.world.now, signal, sender_id, sender))

    def lose_chat(self) -> None:
        """The chat connection breaks."""
        if self.away_since is None:
            self.away_since = self.world.now
            self._touched = True
            self.book.chat_is_lost()

    def regain_chat(self) -> None:
        """The chat connection is back; what waited comes in order, new rings last."""
        if self.away_since is None or self.cut or self.crashed:
            return
        now = self.world.now
        kept = now - self.away_since <= RESUME
        inbox, self._inbox = (self._inbox if kept else []), []
        outbox, self._outbox = self._outbox, []
        self.away_since = None
        rings = [each for each in inbox if isinstance(each[1], Call)]
        for _, signal, sender_id, sender in [each for each in inbox if each not in rings]:
            self.receive(signal, sender_id, sender)
        for at, signal, sender_id, sender in rings:
            if now - at <= STALE_CALL:
                self.receive(signal, sender_id, sender)
        for user_id, signal, to_device in outbox:
            self.world.send(self, user_id, signal, to_device)
        self.take(self.book.network_is_back(now))

    def move(self) -> None:
        """A new address."""
        self.network += 1
        self.lose_chat()
        self._paths_changed()
        if not self.foreign:
            self.take(self.book.network_changed(self.world.now))
        self.world.after(0.3, self.regain_chat)

    def lose_network(self) -> None:
        """Nothing comes or goes."""
        self.cut = True
        self.lose_chat()
        self._paths_changed()

    def regain_network(self) -> None:
        """Everything comes and goes again, from the same address."""
        if self.crashed or not self.cut:
            return
        self.cut = False
        self._paths_changed()
        if not self.foreign:
            self.take(self.book.network_is_back(self.world.now))
        self.world.after(0.2, self.regain_chat)

    def crash(self) -> None:
        """Gone, without a word."""
        self.crashed = True
        self.world.devices.remove(self)
        for peer in self._peers.values():
            peer.close()

    def _paths_changed(self) -> None:
        for peer in list(self._peers.values()):
            other = peer.other
            if other is None or other.other is not peer:
                continue
            if peer.works_with(other):
                peer.regain_path()
            else:
                peer.lose_path()
                other.lose_path()

    def tick(self) -> None:
        """Whatever is due."""
        if self.deadline is not None and self.deadline <= self.world.now:
            self._touched = True
            self.take(self.book.tick(self.world.now))

    # Effects

    def take(self, results: Sequence[CallEffects]) -> None:
        """Perform what the book returns."""
        self._touched = True
        for result in results:
            self.perform(result.call, result.effects)

    def perform(self, call: CallMachine | None, effects: Iterable[Effect]) -> None:
        """Perform effects in order."""
        self._touched = True
        for effect in effects:
            match effect:
                case Send(user_id, signal, to_device):
                    self._send(user_id, signal, to_device)
                case Notify():
                    self._tell(call, effect)
                case Ignored(_, Ringing(), _):
                    pass
                case Ignored(user_id, signal, reason):
                    self.ignored.append(f"{_wire_name(signal)} from {user_id}: {reason}")
                case SwitchSession():
                    self.history.append("switched")
                case _:
                    assert call is not None
                    self._drive(call, effect)

    def _send(self, user_id: int, signal: Signal, to_device: str) -> None:
        if self.foreign:
            if isinstance(signal, Ringing | IceRestartRequest):
                return
            signal = replace(signal, extra={})
        if not isinstance(signal, Ringing):
            self.sent.append((user_id, signal))
        if self.away_since is None:
            self.world.send(self, user_id, signal, to_device)
        elif not isinstance(signal, Call):
            self._outbox = [
                (other, waiting, to)
                for other, waiting, to in self._outbox
                if not isinstance(signal, IceRestart | IceRestartRequest)
                or type(waiting) is not type(signal)
                or (other, waiting.session_id) != (user_id, signal.session_id)
            ]
            self._outbox.append((user_id, signal, to_device))

    def _tell(self, call: CallMachine | None, notice: Notify) -> None:
        if notice.event is CallEvent.USER_RINGING:
            assert call is not None
            assert notice.user_id is not None
            self.heard_ringing.append((call.session_id, notice.user_id))
            return
        name = notice.event.removeprefix("on_")
        about = notice.detail.get("reason") if notice.user_id is None else notice.user_id
        self.history.append(f"{name} {about}")
        assert call is not None
        if notice.event is CallEvent.SESSION_CLOSED:
            self.closings.append(call)
        if notice.event is CallEvent.RECEIVE_NEW_SESSION:
            self.rings.append(call)
            if self.on_ring is not None:
                self.on_ring(call)

    def _drive(self, call: CallMachine, effect: Effect) -> None:
        match effect:
            case MakeOffer(user_id):
                self.peer(call, user_id).offer()
            case MakeAnswer(user_id, offer):
                self.peer(call, user_id).answer(offer)
            case SetAnswer(user_id, answer):
                self.peer(call, user_id).set_answer(answer)
            case AddCandidates(user_id, candidates):
                peer = self.peer(call, user_id)
                self.early_candidates += not peer.described
                peer.candidates += candidates
            case ClosePeer(user_id):
                self._peers.pop((call, user_id)).close()

    def peer(self, call: CallMachine, user_id: int) -> Peer:
        """The peer to a user in a call; created when there is none."""
        return self._peers.setdefault((call, user_id), Peer(self, call, user_id))

    # Looking

    @property
    def deadline(self) -> float | None:
        """Of the book; asked for again after each input only."""
        if self._touched:
            self._deadline, self._touched = self.book.deadline(), False
        return self._deadline

    @property
    def open_peers(self) -> int:
        """Peers that were not closed."""
        return len(self._peers)

    @property
    def calls(self) -> list[CallMachine]:
        """Calls that have not ended."""
        return [c for c in self.book.calls.values() if c.state is not SessionState.CLOSED]

    @property
    def states(self) -> list[SessionState]:
        """Their states."""
        return [call.state for call in self.calls]

    def sent_calls(self) -> list[str]:
        """The descriptions of the ``call`` signals sent."""
        return [signal.sdp for _, signal in self.sent if isinstance(signal, Call)]


def connect(caller: Device, *callees: Device) -> list[CallMachine]:
    """A running call: the caller's end first, then the callees' in order."""
    call = caller.call(*(callee.user_id for callee in callees))
    caller.world.run(1)
    ends = [call, *(callee.accept() for callee in callees)]
    caller.world.run(2)
    return ends
