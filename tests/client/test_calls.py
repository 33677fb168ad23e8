"""Calls between Python SDKs through the real server, with real media, checked by content."""

from __future__ import annotations

import asyncio

import pytest

from ringmesh import (
    CallAcceptedByUser,
    CallRejectedByUser,
    CallType,
    ConfigurationError,
    ConnectedToUser,
    EndReason,
    InvalidStateError,
    LegState,
    ReceiveHungUpFromUser,
    RemoteStreamReceived,
    RemoteStreamRemoved,
    RTCConfig,
    SessionState,
    UserNoAnswer,
)
from ringmesh.media.synthetic import is_black
from tests.client.calling import Phone, all_meet, over, told
from tests.client.conftest import SignIn
from tests.interop.people import LIMIT, remote_stream

SHORT = RTCConfig(no_answer_timeout=1.0)


async def two(sign_in: SignIn, **options: object) -> tuple[Phone, Phone]:
    """Two people."""
    return Phone(await sign_in(**options), 1), Phone(await sign_in(**options), 2)


async def test_video_call_carries_pictures_and_sound_both_ways(sign_in: SignIn) -> None:
    """Both hear and see each other, and are told what was sent with call, answer and hang-up."""
    alice, bob = await two(sign_in)
    outgoing = await alice.calls(bob, user_info={"topic": "Zoë & <co>"})
    incoming = await bob.answers({"mood": "good"})

    assert incoming.session_id == outgoing.session_id
    assert (incoming.caller_id, incoming.opponents_ids) == (alice.id, (bob.id,))
    assert incoming.user_info == {"topic": "Zoë & <co>"}
    assert (await told(outgoing, CallAcceptedByUser, bob)).user_info == {"mood": "good"}
    await all_meet({alice: outgoing, bob: incoming})
    assert outgoing.state is incoming.state is SessionState.CONNECTED
    assert outgoing.connection_state_for_user(bob.id) is LegState.CONNECTED

    await outgoing.hang_up({"why": "done"})
    assert (await told(incoming, ReceiveHungUpFromUser, alice)).user_info == {"why": "done"}
    received = await told(incoming, RemoteStreamReceived, alice)
    assert (await told(incoming, RemoteStreamRemoved, alice)).stream is received.stream
    assert await over(outgoing, incoming) == [EndReason.HUNG_UP, EndReason.REMOTE_HUNG_UP]
    assert not incoming.remote_streams


async def test_audio_call_carries_sound_and_no_picture(sign_in: SignIn) -> None:
    """An audio call has no video track, on either side."""
    alice, bob = await two(sign_in)
    outgoing = await alice.calls(bob, call_type=CallType.AUDIO_CALL)
    incoming = await bob.answers()
    assert incoming.call_type is CallType.AUDIO_CALL
    await all_meet({alice: outgoing, bob: incoming})
    for session, other in ((outgoing, bob), (incoming, alice)):
        assert not (await remote_stream(session, other.id)).has_video
        assert (await session.get_stats(other.id)).video_received is None


async def test_callee_hangs_up(sign_in: SignIn) -> None:
    """The caller is told who left; the call is over on both sides."""
    alice, bob = await two(sign_in)
    outgoing = await alice.calls(bob)
    incoming = await bob.answers()
    await told(incoming, ConnectedToUser, alice)
    await incoming.hung_up()
    assert (await told(outgoing, ReceiveHungUpFromUser)).user_id == bob.id
    assert await over(incoming, outgoing) == [EndReason.HUNG_UP, EndReason.REMOTE_HUNG_UP]
    await incoming.hang_up()  # once more does nothing


async def test_caller_cancels_while_it_rings(sign_in: SignIn) -> None:
    """The callee stops ringing, and cannot accept any more."""
    alice, bob = await two(sign_in)
    outgoing = await alice.calls(bob)
    incoming = await bob.rings()
    await outgoing.hang_up()
    assert await over(incoming) == [EndReason.REMOTE_HUNG_UP]
    with pytest.raises(InvalidStateError):
        await incoming.accept_call()


