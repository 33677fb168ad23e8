"""The engine over real loopback connections."""

from __future__ import annotations

import asyncio
import gc

import pytest
import wrtc

from ringmesh.errors import InvalidStateError, MediaError
from ringmesh.ice import IceCandidate, IceConnectionState, IceServer
from ringmesh.media.engine import PeerCallbacks
from ringmesh.media.stats import PeerStats, bitrates
from ringmesh.media.streams import LocalStream
from ringmesh.media.synthetic import FrameCode, is_black, read_code
from ringmesh.media.wrtc_engine import MAX_EARLY_CANDIDATES, WrtcEngine

from .peers import LIMIT, Peer, first_frame, hear_until, joined, media_threads, negotiate, until

SILENT = PeerCallbacks(
    ice_candidate=lambda _: None,
    ice_connection_state=lambda _: None,
    remote_stream=lambda _: None,
)


def shows(stream_id: int, after: int = -1):  # type: ignore[no-untyped-def]
    """Whether a picture is from this stream and later than a counter."""

    def condition(frame) -> bool:  # type: ignore[no-untyped-def]
        code = read_code(frame)
        return code is not None and code.stream_id == stream_id and code.counter > after

    return condition


async def test_pictures_and_sound_arrive_both_ways() -> None:
    """Both sides see the other's frame counter advance and hear the other's tone."""
    left_stream = LocalStream.synthetic(tone_hz=440, stream_id=1)
    right_stream = LocalStream.synthetic(tone_hz=1000, stream_id=2)
    async with joined(left_stream, right_stream) as (left, right):
        for peer, stream_id, tone_hz in ((left, 2, 1000), (right, 1, 440)):
            remote = await peer.remote_stream()
            assert remote.has_audio
            assert remote.has_video
            codes: list[FrameCode] = []
            async for frame in remote.video_frames():
                code = read_code(frame)
                assert code is not None
                codes.append(code)
                if len(codes) == 10:
                    break
            counters = [code.counter for code in codes]
            assert {code.stream_id for code in codes} == {stream_id}
            assert counters == sorted(set(counters))
            tone = await hear_until(remote, lambda tone: tone.purity > 0.9)
            assert abs(tone.frequency - tone_hz) < 5


async def test_an_audio_call_has_no_video() -> None:
    """Without `receive_video` sound flows and no picture is offered, even with a video stream."""
    async with joined(
        LocalStream.synthetic(tone_hz=700), LocalStream.synthetic(), receive_video=False
    ) as (left, right):
        remote = await right.remote_stream()
        tone = await hear_until(remote, lambda tone: tone.purity > 0.9)
        assert abs(tone.frequency - 700) < 5
        assert not remote.has_video
        assert "m=video" not in (left.connection.local_sdp() or "")


async def test_an_answer_without_a_stream_carries_black_and_silence() -> None:
    """Who answers a video call and sends nothing still sends a black picture and silence."""
    async with joined(LocalStream.synthetic(), None) as (left, _):
        remote = await left.remote_stream()
        assert remote.has_audio
        assert remote.has_video
        assert is_black(await first_frame(remote))
        stats = await stats_when(left, lambda stats: stats.audio_received and stats.video_received)
        assert stats.audio_received is not None
        assert stats.audio_received.packets > 0


async def test_an_audio_answer_to_a_video_offer_declines_the_video() -> None:
    """A peer without video answers a video offer; sound flows."""
    left, right = Peer(), Peer(receive_video=False)
    left.other, right.other = right, left
    stream = LocalStream.synthetic(tone_hz=600)
    try:
        await left.connection.set_local_stream(stream)
        await negotiate(left, right)
        await right.connected()
        tone = await hear_until(await right.remote_stream(), lambda tone: tone.purity > 0.9)
        assert abs(tone.frequency - 600) < 5
    finally:
        await left.close()
        await right.close()
        stream.close()


async def test_muting_sends_silence_and_black() -> None:
    """`audio_enabled` and `video_enabled` act while sending, and media comes back."""
    stream = LocalStream.synthetic(stream_id=3)
    async with joined(stream, None) as (_, right):
        remote = await right.remote_stream()
        await first_frame(remote, shows(3))
        await hear_until(remote, lambda tone: tone.level > 0.1)
        stream.video_enabled = stream.audio_enabled = False
        await first_frame(remote, is_black)
        await hear_until(remote, lambda tone: tone.level < 0.005)
        stream.video_enabled = stream.audio_enabled = True
        await first_frame(remote, shows(3))
        await hear_until(remote, lambda tone: tone.level > 0.1)


