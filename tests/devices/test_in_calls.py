"""Devices in real calls, on a real sound server: proven by what the far side hears and sees."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

import ringmesh
from ringmesh import (
    ConfigurationError,
    DeviceLost,
    DeviceRestored,
    DevicesChanged,
    InvalidStateError,
    LocalStream,
    MediaDeviceKind,
    MediaError,
    NotSupportedError,
)
from ringmesh.media.devices import route
from tests.devices.calls import OTHER_TONE, PICTURE, Call, is_tone, plays
from tests.devices.sound_server import SoundServer
from tests.interop.people import LIMIT, hears


def is_black(frame: ringmesh.VideoFrame) -> bool:
    """Whether a picture is black."""
    return bool(frame.luma().max() < 40)


async def test_devices_are_chosen_before_and_during_a_call(sound: SoundServer, call: Call) -> None:
    """Microphone, camera and output are used by id, and changed while the call runs."""
    await sound.plug_microphone("first", 500)
    await sound.plug_microphone("second", 900)
    await sound.plug_output("headphones")
    await call.session.init_local_media_stream(camera=PICTURE, microphone="first")
    await call.session.select_audio_output("speakers")
    await call.connect()
    await call.they_hear(500)
    await call.they_see(lambda frame: frame.width == 320 and not is_black(frame))
    await plays(sound, "speakers", OTHER_TONE)

    description = call.session._peers.connection(call.theirs.current_user_id).local_sdp()
    microphone = await call.session.select_audio_input("second")
    output = await call.session.select_audio_output("headphones")
    camera = await call.session.switch_camera("lavfi:color=white:size=640x480:rate=25")
    await call.they_hear(900)
    await call.they_see(lambda frame: frame.width == 640 and bool(frame.luma().mean() > 200))
    await plays(sound, "headphones", OTHER_TONE)
    await plays(sound, "speakers", 0)
    assert (microphone.label, output.id, camera.label) == (
        "second",
        "headphones",
        "color=white:size=640x480:rate=25",
    )
    assert call.session._peers.connection(call.theirs.current_user_id).local_sdp() == description


async def test_a_switch_is_hardly_heard(sound: SoundServer, call: Call) -> None:
    """While the microphone is changed, the far side misses less than a fifth of a second."""
    await sound.plug_microphone("first", 500)
    await sound.plug_microphone("second", 900)
    await call.session.init_local_media_stream(microphone="first")
    await call.connect()
    await call.they_hear(500)
    stream = (await call.theirs.wait_for(ringmesh.RemoteStreamReceived, timeout=LIMIT)).stream
    heard: list[np.ndarray] = []
    with stream.on_audio(lambda frame: heard.append(frame.samples)):
        await call.session.select_audio_input("second")
        await call.they_hear(900)
    quiet = [bool(np.abs(block).max() < 500) for block in heard]
    longest = max(len(run) for run in "".join("q" if q else " " for q in quiet).split(" "))
    assert longest * 10 < 200


async def test_a_microphone_that_vanishes_is_replaced_and_comes_back(
    sound: SoundServer, call: Call
) -> None:
    """The default one takes its place, with an event, until it is plugged in again."""
    await sound.plug_microphone("built_in", 500)
    headset = await sound.plug_microphone("headset", 900)
    await sound.pactl("set-default-source", "built_in")
    await call.session.init_local_media_stream(microphone="headset")
    await call.connect()
    await call.they_hear(900)

    await sound.unplug(headset)
    lost = await call.session.wait_for(DeviceLost, timeout=LIMIT)
    assert lost.device.id == "headset"
    assert lost.fallback is not None
    assert lost.fallback.id == "built_in"
    await call.they_hear(500)

    await sound.plug_microphone("headset", 900)
    restored = await call.session.wait_for(DeviceRestored, timeout=LIMIT)
    assert restored.device.id == "headset"
    await call.they_hear(900)


async def test_an_output_that_vanishes_is_replaced_and_comes_back(
    sound: SoundServer, call: Call
) -> None:
    """Speakers take the place of headphones that are pulled out, until they are back."""
    headphones = await sound.plug_output("headphones")
    await call.session.select_audio_output("headphones")
    await call.connect()
    await plays(sound, "headphones", OTHER_TONE)
    await sound.unplug(headphones)
    lost = await call.session.wait_for(DeviceLost, timeout=LIMIT)
    assert lost.fallback is not None
    assert lost.fallback.id == "speakers"
    await plays(sound, "speakers", OTHER_TONE)
    await sound.plug_output("headphones")
    await call.session.wait_for(DeviceRestored, timeout=LIMIT)
    await plays(sound, "headphones", OTHER_TONE)
    await plays(sound, "speakers", 0)


async def test_a_sound_server_that_dies_leaves_silence_until_it_is_back(
    sound: SoundServer, call: Call
) -> None:
    """The call goes on without sound, and with it when the server runs again."""
    await sound.plug_microphone("microphone", 500)
    await call.session.init_local_media_stream(camera=PICTURE, microphone="microphone")
    await call.connect()
    await call.they_hear(500)
    await sound.kill()
    lost = await call.session.wait_for(DeviceLost, timeout=LIMIT)
    assert (lost.device.id, lost.fallback) == ("microphone", None)
    await call.they_hear(0)
    await call.they_see(lambda frame: not is_black(frame))
    await sound.start()
    await sound.plug_microphone("microphone", 500)
    await call.session.wait_for(DeviceRestored, timeout=LIMIT)
    await call.they_hear(500)


async def test_a_sound_server_that_hangs_holds_nothing_up(
    sound: SoundServer, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Choosing a device fails in time; silence is sent in place of the microphone, so that the call
    goes on, and it ends in time."""
    monkeypatch.setattr(route, "OPEN_TIMEOUT", 1.0)
    monkeypatch.setattr(route, "CLOSE_TIMEOUT", 0.5)
    await sound.plug_microphone("first", 500)
    await sound.plug_microphone("second", 900)
    await call.session.init_local_media_stream(camera=PICTURE, microphone="first")
    await call.connect()
    await call.they_hear(500)
    sound.hang()
    with pytest.raises(MediaError, match="did not open within 1 s"):
        await call.session.select_audio_input("second")
    await call.they_hear(0)
    await call.they_see(lambda frame: not is_black(frame))
    await call.session.hang_up()
    await asyncio.wait_for(call.session.wait_peers_closed(), LIMIT)


