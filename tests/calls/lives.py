"""Random lives: people calling, answering and leaving over a bad network, thousands of times.

A life is chaos, then a good network and no more input. Whatever happened: what is left must be
calls that both sides agree on, and after everybody has hung up, nothing at all.
"""

from __future__ import annotations

import random
from functools import partial

from ringmesh.calls.machine import CallMachine
from ringmesh.calls.transitions import LegState, SessionState
from ringmesh.errors import InvalidStateError
from ringmesh.ice import IceConnectionState
from tests.calls.simulation import Device, Faults, World

SETTLING_SECONDS = 400.0


def bad_network(rng: random.Random) -> Faults:
    """Faults of any strength, often none."""
    slow = rng.choice((0.05, 0.5, 4.0))
    return Faults(
        lose=rng.choice((0.0, 0.0, 0.1, 0.4, 0.9)),
        duplicate=rng.choice((0.0, 0.0, 0.2)),
        delay=(0.01, slow),
        reorder=rng.random() < 0.3,
        engine_delay=(0.0, rng.choice((0.0, 0.3, 3.0))),
    )


class Life:
    """One world and the random things that happen in it."""

    def __init__(self, seed: int, *, most_people: int = 4, most_devices: int = 2) -> None:
        self.rng = rng = random.Random(seed)
        self.world = World(seed=seed, faults=bad_network(rng))
        self.ids = rng.sample(range(1, 10), rng.randint(2, most_people))
        for user_id in self.ids:
            for _ in range(rng.randint(1, most_devices)):
                self.world.device(user_id)
        self.dialled = 0
        self.started_with = len(self.world.devices)

    def happen(self) -> None:
        """Random verbs and engine faults at random times."""
        for _ in range(self.rng.randint(2, 10)):
            self.world.run(self.rng.choice((0.0, 0.1, 1.0, 5.0, 20.0)) * self.rng.random())
            device = self.rng.choice(self.world.devices)
            calls = device.calls
            try:
                if not calls or self.rng.random() < 0.2:
                    self.dial(device)
                else:
                    self.act(device, self.rng.choice(calls))
            except InvalidStateError:
                pass  # the application tried something that the state forbids

    def dial(self, device: Device) -> None:
        others = [user_id for user_id in self.ids if user_id != device.user_id]
        self.dialled += 1
        device.call(*self.rng.sample(others, self.rng.randint(1, len(others))))

    def act(self, device: Device, call: CallMachine) -> None:
        user_id = self.rng.choice(call.members_ids)
        match self.rng.randrange(10):
            case 0:
                device.hang_up(call)
            case 1:
                device.reject(call)
            case 2:
                device.restart_ice(call, user_id)
            case 3:
                device.perform(call, call.peer_failed(user_id, "chaos", self.world.now))
            case 4 if call.leg_state(user_id) is LegState.CONNECTED:
                device.peer(call, user_id).become(IceConnectionState.FAILED)
            case _:
                device.accept(call)

    def settle(self) -> None:
        """A good network, and time for all timers."""
        self.world.faults = Faults()
        self.world.run(SETTLING_SECONDS)

    def hang_up_everything(self) -> None:
        for device in self.world.devices:
            for call in device.calls:
                device.hang_up(call)

    # What must hold

    def check_agreement(self) -> None:
        """Only connected legs are left, each with its counterpart, and no timer runs."""
        for device in self.world.devices:
            assert device.book.deadline() is None, "a timer leaked"
            assert device.early_candidates == 0, "a candidate came before its description"
            for call in device.calls:
                assert call.state is SessionState.CONNECTED, f"a ghost: {call.state}"
                for user_id in call.members_ids:
                    self.check_leg(device, call, user_id)
        legs = sum(
            call.leg_state(user_id) is LegState.CONNECTED
            for device in self.world.devices
            for call in device.calls
            for user_id in call.members_ids
        )
        assert legs == sum(device.open_peers for device in self.world.devices), "a peer leaked"

    def check_leg(self, device: Device, call: CallMachine, user_id: int) -> None:
        state = call.leg_state(user_id)
        assert state in (LegState.CONNECTED, LegState.CLOSED), f"a leg is left {state}"
        if state is LegState.CONNECTED:
            other = device.peer(call, user_id).other
            assert other is not None
            assert (other.device.user_id, other.user_id) == (user_id, device.user_id)
            assert other.call.session_id == call.session_id, "two sessions joined"
            assert other.call.leg_state(device.user_id) is LegState.CONNECTED, "one-sided"

    def check_nothing_left(self) -> None:
        """No call, no peer, no timer, every end told once, and no flood of signals."""
        for device in self.world.devices:
            assert device.calls == []
            assert device.open_peers == 0
            assert device.book.deadline() is None
            assert len(set(map(id, device.closings))) == len(device.closings), "closed twice"
            assert all(call in device.closings for call in device.rings), "an end was not told"
        assert len(self.world.wire) <= self.most_signals(), "too many signals"

    def most_signals(self) -> int:
        """A life of that many calls and devices sends no more."""
        return 40 * self.dialled * self.started_with**2

    def live(self) -> None:
        """The whole life with its checks."""
        self.happen()
        self.settle()
        self.check_agreement()
        self.hang_up_everything()
        self.settle()
        self.check_nothing_left()


class GlareLife(Life):
    """Two people with one device each, who want to talk to each other at about the same time."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, most_people=2, most_devices=1)
        self.lossy = self.world.faults.lose > 0

    def happen(self) -> None:
        for device in self.world.devices:
            [other] = [user_id for user_id in self.ids if user_id != device.user_id]
            self.dialled += 1
            device.call(other)
            self.world.run(self.rng.choice((0.0, 0.1, 4.0, 30.0)) * self.rng.random())
        self.world.run(self.rng.choice((0.1, 10.0, 70.0)))

    def check_agreement(self) -> None:
        super().check_agreement()
        first, second = self.world.devices
        assert len(first.calls) == len(second.calls) <= 1, "two calls"
        assert self.lossy or first.calls, "they did not meet"


class GroupLife(Life):
    """A group call that everybody accepts, on all their devices, at about the same time."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        slow = self.rng.choice((0.02, 0.1, 0.5))
        busy = self.rng.choice((0.0, 0.05, 0.5))
        self.world.faults = Faults(delay=(0.01, slow), engine_delay=(0.0, busy))

    def happen(self) -> None:
        caller, *others = self.ids
        [device, *_] = [device for device in self.world.devices if device.user_id == caller]
        self.dialled += 1
        device.call(*others)
        self.world.run(2.0)
        span = self.rng.choice((0.0, 0.1, 0.5))
        for other in self.world.devices:
            if other.user_id != caller:
                self.world.after(span * self.rng.random(), partial(self.take, other))
        self.world.run(10.0)

    def take(self, device: Device) -> None:
        for call in device.calls:
            if call.is_ringing:
                device.accept(call)

    def check_agreement(self) -> None:
        super().check_agreement()
        talking = [device for device in self.world.devices if device.calls]
        assert sorted(device.user_id for device in talking) == sorted(self.ids), "not one of each"
        for device in talking:
            for user_id in device.calls[0].members_ids:
                state = device.calls[0].leg_state(user_id)
                assert state is LegState.CONNECTED, f"{device.user_id} and {user_id} did not meet"
