"""Lives with everything that can go wrong, for `tests.calls.test_lives` and `benchmarks.chaos`.

On top of the random lives: devices whose network changes, breaks and heals, whose chat connection
breaks, that crash, and that are other SDKs.
"""

from __future__ import annotations

from ringmesh.calls.machine import CallMachine
from ringmesh.calls.transitions import LegState
from ringmesh.signals import Call, HangUp, IceRestart, IceRestartRequest
from tests.calls.lives import Life
from tests.calls.simulation import STALE_CALL, Device

LATEST_RING = STALE_CALL + 4.5
"""Seconds after the end of a call at its caller in which it may still begin to ring somewhere: a
signal waits at the server and is slow on the way."""


class ChaosLife(Life):
    """Two to four people with one to three devices each."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, most_devices=3)
        self.attacks = 0
        self.foreigners = self.rng.random() < 0.3
        for device in self.world.devices:
            device.become_foreign(self.foreigners and self.rng.random() < 0.5)
            device.on_ring = lambda call, device=device: self.rang(device, call)  # type: ignore[misc]
        self.dialled_calls: dict[str, CallMachine] = {}
        self.ring_sessions: set[tuple[str, int]] = set()

    def rang(self, device: Device, call: CallMachine) -> None:
        """Nothing rings whose caller has long given up; in a group others may not know yet."""
        self.ring_sessions.add((call.session_id, device.user_id))
        dialled = self.dialled_calls.get(call.session_id)
        alone = len(call.members_ids) == 1
        if alone and dialled is not None and dialled.ended_at is not None:
            late = self.world.now - dialled.ended_at
            assert late <= LATEST_RING, f"a ghost rings {late:.1f} s after the end"

    def dial(self, device: Device) -> None:
        others = [user_id for user_id in self.ids if user_id != device.user_id]
        self.dialled += 1
        call = device.call(*self.rng.sample(others, self.rng.randint(1, len(others))))
        self.dialled_calls.setdefault(call.session_id, call)  # it may answer one that rings

    def act(self, device: Device, call: CallMachine) -> None:
        if self.rng.random() < 0.35:
            self.disturb(device, call)
        else:
            super().act(device, call)

    def disturb(self, device: Device, call: CallMachine) -> None:
        """Something happens to the device or its network."""
        match self.rng.randrange(8):
            case 0 | 1:
                device.move()
            case 2 | 3:
                device.lose_network()
                seconds = self.rng.choice((1.0, 5.0, 20.0, 40.0, 90.0)) * self.rng.random()
                self.world.after(seconds, device.regain_network)
            case 4:
                device.lose_chat()
                self.world.after(self.rng.uniform(0.1, 10.0), device.regain_chat)
            case 5 if len(self.world.devices) > 2:
                device.crash()
            case 6:
                self.attack(device, call)
            case _:
                for user_id in call.members_ids:
                    if call.leg_state(user_id) is LegState.CONNECTED:
                        device.restart_ice(call, user_id)

    def attack(self, device: Device, call: CallMachine) -> None:
        """A member sends a storm of signals out of the blue."""
        user_id = self.rng.choice(call.members_ids)
        facts = call.facts.base()
        for _ in range(self.rng.randint(1, 40)):
            number = str(self.rng.randint(0, 5))
            sdp = self.rng.choice(list(self.world.peers) or ["offer 0"])
            signal = self.rng.choice(
                (
                    IceRestartRequest(**facts),
                    IceRestart(**facts, sdp=sdp, extra={"offerNumber": number}),
                    Call(**facts, sdp=sdp),
                    HangUp(**facts),
                )
            )
            if not isinstance(signal, HangUp) or self.rng.random() < 0.02:
                device.receive(signal, user_id, "device of an attacker")
        self.attacks += 1

    def settle(self) -> None:
        for device in self.world.devices:
            if device.cut:
                device.regain_network()
            device.regain_chat()
        super().settle()

    def check_agreement(self) -> None:
        super().check_agreement()
        for device in self.world.devices:
            for told in device.heard_ringing:
                assert told in self.ring_sessions, "ringing was told and nothing rang"

    def most_signals(self) -> int:
        return super().most_signals() * 4 + 400 * self.attacks
