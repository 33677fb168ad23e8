"""Networks that change under a chat connection and under calls, and media that stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio

from ringmesh import CubeChatConnectionState, DisconnectedFromUser, SessionState
from ringmesh.client.flow import SILENCE, TREMBLING, FlowMonitor
from ringmesh.client.network import Addresses, NetworkWatcher
from ringmesh.media.engine import PeerConnection
from ringmesh.media.stats import PathStats, PeerStats
from ringmesh.signals import CallType, HangUp
from tests.client.calling import Phone, all_meet, eventually
from tests.client.conftest import SignIn
from tests.interop.people import LIMIT

READY = CubeChatConnectionState.READY


async def test_a_new_address_under_a_call(sign_in: SignIn) -> None:
    """The chat comes back as the same device, ICE restarts, and nobody notices."""
    alice, bob = Phone(await sign_in(), 1), Phone(await sign_in(), 2)
    outgoing, incoming = await alice.calls(bob), await bob.answers()
    await all_meet({alice: outgoing, bob: incoming})
    for phone, session, other in ((alice, outgoing, bob), (bob, incoming, alice)):
        before = outgoing._call._legs[bob.id].recovery.offer
        phone.me.calls.network_changed(moved=True)
        await eventually(lambda before=before: outgoing._call._legs[bob.id].recovery.offer > before)  # type: ignore[misc]
        await eventually(lambda: outgoing.can_initiate_ice_restart(bob.id))
        await eventually(lambda phone=phone: phone.me.chat.state is READY)  # type: ignore[misc]
        await all_meet({alice: outgoing, bob: incoming})
        assert session.state is SessionState.CONNECTED
        assert other.me.chat.state is READY
    assert outgoing.answered_elsewhere is None


async def test_signals_over_a_breaking_chat(sign_in: SignIn) -> None:
    """Each arrives once and in order, though both sides lose their connections all the time."""
    alice, bob = await sign_in(), await sign_in()
    total, got = 120, list[str]()
    bob.chat.on_signal = lambda user_id, signal, device: got.append(signal.session_id)
    for number in range(total):
        signal = HangUp(
            session_id=f"s{number}",
            call_type=CallType.AUDIO_CALL,
            caller_id=alice.id,
            opponents_ids=(bob.id,),
        )
        alice.chat.send_signal(bob.id, signal)
        if number % 10 == 5:
            (alice if number % 20 == 5 else bob).chat.network_changed()
        if number % 10 == 7:
            await asyncio.sleep(0.05)
    await eventually(lambda: len(got) >= total)
    assert got == [f"s{number}" for number in range(total)]


class _Addresses(NetworkWatcher):
    """A watcher for whom the test says which addresses there are."""

    now: Addresses = ("10.0.0.1", None)

    def _look(self) -> Addresses:
        return self.now


@pytest_asyncio.fixture(loop_scope="session")
async def watched() -> AsyncIterator[tuple[_Addresses, list[bool]]]:
    """A watcher and what it told."""
    told: list[bool] = []
    watcher = _Addresses("http://127.0.0.1:1", told.append)
    await watcher.start()
    yield watcher, told
    watcher.close()


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([("10.0.0.1", None)], []),
        ([("10.0.0.2", None)], [True]),
        ([(None, None), ("10.0.0.1", None)], [False]),
        ([(None, None), ("10.0.0.2", None)], [True]),
        ([("10.0.0.1", "2001:db8::5")], [False]),
        ([(None, None), (None, None)], []),
    ],
)
async def test_what_counts_as_a_change(
    watched: tuple[_Addresses, list[bool]], looks: list[Addresses], expected: list[bool]
) -> None:
    """Another address, or the same after none; not the loss itself, and not a second look."""
    watcher, told = watched
    for addresses in looks:
        watcher.now = addresses
        watcher.check()
        watcher.check()
    assert told == expected


class _Connection:
    """What `FlowMonitor` needs of a connection."""

    def __init__(self) -> None:
        self.at: float | None = 0.0
        self.checks = self.pair = 0
        self.checking = self.changing = False
        self.playing = True
        self.looks = 0

    def last_media_at(self) -> float | None:
        if self.playing:
            self.at = asyncio.get_running_loop().time()
        self.looks += 1
        return None if self.at is None else self.at + TREMBLING / 10 * (self.looks % 2)

    async def get_stats(self) -> PeerStats:
        self.checks += self.checking
        self.pair += self.changing
        path = PathStats(
            local_type="host",
            remote_type="host",
            checks=self.checks + self.pair,
            pair_id=str(self.pair),
        )
        return PeerStats(timestamp=0.0, path=path)


async def test_media_that_stops_and_resumes() -> None:
    """Told once each; somebody who sends nothing but answers checks has not lost the path."""
    connection = _Connection()
    connections = {7: cast(PeerConnection, connection)}
    told: list[tuple[int, bool]] = []
    monitor = FlowMonitor(lambda: connections, lambda *change: told.append(change))
    monitor.start()
    await asyncio.sleep(SILENCE)
    assert told == []
    connection.playing = False
    await eventually(lambda: told == [(7, False)])
    connection.playing = True
    await eventually(lambda: told == [(7, False), (7, True)])
    connection.playing, connection.changing = False, True
    await eventually(lambda: connection.pair > 2)
    assert told[2:] == [(7, False)], "each pair has checks of its own"
    connection.changing, connection.checking = False, True
    await eventually(lambda: told[2:] == [(7, False), (7, True)])
    connections.clear()
    await eventually(lambda: monitor._task is None)


async def test_truth_is_told_to_applications(sign_in: SignIn) -> None:
    """A call whose media stops says so long before ICE would, and makes sure of the chat."""
    alice, bob = Phone(await sign_in(), 1), Phone(await sign_in(), 2)
    outgoing, incoming = await alice.calls(bob), await bob.answers()
    await all_meet({alice: outgoing, bob: incoming})
    connection = incoming._peers.connection(alice.id)
    await connection.close()
    lost = await outgoing.wait_for(DisconnectedFromUser, timeout=LIMIT)
    assert lost.user_id == bob.id
    assert alice.me.chat.state is READY
