"""What is sent can be chosen, muted, replaced and limited while a call runs."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from ringmesh import (
    CallAcceptedByUser,
    CallType,
    ConfigurationError,
    ConnectedToUser,
    InvalidStateError,
    LocalStream,
    P2PSession,
    RTCMediaConfig,
)
from ringmesh.media.synthetic import is_black
from tests.client.calling import Phone, all_meet, eventually, told
from tests.client.conftest import SignIn
from tests.interop.people import LIMIT, coded, hears, remote_stream, sees


async def in_a_call(
    sign_in: SignIn, **options: object
) -> tuple[Phone, P2PSession, Phone, P2PSession]:
    """Two people who hear and see each other."""
    alice, bob = Phone(await sign_in(**options), 1), Phone(await sign_in(), 2)
    outgoing = await alice.calls(bob)
    incoming = await bob.answers()
    await all_meet({alice: outgoing, bob: incoming})
    return alice, outgoing, bob, incoming


async def pair_id(session: P2PSession, other: Phone) -> str:
    """The selected candidate pair; empty while there is none."""
    path = (await session.get_stats(other.id)).path
    return "" if path is None else path.pair_id


async def leaves_pair(before: str, session: P2PSession, other: Phone) -> None:
    """Wait until another pair is used than this one."""
    async with asyncio.timeout(LIMIT):
        while await pair_id(session, other) in ("", before):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def sees_black(session: P2PSession, user_id: int) -> None:
    """Wait for a black picture."""
    stream = await remote_stream(session, user_id)
    async with asyncio.timeout(LIMIT):
        async for frame in stream.video_frames():
            if is_black(frame):
                return


async def hears_nothing(session: P2PSession, user_id: int) -> None:
    """Wait for a quarter of a second of silence."""
    stream = await remote_stream(session, user_id)
    quiet = 0
    async with asyncio.timeout(LIMIT):
        async for block in stream.audio_frames():
            quiet = quiet + 1 if int(np.abs(block.samples).max()) < 100 else 0
            if quiet == 25:
                return


async def test_muting(sign_in: SignIn) -> None:
    """A muted microphone sends silence and a disabled camera black; both come back."""
    alice, outgoing, bob, incoming = await in_a_call(sign_in)
    outgoing.set_microphone_mute(True)
    outgoing.set_video_enabled(False)
    await hears_nothing(incoming, alice.id)
    await sees_black(incoming, alice.id)
    outgoing.set_microphone_mute(False)
    outgoing.set_video_enabled(True)
    await bob.meets(incoming, [alice])


async def test_replacing_the_stream(sign_in: SignIn) -> None:
    """Another stream can be sent in a running call."""
    alice, outgoing, _, incoming = await in_a_call(sign_in)
    other = coded(9, 1500.0)
    await outgoing.replace_media_stream(other)
    assert outgoing.local_stream is other
    await sees(incoming, alice.id, 9)
    await hears(incoming, alice.id, 1500.0)


async def test_init_after_the_call_began_is_refused(sign_in: SignIn) -> None:
    """Once connections exist, local media is replaced, not initialised."""
    _, outgoing, _, _ = await in_a_call(sign_in)
    with pytest.raises(InvalidStateError, match="replace_media_stream"):
        await outgoing.init_local_media_stream()


async def test_local_stream_is_announced(sign_in: SignIn) -> None:
    """`on_local_stream_received` gets the stream that will be sent."""
    me = await sign_in()
    session = me.calls.create_call_session(CallType.VIDEO_CALL, [me.id + 1])
    announced: list[LocalStream] = []
    session.on_local_stream_received = announced.append
    stream = coded(1, 440.0)
    assert await session.init_local_media_stream(stream) is stream
    blank = await session.init_local_media_stream()
    assert announced == [stream, blank] == [stream, session.local_stream]


async def test_a_blank_stream_has_the_size_that_is_set(sign_in: SignIn) -> None:
    """Black pictures are as large as a camera's would be."""
    me = await sign_in(media=RTCMediaConfig(min_width=320, min_height=180))
    session = me.calls.create_call_session(CallType.VIDEO_CALL, [me.id + 1])
    blank = await session.init_local_media_stream()
    async with asyncio.timeout(LIMIT):
        async for frame in blank.video_frames():
            assert (frame.width, frame.height) == (320, 180)
            break
    await session.hang_up()


