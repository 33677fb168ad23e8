"""Statistics, levels, quality and the report of real calls."""

from __future__ import annotations

import asyncio
import json
from typing import TypeVar

import pytest

from ringmesh import (
    CubeMicLevelEvent,
    CubeStatsReport,
    CubeStatsReportsManager,
    CubeVideoBitrateEvent,
    InvalidStateError,
    MediaDirection,
    P2PSession,
    Quality,
    QualityChanged,
    QualityLevel,
    RTCConfig,
    SessionClosed,
)
from ringmesh.client.broadcast import QUEUE_LIMIT, Subscription
from tests.client.calling import Phone, all_meet, eventually
from tests.client.conftest import SignIn
from tests.interop.people import LIMIT

OFTEN = RTCConfig(stats_reports_interval=100)
T = TypeVar("T")


async def in_a_call(sign_in: SignIn) -> tuple[Phone, P2PSession, Phone, P2PSession]:
    """Two people who hear and see each other; the first looks at statistics often."""
    alice, bob = Phone(await sign_in(rtc=OFTEN), 1), Phone(await sign_in(), 2)
    outgoing = await alice.calls(bob)
    incoming = await bob.answers()
    await all_meet({alice: outgoing, bob: incoming})
    return alice, outgoing, bob, incoming


async def take(stream: Subscription[T], count: int) -> list[T]:
    """The next of a stream."""
    async with asyncio.timeout(LIMIT):
        return [await anext(stream) for _ in range(count)]


async def test_reports_come_and_end_with_the_call(sign_in: SignIn) -> None:
    """Each look tells of the person with typed figures, and the stream ends with the call."""
    _, outgoing, bob, _ = await in_a_call(sign_in)
    reports = outgoing.stats_reports
    first, *_, last = await take(reports, 10)
    assert isinstance(first, CubeStatsReport)
    assert {first.user_id, last.user_id} == {bob.id}
    assert 0.5 < last.stats.timestamp - first.stats.timestamp < 20
    before, after = first.stats, last.stats
    assert after.path is not None
    assert (after.path.relayed, after.path.protocol) == (False, "udp")
    assert after.path.available_outgoing_bitrate
    for received in (after.video_received, after.audio_received):
        assert received is not None
        assert received.packets > 0
        assert received.jitter is not None
    assert after.video_received is not None
    assert after.video_sent is not None
    assert before.video_received is not None
    assert (after.video_received.codec, after.video_received.height) == ("VP8", 360)
    assert (after.video_received.frames or 0) > (before.video_received.frames or 0)
    await outgoing.hang_up()
    async with asyncio.timeout(LIMIT):
        assert all([report.user_id == bob.id async for report in reports])


async def test_off_by_default(sign_in: SignIn) -> None:
    """Without an interval nothing is looked at: streams end at once, a report is refused."""
    _, _, _, incoming = await in_a_call(sign_in)
    async with asyncio.timeout(LIMIT):
        assert [report async for report in incoming.stats_reports] == []
    with pytest.raises(InvalidStateError, match="stats_reports_interval"):
        incoming.report()


async def test_levels_and_bitrates(sign_in: SignIn) -> None:
    """The manager tells how loud both are and how much video comes; muting silences."""
    alice, outgoing, bob, incoming = await in_a_call(sign_in)
    manager = CubeStatsReportsManager()
    manager.init(outgoing)
    levels, rates = manager.mic_level_stream, manager.video_bitrate_stream

    async def level(user_id: int, low: float, high: float) -> None:
        async with asyncio.timeout(LIMIT):
            async for event in levels:
                assert isinstance(event, CubeMicLevelEvent)
                if event.user_id == user_id and low <= event.mic_level <= high:
                    return

    await level(bob.id, 0.2, 0.3)  # tones at a quarter of full scale
    await level(alice.id, 0.2, 0.3)
    incoming.set_microphone_mute(True)
    await level(bob.id, 0.0, 0.01)
    outgoing.set_microphone_mute(True)
    await level(alice.id, 0.0, 0.01)

    async with asyncio.timeout(LIMIT):
        async for rate in rates:
            assert isinstance(rate, CubeVideoBitrateEvent)
            assert rate.user_id == bob.id
            if 50 < rate.bit_rate < 5000:
                break
    with pytest.raises(InvalidStateError, match="dispose"):
        manager.init(outgoing)
    manager.dispose()
    manager.dispose()
    async with asyncio.timeout(LIMIT):
        assert [event async for event in levels if event.user_id not in (alice.id, bob.id)] == []
    manager.init(outgoing)  # it can be used again
    await take(manager.mic_level_stream, 1)
    manager.dispose()