async def test_the_local_stream_is_replaced_without_renegotiation() -> None:
    """`set_local_stream` switches what is sent, and None sends black and silence."""
    first = LocalStream.synthetic(stream_id=1, tone_hz=400)
    second = LocalStream.synthetic(stream_id=2, tone_hz=900, width=320, height=180)
    async with joined(first, None) as (left, right):
        remote = await right.remote_stream()
        await first_frame(remote, shows(1))
        sdp = left.connection.local_sdp()
        await left.connection.set_local_stream(second)
        await first_frame(remote, shows(2))
        await hear_until(remote, lambda tone: abs(tone.frequency - 900) < 5)
        await left.connection.set_local_stream(None)
        await first_frame(remote, is_black)
        await hear_until(remote, lambda tone: tone.level < 0.005)
        assert left.connection.local_sdp() == sdp
    second.close()


async def test_a_stream_closed_during_a_call_leaves_black() -> None:
    """Closing the stream that is sent shows black on the other side, not its last picture."""
    stream = LocalStream.synthetic(stream_id=8)
    async with joined(stream, None) as (left, right):
        remote = await right.remote_stream()
        await first_frame(remote, shows(8))
        stream.close()
        await first_frame(remote, is_black)
        with pytest.raises(InvalidStateError):
            await left.connection.set_local_stream(stream)


async def test_one_stream_feeds_several_peers() -> None:
    """Two connections send one stream, and it goes on for one when the other closes."""
    stream = LocalStream.synthetic(stream_id=5)
    async with (
        joined(None, stream) as (other, _),
        joined(stream, None) as (left, right),
    ):
        one, two = await right.remote_stream(), await other.remote_stream()
        seen = read_code(await first_frame(one, shows(5)))
        assert seen is not None
        await first_frame(two, shows(5))
        await left.close()
        await first_frame(two, shows(5, after=seen.counter + 5))


async def test_the_bandwidth_cap_takes_effect_and_is_lifted() -> None:
    """A cap of 150 kbit/s is kept, and without it the sender takes much more."""
    stream = LocalStream.synthetic(width=640, height=480, frame_rate=30)
    async with joined(stream, None) as (left, _):
        await left.connection.set_max_bandwidth(150)
        await rate_when(left, lambda rate: 0 < rate < 180_000)
        stats = await left.connection.get_stats()
        assert stats.video_sent is not None
        assert stats.video_sent.target_bitrate is not None
        assert stats.video_sent.target_bitrate <= 150_000
        await left.connection.set_max_bandwidth(0)
        await rate_when(left, lambda rate: rate > 250_000)


async def test_a_cap_set_before_the_call_holds() -> None:
    """A cap given before the first offer is in force once media flows."""
    left, right = Peer(), Peer()
    left.other, right.other = right, left
    stream = LocalStream.synthetic()
    try:
        await left.connection.set_max_bandwidth(100)
        await left.connection.set_local_stream(stream)
        await negotiate(left, right)
        await left.connected()
        stats = await stats_when(
            left, lambda stats: stats.video_sent and stats.video_sent.target_bitrate
        )
        assert stats.video_sent is not None
        assert (stats.video_sent.target_bitrate or 0) <= 100_000
    finally:
        await left.close()
        await right.close()
        stream.close()


@pytest.mark.parametrize("restarter", ["offerer", "answerer"])
async def test_ice_restart_keeps_media(restarter: str) -> None:
    """An ICE restart, begun by either side, changes the credentials and media goes on."""
    stream = LocalStream.synthetic(stream_id=4)
    async with joined(stream, None) as (left, right):
        remote = await right.remote_stream()
        seen = read_code(await first_frame(remote, shows(4)))
        assert seen is not None
        before = ice_ufrag(left)
        roles = (left, right) if restarter == "offerer" else (right, left)
        await negotiate(*roles, ice_restart=True)
        assert ice_ufrag(left) != before
        await first_frame(remote, shows(4, after=seen.counter + 10))
        assert IceConnectionState.FAILED not in left.states + right.states