async def test_callee_declines(sign_in: SignIn) -> None:
    """The caller is told, with what the callee said."""
    alice, bob = await two(sign_in)
    outgoing = await alice.calls(bob)
    incoming = await bob.rings()
    await incoming.reject({"reason": "meeting"})
    assert (await told(outgoing, CallRejectedByUser, bob)).user_info == {"reason": "meeting"}
    assert await over(incoming, outgoing) == [EndReason.REJECTED, EndReason.REMOTE_REJECTED]


async def test_busy(sign_in: SignIn) -> None:
    """With `max_calls` reached, the next caller is declined as busy, and nothing rings."""
    alice, bob = await two(sign_in, rtc=RTCConfig(max_calls=1))
    carol = Phone(await sign_in(), 3)
    first = await alice.calls(bob)
    await told(await bob.answers(), ConnectedToUser, alice)
    second = await carol.calls(bob)
    assert (await told(second, CallRejectedByUser, bob)).user_info == {"busy": "true"}
    assert bob.rung.empty()
    assert first.state is SessionState.CONNECTED


async def test_no_answer(sign_in: SignIn) -> None:
    """After `no_answer_timeout` the caller is told, and the callee's ringing ends."""
    alice = Phone(await sign_in(rtc=SHORT), 1)
    bob = Phone(await sign_in(), 2)
    outgoing = await alice.calls(bob)
    incoming = await bob.rings()
    await told(outgoing, UserNoAnswer, bob)
    assert await over(outgoing, incoming) == [EndReason.NO_ANSWER, EndReason.REMOTE_HUNG_UP]


async def test_calling_somebody_who_is_offline(sign_in: SignIn) -> None:
    """Nobody there is no answer."""
    alice = Phone(await sign_in(rtc=SHORT), 1)
    session = alice.me.calls.create_call_session(CallType.AUDIO_CALL, [987_654_321])
    await session.start_call()
    assert await over(session) == [EndReason.NO_ANSWER]


async def test_declining_without_the_session_object(sign_in: SignIn) -> None:
    """`reject_call` goes over REST, and the caller is told as if the callee had declined."""
    alice, bob = await two(sign_in)
    outgoing = await alice.calls(bob)
    incoming = await bob.rings()
    await bob.me.calls.reject_call(outgoing.session_id, {alice.id}, {"from": "notification"})
    rejected = await told(outgoing, CallRejectedByUser, bob)
    assert rejected.user_info == {"from": "notification"}
    assert await over(outgoing) == [EndReason.REMOTE_REJECTED]
    await over(incoming)


async def test_mesh_of_four(sign_in: SignIn) -> None:
    """Four people all hear and see each other; one leaves, three stay; the caller ends it."""
    phones = [Phone(await sign_in(), number) for number in (1, 2, 3, 4)]
    alice, bob, carol, dave = phones
    sessions = {alice: await alice.calls(bob, carol, dave)}
    for phone in (carol, dave, bob):
        sessions[phone] = await phone.answers()
    await all_meet(sessions)

    await sessions.pop(dave).hang_up()
    for phone, session in sessions.items():
        await told(session, ReceiveHungUpFromUser, dave)
        assert session.state is SessionState.CONNECTED, phone.number
    await sessions[alice].hang_up()
    reasons = await over(*sessions.values())
    assert reasons == [EndReason.HUNG_UP] + 2 * [EndReason.REMOTE_HUNG_UP]


async def test_a_group_goes_on_without_who_declines(sign_in: SignIn) -> None:
    """In a call to two, the one who declines is told about; the others talk."""
    alice, bob, carol = [Phone(await sign_in(), number) for number in (1, 2, 3)]
    outgoing = await alice.calls(bob, carol)
    await (await bob.rings()).reject()
    await told(outgoing, CallRejectedByUser, bob)
    incoming = await carol.answers()
    await all_meet({alice: outgoing, carol: incoming})


@pytest.mark.parametrize("count", [0, 4])
async def test_wrong_number_of_people(sign_in: SignIn, count: int) -> None:
    """A call has one to three opponents; a fifth person is refused with a clear error."""
    me = await sign_in()
    with pytest.raises(ConfigurationError):
        me.calls.create_call_session(CallType.VIDEO_CALL, [me.id + 1 + i for i in range(count)])


