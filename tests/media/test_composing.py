"""One picture and one sound of several people: where everybody is, and when."""

from __future__ import annotations

import numpy as np
import pytest

from ringmesh.media.audio_mix import MAX_GAP, AudioMix, Placer
from ringmesh.media.composer import Composer
from ringmesh.media.frames import AudioFrame, VideoFrame
from ringmesh.media.layout import Rect, grid

WIDE, TALL = (640, 360), (360, 640)


def overlap(one: Rect, other: Rect) -> bool:
    """Whether two rectangles share a pixel."""
    across = one.left < other.left + other.width and other.left < one.left + one.width
    return across and one.top < other.top + other.height and other.top < one.top + one.height


@pytest.mark.parametrize(
    "shapes",
    [
        [WIDE],
        [TALL],
        [WIDE] * 2,
        [WIDE, TALL],
        [TALL] * 3,
        [WIDE] * 4,
        [(8000, 16)] * 7,
        [WIDE] * 9,
    ],
)
@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (64, 48)])
def test_everybody_has_a_place(shapes: list[tuple[int, int]], size: tuple[int, int]) -> None:
    """Inside the picture, on even pixels, in their own shape, and nobody over another."""
    places = grid(shapes, *size)
    assert len(places) == len(shapes)
    for place, (width, height) in zip(places, shapes, strict=True):
        assert not any(value % 2 for value in (place.left, place.top, place.width, place.height))
        assert 0 <= place.left <= place.left + place.width <= size[0]
        assert 0 <= place.top <= place.top + place.height <= size[1]
        if min(place.width, place.height) > 50:
            assert place.width / place.height == pytest.approx(width / height, rel=0.05)
    for index, place in enumerate(places):
        assert not any(overlap(place, other) for other in places[:index])


def test_the_grid_fits_the_people() -> None:
    """One fills it, two stand side by side, tall ones in a row, four make a square."""
    assert grid([WIDE], 1280, 720) == [Rect(0, 0, 1280, 720)]
    assert grid([WIDE] * 2, 1280, 720) == [Rect(0, 180, 640, 360), Rect(640, 180, 640, 360)]
    assert len({place.top for place in grid([TALL] * 3, 1280, 720)}) == 1
    three = grid([WIDE] * 3, 1280, 720)
    assert three[2] == Rect(320, 360, 640, 360)
    assert {(place.left, place.top) for place in grid([WIDE] * 4, 1280, 720)} == {
        (left, top) for left in (0, 640) for top in (0, 360)
    }
    assert grid([], 1280, 720) == []