async def test_every_description_advertises_trickle() -> None:
    """Offers, answers and restarts carry ``ice-options:trickle`` and are sent before gathering."""
    left, right = Peer(), Peer()
    left.other, right.other = right, left
    try:
        for restart in (False, True):
            offer = await left.connection.create_offer(ice_restart=restart)
            answer = await right.connection.create_answer(offer)
            await left.connection.set_answer(answer)
            for sdp in (offer, answer):
                assert "a=ice-options:trickle" in sdp
                assert "a=group:BUNDLE" in sdp
        await left.until(lambda: left.candidates)
        assert all(entry.candidate.startswith("candidate:") for entry in left.candidates)
        assert "a=candidate:" in (left.connection.local_sdp() or "")
    finally:
        await left.close()
        await right.close()


async def test_candidates_before_the_description_are_kept() -> None:
    """Candidates that overtake the offer and the answer still connect the peers."""
    left, right = Peer(), Peer()
    try:
        offer = await left.connection.create_offer()
        await left.until(lambda: len(left.candidates) >= 2)
        for candidate in left.candidates:
            await right.connection.add_ice_candidate(candidate)
        answer = await right.connection.create_answer(offer)
        await right.until(lambda: len(right.candidates) >= 2)
        for candidate in right.candidates:
            await left.connection.add_ice_candidate(candidate)
        await left.connection.set_answer(answer)
        await left.connected()
    finally:
        await left.close()
        await right.close()


async def test_early_candidates_are_bounded_and_bad_ones_ignored() -> None:
    """A flood of nonsense before the offer is dropped and the call still connects."""
    left, right = Peer(), Peer()
    try:
        for number in range(MAX_EARLY_CANDIDATES + 50):
            await right.connection.add_ice_candidate(IceCandidate(f"candidate:nonsense {number}"))
        left.other, right.other = right, left
        await negotiate(left, right)
        await left.connected()
    finally:
        await left.close()
        await right.close()


@pytest.mark.parametrize(
    "sdp", ["", "nonsense", "v=0\r\n", "m=video 9\r\n" * 10, "\0" * 100, "v" * 300_000]
)
async def test_broken_descriptions_are_refused(sdp: str) -> None:
    """A broken offer or answer is a `MediaError`, and a good one works afterwards."""
    left, right = Peer(), Peer()
    left.other, right.other = right, left
    try:
        with pytest.raises(MediaError):
            await right.connection.create_answer(sdp)
        offer = await left.connection.create_offer()
        with pytest.raises(MediaError):
            await left.connection.set_answer(sdp)
        await left.connection.set_answer(await right.connection.create_answer(offer))
        await left.connected()
    finally:
        await left.close()
        await right.close()


async def test_an_answer_nobody_asked_for_is_refused() -> None:
    """An answer without an offer, or a second one, is a `MediaError`."""
    async with joined() as (left, right):
        answer = right.connection.local_sdp()
        assert answer is not None
        with pytest.raises(MediaError):
            await left.connection.set_answer(answer)


@pytest.mark.parametrize(
    "candidate",
    [
        IceCandidate("nonsense"),
        IceCandidate("candidate:1 1 udp 1 999.1.1.1 99999 typ host", "0"),
        IceCandidate("candidate:1 1 udp 2122194687 127.0.0.1 5000 typ host", "9", 9),
        IceCandidate("candidate:1 1 udp 2122194687 127.0.0.1 5000 typ host", None, 2**40),
        IceCandidate("candidate:1 1 udp 2122194687 127.0.0.1 5000 typ host", None, -1),
    ],
)
async def test_broken_candidates_are_refused(candidate: IceCandidate) -> None:
    """A candidate that means nothing is a `MediaError` and does no harm."""
    async with joined() as (left, right):
        with pytest.raises(MediaError):
            await left.connection.add_ice_candidate(candidate)
        await negotiate(left, right)


async def test_broken_ice_servers_are_refused() -> None:
    """An ICE server that is not one is a `MediaError`."""
    for server in (IceServer(("http://x",)), IceServer(("turn:example.org",)), IceServer(("",))):
        with pytest.raises(MediaError):
            WrtcEngine().create_peer_connection(SILENT, ice_servers=[server])