async def test_a_camera_that_ends_leaves_black(call: Call) -> None:
    """A camera that gives no more pictures is lost; without another one the far side sees black."""
    await call.session.init_local_media_stream(
        camera="lavfi:color=white:size=320x240:rate=25:duration=3"
    )
    await call.connect()
    lost = await call.session.wait_for(DeviceLost, timeout=LIMIT)
    assert lost.fallback is None
    await call.they_see(is_black)
    await call.session.switch_camera(PICTURE)
    await call.they_see(lambda frame: not is_black(frame))


async def test_a_stream_gets_its_own_sources_back(sound: SoundServer, call: Call) -> None:
    """A stream of the application is borrowed for the camera's pictures, not kept or closed."""
    stream = LocalStream.synthetic(tone_hz=600, stream_id=3)
    await call.session.init_local_media_stream(stream)
    await sound.plug_microphone("microphone", 500)
    await call.session.select_audio_input("microphone")
    await call.connect()
    await call.they_hear(500)
    await call.session.replace_media_stream(LocalStream.synthetic(tone_hz=800))
    await call.they_hear(800)
    await call.session.replace_media_stream(stream)
    await hears(call.theirs, call.me.id, 600)
    stream.close()


async def test_a_camera_is_changed_behind_a_presentation(call: Call) -> None:
    """While something else is presented in its place the far side sees that, and then the new
    camera."""
    local = await call.session.init_local_media_stream(camera=PICTURE)
    await call.connect()
    await call.they_see(lambda frame: frame.width == 320)
    presented = LocalStream.synthetic(width=480, height=320).replace_video_source(None)
    local.present(presented)
    await call.they_see(lambda frame: frame.width == 480)
    await call.session.switch_camera("lavfi:color=white:size=640x480:rate=25")
    await call.they_see(lambda frame: frame.width == 480 and not is_black(frame))
    local.present(None)
    await call.they_see(lambda frame: frame.width == 640 and bool(frame.luma().mean() > 200))
    assert presented is not None
    presented.close()


async def test_devices_are_let_go_with_the_call(sound: SoundServer, call: Call) -> None:
    """When the call ends nothing records or plays any more."""
    await sound.plug_microphone("microphone", 500)
    idle = await sound.users_of("source-outputs"), await sound.users_of("sink-inputs")
    await call.session.init_local_media_stream(microphone="microphone")
    await call.session.select_audio_output("default")
    await call.connect()
    used = await sound.users_of("source-outputs"), await sound.users_of("sink-inputs")
    assert used == (idle[0] + 1, idle[1] + 1)
    await call.session.hang_up()
    await call.session.wait_peers_closed()
    assert (await sound.users_of("source-outputs"), await sound.users_of("sink-inputs")) == idle
    with pytest.raises(InvalidStateError):
        await call.session.select_audio_input("microphone")


