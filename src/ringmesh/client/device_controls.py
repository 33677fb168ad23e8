"""What the application does with devices during a call: the part of `P2PSession` for it."""

from __future__ import annotations

from ringmesh.client.local_media import LocalMedia
from ringmesh.media.devices.model import MediaDevice, MediaDeviceKind
from ringmesh.media.devices.processing import AudioProcessing


class DeviceControls:
    """Devices of a call. A device is named by its id, or by ``default`` for the system's default.

    Whatever is chosen takes effect at once and without renegotiation, and is let go when the call
    ends. All methods that choose a device raise `ConfigurationError` for an unknown id,
    `MediaError` when the device cannot be used, `NotSupportedError` when a library is missing, and
    `InvalidStateError` when the call is over; then what was in use stays in use.
    """

    _media: LocalMedia

    async def get_cameras(self) -> list[MediaDevice]:
        """The cameras of this machine."""
        return await self._media.devices(MediaDeviceKind.VIDEO_INPUT)

    async def get_audio_inputs(self) -> list[MediaDevice]:
        """The microphones of this machine."""
        return await self._media.devices(MediaDeviceKind.AUDIO_INPUT)

    async def get_audio_outputs(self) -> list[MediaDevice]:
        """The speakers and headphones of this machine."""
        return await self._media.devices(MediaDeviceKind.AUDIO_OUTPUT)

    async def switch_camera(self, device_id: str | None = None) -> MediaDevice:
        """Send this camera's pictures; None takes the one after the present one.

        Before and during a video call, whatever was sent before. Returns the camera.
        """
        return await self._media.switch_camera(device_id)

    async def select_audio_input(self, device_id: str) -> MediaDevice:
        """Send this microphone's sound, before and during a call, whatever was sent before."""
        return await self._media.select_audio_input(device_id)

    async def select_audio_output(self, device_id: str) -> MediaDevice:
        """Play what everybody says, mixed, on this output. Until then nothing is played."""
        return await self._media.select_audio_output(device_id)

    async def enable_speakerphone(self, enabled: bool) -> MediaDevice:
        """Play on an output that the whole room hears; with False on a headset or headphones.

        Outputs are told apart by their form factor, as far as the system knows it. Without a
        headset False takes the default output; without a loudspeaker True raises
        `NotSupportedError`. Returns the output.
        """
        return await self._media.enable_speakerphone(enabled)

    async def set_torch_enabled(self, enabled: bool) -> None:
        """Switch the light of the camera in use. Raises `NotSupportedError` if it has none."""
        await self._media.set_torch_enabled(enabled)

    @property
    def audio_processing(self) -> AudioProcessing:
        """What is done to the sound of a microphone; everything by default.

        Setting it takes effect at once. Files and other streams are never touched.
        """
        return self._media.processing

    @audio_processing.setter
    def audio_processing(self, settings: AudioProcessing) -> None:
        self._media.set_processing(settings)