async def test_relay_only_offers_no_host_candidates() -> None:
    """With `relay_only` and no TURN server no candidate comes out."""
    peer = Peer(relay_only=True)
    try:
        await peer.connection.create_offer()
        await asyncio.sleep(0.2)
        assert peer.candidates == []
        assert "a=candidate" not in (peer.connection.local_sdp() or "")
    finally:
        await peer.close()


async def test_closing_during_negotiation_is_clean() -> None:
    """Closing while descriptions are set ends the pending calls with an error we know."""
    left, right = Peer(), Peer()
    left.other, right.other = right, left
    offer = await left.connection.create_offer()
    answering = asyncio.gather(right.connection.create_answer(offer), return_exceptions=True)
    await asyncio.sleep(0)
    await right.close()
    await left.close()
    async with asyncio.timeout(LIMIT):
        (result,) = await answering
    assert isinstance(result, str | MediaError | InvalidStateError)


async def test_a_closed_connection_says_so_and_is_silent() -> None:
    """After `close` operations raise `InvalidStateError` and no callback comes."""
    async with joined(LocalStream.synthetic(), None) as (left, right):
        remote = await right.remote_stream()
        await first_frame(remote)
        await right.close()
        await right.close()
        assert remote.closed
        for operation in (
            right.connection.create_offer(),
            right.connection.set_answer("v=0"),
            right.connection.get_stats(),
            right.connection.set_local_stream(None),
            right.connection.add_ice_candidate(IceCandidate("candidate:x")),
        ):
            with pytest.raises(InvalidStateError):
                await operation
        assert right.connection.local_sdp() is None
        await left.close()
        await asyncio.sleep(0.2)
        assert left.calls_after_close == right.calls_after_close == 0


async def test_statistics_tell_the_path_the_codecs_and_the_flow() -> None:
    """Statistics of a running call name VP8 and Opus, a direct path, and growing counters."""
    async with joined(LocalStream.synthetic(), None) as (left, right):
        await first_frame(await right.remote_stream())
        before = await stats_when(left, lambda stats: stats.video_sent and stats.path)
        after = await stats_when(
            left,
            lambda stats: stats.video_sent.bytes > before.video_sent.bytes + 10_000,  # type: ignore[union-attr]
        )
        assert after.video_sent is not None
        assert after.audio_sent is not None
        assert after.path is not None
        assert (after.video_sent.codec, after.audio_sent.codec) == ("VP8", "opus")
        assert after.video_sent.width in (640, 480, 320)
        assert after.path.local_type == "host"
        assert not after.path.relayed
        rates = bitrates(before, after)
        assert rates.video_sent > rates.audio_sent > 0
        assert (after.audio_sent.audio_level or 0) > 0.1
        received = (await right.connection.get_stats()).video_received
        assert received is not None
        assert (received.frames_decoded or 0) > 0


async def test_twenty_calls_leave_nothing_behind() -> None:
    """Connections opened and closed twenty times leave no threads and no native objects."""
    for _ in range(20):
        async with joined(LocalStream.synthetic(), None) as (_, right):
            await first_frame(await right.remote_stream())
    await until(lambda: not media_threads())
    # One call has some twenty native objects; twenty calls that leaked would have hundreds.
    await until(lambda: gc.collect() >= 0 and sum(wrtc._alive().values()) <= 40)


async def stats_when(peer: Peer, condition) -> PeerStats:  # type: ignore[no-untyped-def]
    """Statistics, once they satisfy a condition."""
    async with asyncio.timeout(LIMIT):
        while True:
            stats = await peer.connection.get_stats()
            if condition(stats):
                return stats
            await asyncio.sleep(0.1)


async def rate_when(peer: Peer, condition) -> float:  # type: ignore[no-untyped-def]
    """The bitrate of the video sent, once it satisfies a condition for a second."""
    async with asyncio.timeout(LIMIT):
        before = await peer.connection.get_stats()
        while True:
            await asyncio.sleep(1)
            after = await peer.connection.get_stats()
            rate = bitrates(before, after).video_sent
            if condition(rate):
                return rate
            before = after


def ice_ufrag(peer: Peer) -> str:
    """The user fragment in the local description."""
    sdp = peer.connection.local_sdp() or ""
    return next(line for line in sdp.splitlines() if line.startswith("a=ice-ufrag:"))