async def test_changing_devices_again_and_again_leaks_nothing(
    sound: SoundServer, call: Call
) -> None:
    """Every device's connection to the sound server is closed; a server takes 64 at most."""
    await sound.plug_output("box")
    await call.session.select_audio_output("box")
    idle = open_files()
    for _ in range(40):
        await call.session.select_audio_output("speakers")
        await call.session.select_audio_output("box")
    assert open_files() == idle


def open_files() -> int:
    """How many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_speakerphone_chooses_by_form_factor(sound: SoundServer, call: Call) -> None:
    """It plays on what says it is a loudspeaker, or on a headset; else it says that it cannot."""
    with pytest.raises(NotSupportedError, match="loudspeaker"):
        await call.session.enable_speakerphone(True)
    async with call.me.calls.events() as events:
        await sound.plug_output("box", "speaker")
        await sound.plug_output("ears", "headset")
        await listed(call, events, 3)
    assert (await call.session.enable_speakerphone(True)).id == "box"
    assert (await call.session.enable_speakerphone(False)).id == "ears"


async def test_changes_are_told(sound: SoundServer, call: Call) -> None:
    """Plugging in and out is told to `on_devices_changed` and as an event, and the list is new."""
    told: list[bool] = []
    call.me.calls.on_devices_changed = lambda: told.append(True)
    async with call.me.calls.events() as events:
        assert [device.id for device in await call.me.calls.get_media_devices()] == ["speakers"]
        box = await sound.plug_output("box")
        await listed(call, events, 2)
        await sound.unplug(box)
        await listed(call, events, 1)
    assert len(told) >= 2
    with pytest.raises(ConfigurationError, match="MediaDeviceKind"):
        await call.me.calls.get_media_devices("audioinput")  # type: ignore[arg-type]


async def listed(call: Call, events: ringmesh.EventStream, count: int) -> None:
    """Wait for the event after which there are this many outputs."""
    async with asyncio.timeout(LIMIT):
        async for event in events:
            outputs = await call.me.calls.get_media_devices(MediaDeviceKind.AUDIO_OUTPUT)
            if isinstance(event, DevicesChanged) and len(outputs) == count:
                return


async def test_what_cannot_be_used_is_refused(sound: SoundServer, call: Call) -> None:
    """Unknown ids and cameras that cannot be opened raise, and what was in use stays in use."""
    await sound.plug_microphone("microphone", 500)
    await call.session.init_local_media_stream(camera=PICTURE, microphone="microphone")
    await call.connect()
    session = call.session
    with pytest.raises(ConfigurationError, match=r"no microphone 'nothing'; there are: microphone"):
        await session.select_audio_input("nothing")
    with pytest.raises(ConfigurationError, match="speakers"):
        await session.select_audio_output("microphone")
    with pytest.raises(ConfigurationError, match="no camera"):
        await session.switch_camera("/dev/null")
    with pytest.raises(ConfigurationError, match="no camera"):
        await session.switch_camera()
    with pytest.raises(ConfigurationError):
        await session.select_audio_input(7)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        await session.select_audio_input("a\0b")
    with pytest.raises(MediaError, match="cannot be used"):
        await session.switch_camera("lavfi:nonsense=1")
    with pytest.raises(NotSupportedError, match="light"):
        await session.set_torch_enabled(True)
    with pytest.raises(ConfigurationError):
        session.audio_processing = "on"  # type: ignore[assignment]
    await call.they_hear(500)
    await call.they_see(lambda frame: not is_black(frame))


async def test_an_audio_call_has_no_camera(call: Call) -> None:
    """A camera in an audio call raises and nothing is left open; so does a stream with devices."""
    session = call.me.calls.create_call_session(ringmesh.CallType.AUDIO_CALL, [call.me.id + 1])
    with pytest.raises(InvalidStateError, match="no pictures"):
        await session.init_local_media_stream(camera=PICTURE)
    with pytest.raises(InvalidStateError, match="no pictures"):
        await session.switch_camera(PICTURE)
    with pytest.raises(InvalidStateError, match="no camera"):
        await session.set_torch_enabled(True)
    with pytest.raises(ConfigurationError, match="not both"):
        await session.init_local_media_stream(LocalStream.blank(), microphone="default")


async def test_muting_silences_a_microphone(sound: SoundServer, call: Call) -> None:
    """The microphone's sound is silenced by `set_microphone_mute` and heard again after it."""
    await sound.plug_microphone("microphone", 500)
    await call.session.init_local_media_stream(microphone="microphone")
    await call.connect()
    await call.they_hear(500)
    call.session.set_microphone_mute(True)
    await call.they_hear(0)
    call.session.set_microphone_mute(False)
    await call.they_hear(500)
    assert is_tone(await call.their_sound(0.3), 500)
