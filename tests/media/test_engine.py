"""The engine over real loopback connections."""

from __future__ import annotations

from ringmesh.media.streams import LocalStream
from ringmesh.media.synthetic import read_code

from .peers import hear_until, joined


async def test_pictures_and_sound_arrive_both_ways() -> None:
    """Both sides see the other's frame counter advance and hear the other's tone."""
    left_stream = LocalStream.synthetic(tone_hz=440, stream_id=1)
    right_stream = LocalStream.synthetic(tone_hz=1000, stream_id=2)
    async with joined(left_stream, right_stream) as (left, right):
        for peer, stream_id, tone_hz in ((left, 2, 1000), (right, 1, 440)):
            remote = await peer.remote_stream()
            assert remote.has_audio
            assert remote.has_video
            seen = []
            async for frame in remote.video_frames():
                code = read_code(frame)
                assert code is not None
                assert code.stream_id == stream_id
                seen.append(code.counter)
                if len(seen) == 10:
                    break
            assert seen == sorted(set(seen))
            tone = await hear_until(remote, lambda tone: tone.purity > 0.9)
            assert abs(tone.frequency - tone_hz) < 5
