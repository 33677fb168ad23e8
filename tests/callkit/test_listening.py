"""Hearing calls without taking part in them, and handing them over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import ringmesh
from ringmesh.calls.transitions import EndReason
from ringmesh.client.handover import pack, unpack
from ringmesh.client.listening import MAX_CALLS, CallListener, HeardCall, listen
from ringmesh.errors import ProtocolError, SignalError
from ringmesh.ice import IceCandidate
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from ringmesh.signals import Call, CallType, HangUp, IceCandidates, Ringing, Signal
from tests.callkit.desktop import until

SDP = "v=0\r\n"


class Line:
    """Alice, who writes signals by hand, and Bob, who only listens.

    Attributes:
        heard: what Alice was sent.
        rang: what rang at Bob's.
        ended: what rings there no more.
    """

    def __init__(self, alice: ringmesh.Connection, bob: CallListener) -> None:
        self.alice = alice
        self.bob = bob
        self.heard: list[Signal] = []
        self.rang: list[HeardCall] = []
        self.ended: list[HeardCall] = []
        alice.chat.on_signal = lambda _user, signal, _device: self.heard.append(signal)
        bob.on_ringing = self.rang.append
        bob.on_ended = self.ended.append
        bob.start()

    def send(self, kind: type[Signal], session_id: str, **fields: object) -> None:
        """Send Bob a signal."""
        base = {
            "session_id": session_id,
            "call_type": CallType.AUDIO_CALL,
            "caller_id": self.alice.id,
            "opponents_ids": (self.bob.user.id,),
        }
        self.alice.chat.send_signal(self.bob.user.id, kind(**base | fields))  # type: ignore[arg-type]

    async def count(self, what: str, number: int) -> None:
        """Wait until there are so many."""

        async def enough() -> bool:
            return len(getattr(self, what)) == number

        await until(enough, lambda: f"{number} {what}: {getattr(self, what)}")


@pytest_asyncio.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    """See `Line`."""
    async with (
        Server(tmp_path, load_settings(port=0)) as server,
        ringmesh.connect(server.url, login="alice", password="alice-demo") as alice,
        listen(server.url, login="bob", password="bob-demo") as bob,
    ):
        yield Line(alice, bob)


async def test_it_says_that_it_rings_and_nothing_else(line: Line) -> None:
    """However many call, nobody is told busy; calls beyond the limit are left to other devices."""
    for number in range(MAX_CALLS + 4):
        line.send(Call, f"call-{number}", sdp=SDP, extra={"offerNumber": "1"})
    await line.count("rang", MAX_CALLS)
    line.send(HangUp, "call-0")
    await line.count("ended", 1)
    await line.count("heard", MAX_CALLS)
    assert {type(signal) for signal in line.heard} == {Ringing}
    assert line.ended[0].end_reason is EndReason.REMOTE_HUNG_UP


async def test_a_caller_who_vanished_stops_the_ringing(line: Line) -> None:
    """Repeats that stay away end the ringing; when they come back it rings again."""
    often = {"repeatsEvery": "1"}
    line.send(Call, "call", sdp=SDP, extra=often)
    await line.count("ended", 1)
    assert line.ended[0].end_reason is EndReason.CALLER_LOST
    line.send(Call, "call", sdp=SDP, extra=often)
    await line.count("rang", 2)


async def test_what_another_process_needs_is_kept(line: Line) -> None:
    """The newest offer and all candidates are handed over as they came."""
    candidate = IceCandidate("candidate:1 1 udp 1 192.0.2.1 5000 typ host", "0", 0)
    line.send(Call, "call", sdp=SDP)
    line.send(IceCandidates, "call", candidates=(candidate,))
    line.send(Call, "call", sdp=SDP + "a=new\r\n")
    line.send(HangUp, "unknown")
    await line.count("rang", 1)
    (call,) = line.rang

    async def all_there() -> bool:
        signals = [unpack(record)[1] for record in call.records()]
        return [type(signal) for signal in signals] == [Call, IceCandidates] and (
            signals[0].sdp.endswith("a=new\r\n")  # type: ignore[attr-defined]
        )

    await until(all_there, lambda: str(call.records()))
    user_id, signal, device = unpack(call.records()[1])
    assert user_id == line.alice.id
    assert isinstance(signal, IceCandidates)
    assert signal.candidates == (candidate,)
    assert device


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"from": "x"}', '{"from": 1, "device": "", "signal": "<a/>"}', "[" * 9],
)
def test_records_are_not_trusted(text: str) -> None:
    """What was not packed is a typed error."""
    with pytest.raises(ProtocolError):
        unpack(text)


def test_what_xml_cannot_name_is_not_handed_over() -> None:
    """Some SDKs name things as XML does not: such an offer waits for its repeat."""
    call = Call(
        session_id="x",
        call_type=CallType.AUDIO_CALL,
        caller_id=1,
        opponents_ids=(2,),
        sdp=SDP,
        user_info={"1st": "x"},
    )
    with pytest.raises(SignalError):
        pack(1, call, "")
