"""Which devices of this machine a call uses: camera and microphone to send, speakers to play."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ringmesh.errors import ConfigurationError, InvalidStateError, NotSupportedError
from ringmesh.media.devices.camera import CameraFormat
from ringmesh.media.devices.model import (
    DEFAULT_DEVICE,
    MediaDevice,
    MediaDeviceKind,
    next_camera,
    of_kind,
    output_for,
)
from ringmesh.media.devices.monitor import DeviceMonitor
from ringmesh.media.devices.processing import AudioProcessing
from ringmesh.media.devices.route import Lost, Restored
from ringmesh.media.devices.sources import CameraSource, MicrophoneSource, Speakers, Voice
from ringmesh.media.devices.torch import set_torch
from ringmesh.media.frames import Pcm
from ringmesh.media.sources import AudioSource, VideoSource
from ringmesh.media.streams import LocalStream, RemoteStream


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMediaOwner:
    """Whom the devices belong to: a call.

    Attributes:
        video: whether the call has pictures.
        stream: gives what the call sends, and makes it if need be. Raises `InvalidStateError` when
            the call is over.
        remote_streams: gives what the others send.
        device_lost: told which device vanished and what is used now.
        device_restored: told which device is used again.
    """

    video: bool
    stream: Callable[[], LocalStream]
    remote_streams: Callable[[], Iterable[RemoteStream]]
    device_lost: Callable[[MediaDevice, MediaDevice | None], None]
    device_restored: Callable[[MediaDevice], None]


class LocalMedia:
    """Opens devices, puts them into the stream that is sent, and lets them go with the call."""

    def __init__(
        self, monitor: DeviceMonitor, wanted: CameraFormat, owner: LocalMediaOwner
    ) -> None:
        self._monitor = monitor
        self._format = wanted
        self._owner = owner
        self._stream: LocalStream | None = None
        self._set_aside: tuple[AudioSource | None, VideoSource | None] = (None, None)
        self._camera: CameraSource | None = None
        self._microphone: MicrophoneSource | None = None
        self._speakers: Speakers | None = None
        self._voice: Voice | None = None
        self._processing = AudioProcessing()
        self._turn = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def devices(self, kind: MediaDeviceKind) -> list[MediaDevice]:
        """Those of a kind that there are."""
        return list(of_kind(await self._monitor.list(), kind))

    async def open(self, camera: str | None, microphone: str | None) -> None:
        """Open these, and no others, before there is a stream; both or neither."""
        self.release()
        await self.wait_closed()
        try:
            if microphone is not None:
                await self._open_microphone(microphone)
            if camera is not None:
                await self._open_camera(camera)
        except BaseException:
            self.release()
            raise

    async def switch_camera(self, device_id: str | None) -> MediaDevice:
        """Send this camera's pictures; None takes the next one."""
        async with self._turn:
            if device_id is None:
                current = self._camera.route.device if self._camera is not None else None
                devices = await self._monitor.list()
                device_id = next_camera(devices, current.id if current is not None else None).id
            device = await self._open_camera(device_id)
            self._put_in()
            return device

    async def select_audio_input(self, device_id: str) -> MediaDevice:
        """Send this microphone's sound."""
        async with self._turn:
            device = await self._open_microphone(device_id)
            self._put_in()
            return device

    async def select_audio_output(self, device_id: str) -> MediaDevice:
        """Play what the others say on this output."""
        async with self._turn:
            speakers = self._speakers or Speakers(self._monitor, self._played, self._changed)
            device = await speakers.route.select(device_id)
            if self._closed:
                self._let_go(speakers)
                raise InvalidStateError("the call is over")
            if self._speakers is None:
                self._speakers = speakers
                for stream in self._owner.remote_streams():
                    speakers.add(stream)
            return device

    async def enable_speakerphone(self, enabled: bool) -> MediaDevice:
        """Play on an output for the room, or on one for a person; else on the default one."""
        output = output_for(await self._monitor.list(), loud=enabled)
        if output is None and enabled:
            raise NotSupportedError("no output of this machine says that it is a loudspeaker")
        return await self.select_audio_output(output.id if output is not None else DEFAULT_DEVICE)

    async def set_torch_enabled(self, enabled: bool) -> None:
        """Switch the light of the camera in use."""
        camera = self._camera.route.device if self._camera is not None else None
        if camera is None:
            raise InvalidStateError("no camera is in use: switch_camera chooses one")
        await asyncio.to_thread(set_torch, camera, enabled)

    @property
    def processing(self) -> AudioProcessing:
        """What is done to the microphone's sound."""
        return self._processing

    def set_processing(self, settings: AudioProcessing) -> None:
        """Do this to it from now on."""
        if not isinstance(settings, AudioProcessing):
            raise ConfigurationError(f"settings must be an AudioProcessing, not {settings!r:.100}")
        if self._voice is not None:
            self._voice.configure(settings)
        self._processing = settings

    def hear(self, stream: RemoteStream) -> None:
        """Somebody's sound is there; it is played if an output was chosen."""
        if self._speakers is not None:
            self._speakers.add(stream)

    def attach(self, stream: LocalStream) -> None:
        """Put the open devices into this stream, which is what the call sends now."""
        self._stream = stream
        self._put_in()

    def release(self) -> None:
        """Let camera and microphone go, and give the stream its own sources back."""
        stream, self._stream = self._stream, None
        camera, microphone = self._camera, self._microphone
        self._camera = self._microphone = None
        audio, video = self._set_aside
        self._set_aside = (None, None)
        if stream is not None and not stream.closed:
            if microphone is not None:
                stream.replace_audio_source(audio)
            if camera is not None:
                stream.replace_video_source(video)
        for source in (camera, microphone):
            if source is not None:
                self._let_go(source)

    def close(self) -> None:
        """The call is over: let everything go."""
        self._closed = True
        self.release()
        speakers, self._speakers = self._speakers, None
        if speakers is not None:
            self._let_go(speakers)

    async def wait_closed(self) -> None:
        """Wait until everything that was let go is closed."""
        if self._closing:
            await asyncio.wait(self._closing)

    async def _open_camera(self, device_id: str) -> MediaDevice:
        if not self._owner.video:
            raise InvalidStateError("an audio call carries no pictures: use a video call")
        camera = self._camera or CameraSource(self._monitor, self._format, self._changed)
        device = await camera.route.select(device_id)
        if self._closed:
            self._let_go(camera)
            raise InvalidStateError("the call is over")
        self._camera = camera
        return device

    async def _open_microphone(self, device_id: str) -> MediaDevice:
        self._voice = self._voice or Voice(self._processing)
        microphone = self._microphone or MicrophoneSource(self._monitor, self._voice, self._changed)
        device = await microphone.route.select(device_id)
        if self._closed:
            self._let_go(microphone)
            raise InvalidStateError("the call is over")
        self._microphone = microphone
        return device

    def _put_in(self) -> None:
        """Let the stream have what the devices give; nothing from those that are gone."""
        stream = self._stream = self._stream or self._owner.stream()
        if stream.closed:
            raise InvalidStateError("the stream is closed")
        audio, video = self._set_aside
        if self._microphone is not None:
            wanted = self._microphone if self._microphone.route.device is not None else None
            before = stream.replace_audio_source(wanted)
            audio = audio if before in (None, self._microphone) else before
        if self._camera is not None:
            seen = self._camera if self._camera.route.device is not None else None
            shown = stream.replace_video_source(seen)
            video = video if shown in (None, self._camera) else shown
        self._set_aside = (audio, video)

    def _changed(self, change: Lost | Restored) -> None:
        if self._closed:
            return
        if self._stream is not None and not self._stream.closed:
            self._put_in()
        if isinstance(change, Lost):
            self._owner.device_lost(change.device, change.fallback)
        else:
            self._owner.device_restored(change.device)

    def _played(self, samples: Pcm, ends: float) -> None:
        if self._voice is not None:
            self._voice.processor.played(samples, ends)

    def _let_go(self, user: CameraSource | MicrophoneSource | Speakers) -> None:
        task = asyncio.create_task(user.route.aclose(), name="device closing")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