async def test_a_closed_stream_is_refused(sign_in: SignIn) -> None:
    """A stream that can send nothing any more is refused at once, before and in a call."""
    me = await sign_in()
    session = me.calls.create_call_session(CallType.VIDEO_CALL, [me.id + 1])
    closed = coded(1, 440.0)
    closed.close()
    for refuse in (session.init_local_media_stream, session.replace_media_stream):
        with pytest.raises(InvalidStateError, match="closed"):
            await refuse(closed)


async def test_muting_needs_a_stream(sign_in: SignIn) -> None:
    """There is nothing to mute before there is local media."""
    me = await sign_in()
    session = me.calls.create_call_session(CallType.VIDEO_CALL, [me.id + 1])
    with pytest.raises(InvalidStateError):
        session.set_microphone_mute(True)


async def target_bitrate(session: P2PSession, user_id: int, *, below: float) -> None:
    """Wait until our video sender aims below this many bit/s."""
    async with asyncio.timeout(LIMIT):
        while True:
            sent = (await session.get_stats(user_id)).video_sent
            if sent is not None and sent.target_bitrate and sent.target_bitrate < below:
                return
            await asyncio.sleep(0.1)


async def test_the_callers_limit_holds_for_everybody(sign_in: SignIn) -> None:
    """A limit in kbit/s set by the caller caps the video senders of both."""
    alice, outgoing, bob, incoming = await in_a_call(
        sign_in, media=RTCMediaConfig(max_bandwidth=150)
    )
    assert incoming.user_info["maxBandwidth"] == "150"
    await target_bitrate(outgoing, bob.id, below=151_000)
    await target_bitrate(incoming, alice.id, below=151_000)


async def test_the_smaller_limit_counts(sign_in: SignIn) -> None:
    """Who is called keeps to a limit of his own where the caller's is larger, or none."""
    limited = RTCMediaConfig(max_bandwidth=150)
    alice, bob = Phone(await sign_in(), 1), Phone(await sign_in(media=limited), 2)
    for announced, limit in ((None, 150_000), ("100", 100_000)):
        outgoing = await alice.calls(bob, user_info={"maxBandwidth": announced})
        incoming = await bob.answers()
        await told(incoming, ConnectedToUser, alice)
        await target_bitrate(incoming, alice.id, below=limit + 1000)
        await outgoing.hang_up()


async def test_limiting_a_running_call(sign_in: SignIn) -> None:
    """The limit can be set while the call runs; other values are refused."""
    _, outgoing, bob, _ = await in_a_call(sign_in)
    await outgoing.set_max_bandwidth(120)
    await target_bitrate(outgoing, bob.id, below=121_000)
    for wrong in (-1, 10**9, 1.5):
        with pytest.raises(ConfigurationError):
            await outgoing.set_max_bandwidth(wrong)  # type: ignore[arg-type]


async def test_ice_restart(sign_in: SignIn) -> None:
    """The side that offered can restart ICE, the other one has it done; media goes on."""
    alice, outgoing, bob, incoming = await in_a_call(sign_in)
    assert outgoing.can_initiate_ice_restart(bob.id)
    assert not incoming.can_initiate_ice_restart(alice.id)
    for who, other in ((outgoing, bob), (incoming, alice)):
        before = [await pair_id(outgoing, bob), await pair_id(incoming, alice)]
        await who.ice_restart(other.id)
        await leaves_pair(before[0], outgoing, bob)
        await leaves_pair(before[1], incoming, alice)
        await eventually(lambda: outgoing.can_initiate_ice_restart(bob.id))
        await all_meet({alice: outgoing, bob: incoming})


async def test_statistics_need_a_connection(sign_in: SignIn) -> None:
    """Asking for statistics of nobody is an error, not a wait."""
    alice, bob = Phone(await sign_in(), 1), Phone(await sign_in(), 2)
    outgoing = await alice.calls(bob)
    with pytest.raises(InvalidStateError):
        await outgoing.get_stats(12345)
    await bob.answers()
    await told(outgoing, CallAcceptedByUser, bob)
    await told(outgoing, ConnectedToUser, bob)
    assert (await outgoing.get_stats(bob.id)).path is not None