async def test_streams_of_the_manager_end_with_the_call(sign_in: SignIn) -> None:
    """When the call is over the manager's streams are, too."""
    _, outgoing, _, _ = await in_a_call(sign_in)
    manager = CubeStatsReportsManager()
    levels = manager.mic_level_stream  # also when taken before
    manager.init(outgoing)
    await take(levels, 2)
    await outgoing.hang_up()
    async with asyncio.timeout(LIMIT):
        async for _ in levels:
            pass
    manager.dispose()


def test_a_manager_needs_a_loop() -> None:
    """Outside of a running program `init` is a clear error."""
    with pytest.raises(InvalidStateError, match="event loop"):
        CubeStatsReportsManager().init(None)  # type: ignore[arg-type]


async def test_reports_that_nobody_reads(sign_in: SignIn) -> None:
    """A reader that never reads holds up nobody, and what waits for it is bounded."""
    _, outgoing, bob, _ = await in_a_call(sign_in)
    unread, read = outgoing.stats_reports, outgoing.stats_reports
    for number in range(QUEUE_LIMIT + 10):
        outgoing._statistics._broadcast.publish(CubeStatsReport(number, None))  # type: ignore[arg-type]
    await eventually(lambda: len(unread._queue) == QUEUE_LIMIT)
    read.close()
    assert (await take(outgoing.stats_reports, 2))[1].user_id == bob.id


@pytest.mark.parametrize("behaviour", ["raises", "never returns"])
async def test_a_bad_callback(sign_in: SignIn, behaviour: str) -> None:
    """A callback that raises or never returns stops neither the looks nor the call."""
    alice, outgoing, bob, incoming = await in_a_call(sign_in)
    called: list[tuple[object, ...]] = []

    async def callback(*arguments: object) -> None:
        called.append(arguments)
        if behaviour == "raises":
            raise RuntimeError("a mistake in the application")
        await asyncio.Event().wait()

    outgoing.on_quality_changed = callback
    poor = Quality(QualityLevel.POOR)
    for _ in range(3):
        outgoing._statistics._changed(bob.id, MediaDirection.SENDING, poor)
    await eventually(lambda: len(called) == 3)
    assert called[0] == (outgoing, bob.id, MediaDirection.SENDING, poor)
    told = await outgoing.wait_for(QualityChanged, timeout=LIMIT)
    assert (told.user_id, told.quality) == (bob.id, poor)
    await take(outgoing.stats_reports, 3)
    await all_meet({alice: outgoing, bob: incoming})


async def test_the_report_of_a_call(sign_in: SignIn) -> None:
    """After a call its report has who was there, for how long, and how it was."""
    _, outgoing, bob, incoming = await in_a_call(sign_in)
    await take(outgoing.stats_reports, 25)
    during = outgoing.report()
    assert during.people[0].name == str(bob.id)
    await incoming.hang_up()
    await outgoing.wait_for(SessionClosed, timeout=LIMIT)
    report = outgoing.report({bob.id: "Bob"})
    [person] = report.people
    assert (report.session_id, report.media) == (outgoing.session_id, "video")
    assert (person.user_id, person.name, person.path) == (bob.id, "Bob", "direct")
    assert [event.what for event in person.events] == ["connected", "ended"]
    assert report.seconds > 2
    assert abs(person.events[-1].at - report.seconds) < 1
    assert len(person.samples) >= 2
    assert all(0 < sample.at < report.seconds + 1 for sample in person.samples)
    assert person.samples[-1].receiving.video_kbps > 20
    assert person.samples[-1].sending.video_kbps > 20
    assert (person.samples[-1].receiving.frames_per_second or 0) > 5
    json.loads(report.to_json())
    assert "Bob" in report.to_html()
    assert outgoing.quality(bob.id).keys() == set(MediaDirection)
