"""The sound of the machine, shared with the screen, through a real PulseAudio."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

import ringmesh
from ringmesh.errors import MediaError
from tests.client.conftest import SignIn
from tests.devices.sound_server import SoundServer
from tests.interop.people import LIMIT, hears, remote_stream
from tests.screen.desktop import HEIGHT, WIDTH, Desktop, running
from tests.screen.test_sharing import coded, talking

PLAYED_HZ = 1250.0


@pytest_asyncio.fixture(loop_scope="session")
async def speakers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SoundServer]:
    """A sound server with one output, which nobody hears."""
    server = SoundServer(tmp_path)
    await server.start()
    try:
        await server.plug_output("speakers")
        monkeypatch.setenv("PULSE_SERVER", server.address)
        yield server
    finally:
        await server.kill()


@contextmanager
def playing(folder: Path, hertz: float) -> Iterator[None]:
    """Another program that plays a tone on the default output."""
    times = np.arange(48_000 * 120) / 48_000
    with wave.open(str(folder / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes((9000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16).tobytes())
    with running("paplay", str(folder / "tone.wav")):
        yield


def level(samples: np.ndarray, hertz: float) -> float:
    """How strong a frequency is, 0 to 1."""
    wave_form = np.exp(-2j * np.pi * hertz * np.arange(len(samples)) / 48_000)
    window = np.hanning(len(samples))
    return float(2 * abs((samples / 32768 * window * wave_form).sum()) / window.sum())


async def hears_both(session: ringmesh.P2PSession, user_id: int, *tones: float) -> None:
    """Wait until all these tones are heard at the same time."""
    stream = await remote_stream(session, user_id)
    blocks: list[np.ndarray] = []
    levels: list[float] = []
    async with asyncio.timeout(LIMIT):
        async for block in stream.audio_frames():
            blocks.append(block.samples)
            if len(blocks) == 25:
                levels = [level(np.concatenate(blocks), tone) for tone in tones]
                if min(levels) > 0.02:
                    return
                blocks.clear()
    raise AssertionError(f"heard {tones} at {levels}")


@pytest.mark.usefixtures("speakers")
async def test_what_the_machine_plays_is_mixed_in(
    desktop: Desktop, sign_in: SignIn, tmp_path: Path
) -> None:
    """Together with the microphone; alone while that is muted; and no more after sharing."""
    desktop.window(coded(9, WIDTH, HEIGHT))
    with playing(tmp_path, PLAYED_HZ):
        async with talking(sign_in) as talk:
            await talk.session.enable_screen_sharing(True, request_audio=True)
            await hears_both(talk.far_session, talk.near.id, talk.near.tone, PLAYED_HZ)
            talk.session.set_microphone_mute(True)
            await hears(talk.far_session, talk.near.id, PLAYED_HZ)
            talk.session.set_microphone_mute(False)
            await talk.session.enable_screen_sharing(False)
            await hears(talk.far_session, talk.near.id, talk.near.tone)


async def test_without_a_sound_server_nothing_is_shared(
    desktop: Desktop, sign_in: SignIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typed error; the camera and the microphone go on."""
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/nothing")
    async with talking(sign_in) as talk:
        with pytest.raises(MediaError):
            await talk.session.enable_screen_sharing(True, request_audio=True)
        assert not talk.session.is_screen_shared
        await talk.camera_is_back()
        await hears(talk.far_session, talk.near.id, talk.near.tone)
