"""Limits of bandwidth are obeyed within 10 %, counted in bytes of pictures that need far more."""

from __future__ import annotations

from ringmesh import CallType, ConnectedToUser, P2PSession, RTCMediaConfig
from tests.client.calling import Phone, told
from tests.client.conftest import SignIn
from tests.interop.bandwidth import all_obey, carries, hard_stream


async def in_a_hard_call(sign_in: SignIn, limit: int) -> tuple[P2PSession, Phone, P2PSession]:
    """A call with pictures that are hard to encode, and this limit for all."""
    alice = Phone(await sign_in(media=RTCMediaConfig(max_bandwidth=limit)), 1)
    bob = Phone(await sign_in(), 2)
    outgoing = alice.me.calls.create_call_session(CallType.VIDEO_CALL, [bob.id])
    await outgoing.init_local_media_stream(hard_stream())
    await outgoing.start_call()
    incoming = await bob.rings()
    await incoming.init_local_media_stream(hard_stream())
    await incoming.accept_call()
    await told(outgoing, ConnectedToUser, bob)
    return outgoing, bob, incoming


async def test_limits_are_obeyed(sign_in: SignIn) -> None:
    """The caller's limit holds for both; a new one of our own side for us alone; then none."""
    outgoing, bob, _ = await in_a_hard_call(sign_in, 400)
    await all_obey(outgoing, bob.id, sent=400, received=400)
    await outgoing.set_max_bandwidth(300)
    await all_obey(outgoing, bob.id, sent=300, received=400)
    await outgoing.set_max_bandwidth(0)
    await carries(outgoing, bob.id, "video_sent", 500)