def plain(level: int, size: tuple[int, int] = WIDE, rotation: int = 0) -> VideoFrame:
    """A grey picture."""
    data = np.full(size[0] * size[1] * 3 // 2, 128, np.uint8)
    data[: size[0] * size[1]] = level
    return VideoFrame(data, *size, rotation=rotation)


def composed(composer: Composer, **pictures: VideoFrame | None) -> VideoFrame:
    """What a composer makes of these, which must be something new."""
    result = composer.compose(pictures, 1.0)
    assert result is not None
    return result


def test_people_join_and_leave() -> None:
    """The grid follows; what they left behind is cleared."""
    composer = Composer(320, 180)
    assert composed(composer).luma().max() == 16
    ann, bob = plain(100), plain(200)
    assert composed(composer, ann=ann).luma().min() == 100
    both = composed(composer, ann=ann, bob=bob).luma()
    assert both[90, 80] == 100
    assert both[90, 240] == 200
    assert both[10, 80] == 16
    assert composed(composer, bob=bob).luma().min() == 200


def test_only_changes_make_a_picture() -> None:
    """The same pictures again give None; one that changes is drawn, the others stay."""
    composer = Composer(320, 180)
    ann, bob = plain(100), plain(200)
    composed(composer, ann=ann, bob=bob)
    assert composer.compose({"ann": ann, "bob": bob}, 2.0) is None
    assert composer.still(3.0).timestamp == 3.0
    luma = composed(composer, ann=plain(50), bob=bob).luma()
    assert (luma[90, 80], luma[90, 240]) == (50, 200)


def test_turned_and_resized_pictures_are_followed() -> None:
    """A phone that is turned gets an upright tile; a larger picture of one shape the same place."""
    composer = Composer(320, 180)
    upright = composed(composer, ann=plain(100, WIDE, rotation=90)).luma()
    assert upright[:, :100].max() == 16
    assert upright[:, 150:170].min() == 100
    assert composed(composer, ann=plain(150, (1280, 720))).luma().min() == 150


def test_somebody_without_a_picture_has_a_tile() -> None:
    """It is grey until there is a picture."""
    composer = Composer(320, 180)
    assert 16 < composed(composer, ann=None).luma().min() < 100
    assert composed(composer, ann=plain(200)).luma().min() == 200


def block(start: float, level: int = 1000, length: int = 480) -> AudioFrame:
    """10 ms of a constant."""
    return AudioFrame(np.full(length, level, np.int16), 48_000, start)


def test_sound_is_added_up_in_its_place() -> None:
    """Two people at a time are louder than one, none are silence, and nothing wraps around."""
    mix = AudioMix(100.0)
    for number in range(10):
        mix.add("ann", block(100 + number / 100))
        mix.add("bob", block(100.05 + number / 100, 30_000))
        mix.add("carol", block(100.05 + number / 100, 30_000))
    mixed = mix.take(100.2)
    assert mixed is not None
    assert mixed.timestamp == 100.0
    levels = [int(mixed.samples[at]) for at in (100, 2300, 2500, 5000, 7100, 7300)]
    assert levels == [1000, 1000, 32767, 32767, 32767, 0]


def test_what_comes_too_late_or_too_early_is_left_out() -> None:
    """Sound before what was taken, or seconds ahead, harms nothing."""
    mix = AudioMix(100.0)
    mix.add("ann", block(99.995))
    taken = mix.take(100.021)
    assert taken is not None
    assert len(taken.samples) == 960
    assert taken.samples[:240].min() == 1000
    assert taken.samples[240:].max() == 0
    mix.add("bob", block(99.0))
    mix.add("carol", block(200.0))
    after = mix.take(100.5)
    assert after is not None
    assert np.abs(after.samples).max() == 0
    assert mix.take(100.5) is None


def test_who_is_behind_is_waited_for() -> None:
    """`heard_until` is the end of the sound of the slowest, while they are there."""
    mix = AudioMix(100.0)
    assert mix.heard_until() is None
    for number in range(10):
        mix.add("ann", block(100 + number / 100))
    mix.add("bob", block(100.0))
    assert mix.heard_until() == pytest.approx(100.01)
    mix.remove("bob")
    assert mix.heard_until() == pytest.approx(100.1)


def placed(timestamps: list[float]) -> list[int]:
    """Where blocks of 10 ms with these timestamps go."""
    placer = Placer(0.0)
    return [placer.place(block(timestamp)) for timestamp in timestamps]


def test_jitter_does_not_cut_sound() -> None:
    """Blocks that are stamped up to 30 ms late follow each other without a gap."""
    jitter = np.random.default_rng(1).uniform(0, 0.03, 400)
    places = placed([number / 100 + jitter[number] for number in range(400)])
    assert (np.diff(places) != 480).sum() <= 1


def test_a_gap_is_kept() -> None:
    """After half a second without sound the rest is half a second later."""
    places = placed([0.0, 0.01, 0.52, 0.53])
    assert np.diff(places).tolist() == [480, round(0.51 * 48_000), 480]
    assert MAX_GAP < 0.5


def test_a_slow_clock_is_followed() -> None:
    """A source whose clock is 1 % off stays within 30 ms, over a minute."""
    places = placed([number / 100 * 1.01 for number in range(6000)])
    errors = [place / 48_000 - number / 100 * 1.01 for number, place in enumerate(places)]
    assert max(map(abs, errors)) < 0.03