async def test_answered_on_another_device(sign_in: SignIn) -> None:
    """All devices of a user ring; those that did not answer stop, and say why."""
    alice = Phone(await sign_in(), 1)
    phone = Phone(await sign_in("bob-with-two"), 2)
    tablet = Phone(await sign_in("bob-with-two"), 3)
    outgoing = await alice.calls(phone)
    rung = await tablet.rings()
    incoming = await phone.answers()
    assert await over(rung) == [EndReason.ANSWERED_ELSEWHERE]
    await all_meet({alice: outgoing, phone: incoming})


async def test_declined_on_another_device(sign_in: SignIn) -> None:
    """Declining on one device silences the others."""
    alice = Phone(await sign_in(), 1)
    phone = Phone(await sign_in("carl-with-two"), 2)
    tablet = Phone(await sign_in("carl-with-two"), 3)
    outgoing = await alice.calls(phone)
    rung = await tablet.rings()
    await (await phone.rings()).reject()
    assert await over(rung, outgoing) == [
        EndReason.REJECTED_ELSEWHERE,
        EndReason.REMOTE_REJECTED,
    ]


async def test_two_people_call_each_other_at_once(sign_in: SignIn) -> None:
    """One call results, on both sides, and nobody has to accept."""
    alice, bob = await two(sign_in)
    from_alice, from_bob = await asyncio.gather(alice.calls(bob), bob.calls(alice))
    await all_meet({alice: from_alice, bob: from_bob})
    assert from_alice.session_id == from_bob.session_id
    assert alice.rung.empty()
    assert bob.rung.empty()
    assert alice.me.calls.sessions[from_alice.session_id] is from_alice


async def test_calling_somebody_who_is_calling_us(sign_in: SignIn) -> None:
    """A call to the person whose call rings here answers that call."""
    alice, bob = await two(sign_in)
    from_alice = await alice.calls(bob)
    ringing = await bob.rings()
    from_bob = await bob.calls(alice)
    assert await over(ringing) == [EndReason.REPLACED]
    await all_meet({alice: from_alice, bob: from_bob})
    assert from_alice.session_id == from_bob.session_id
    assert bob.me.calls.sessions[from_bob.session_id] is from_bob


@pytest.mark.parametrize("opponents", [["5"], [None], [-1], [5, 5]])
async def test_wrong_opponents(sign_in: SignIn, opponents: list[int]) -> None:
    """Opponents are the ids of different users."""
    me = await sign_in()
    with pytest.raises(ConfigurationError, match="opponents_ids"):
        me.calls.create_call_session(CallType.VIDEO_CALL, opponents)
    with pytest.raises(ConfigurationError, match="call_type"):
        me.calls.create_call_session(1, [me.id + 1])  # type: ignore[arg-type]


async def test_blank_media_unless_given(sign_in: SignIn) -> None:
    """Who answers without local media sends black pictures and silence."""
    alice, bob = await two(sign_in)
    outgoing = await alice.calls(bob)
    incoming = await bob.rings()
    await incoming.accept_call()
    stream = await remote_stream(outgoing, bob.id)
    async with asyncio.timeout(LIMIT):
        async for frame in stream.video_frames():
            assert is_black(frame)
            break
    blank = incoming.local_stream
    assert blank is not None
    await outgoing.hang_up()
    await over(incoming)
    assert blank.closed


async def test_own_stream_is_never_closed_by_a_call(sign_in: SignIn) -> None:
    """A stream outlives the call it was given to."""
    alice, bob = await two(sign_in)
    outgoing = await alice.calls(bob)
    await outgoing.hang_up()
    await over(outgoing)
    assert outgoing.local_stream is not None
    assert not outgoing.local_stream.closed


async def test_a_remote_stream_is_announced_once(sign_in: SignIn) -> None:
    """The callback gets one stream, with sound and picture, not one per track."""
    alice, bob = await two(sign_in)
    announced: list[int] = []
    outgoing = alice.me.calls.create_call_session(CallType.VIDEO_CALL, [bob.id])
    outgoing.on_remote_stream_received = lambda _session, user_id, _stream: announced.append(
        user_id
    )
    await outgoing.start_call()
    await bob.answers()
    stream = (await told(outgoing, RemoteStreamReceived, bob)).stream
    await told(outgoing, ConnectedToUser, bob)
    assert stream.has_audio
    assert stream.has_video
    assert announced == [bob.id]
