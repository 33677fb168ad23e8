"""One call, as the application sees it.

A call changes in steps. Each step is one plain function call on the event loop: something happened
(a verb, a signal, a report of the engine, a deadline), the call machine says what is to be done,
and `perform` does it or hands it on: signals to the chat, operations to the peers' tasks, callbacks
to the callback runner. Nothing in a step waits, so no step can be interleaved with another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ringmesh.calls.effects import (
    AddCandidates,
    CallEvent,
    ClosePeer,
    Effect,
    Ignored,
    MakeAnswer,
    MakeOffer,
    Notify,
    Send,
    SetAnswer,
    SwitchSession,
)
from ringmesh.calls.machine import CallMachine, Elsewhere
from ringmesh.calls.transitions import EndReason, LegState, SessionState
from ringmesh.client import events
from ringmesh.client.broadcast import Subscription
from ringmesh.client.callbacks import CallbackRunner
from ringmesh.client.config import check_bandwidth
from ringmesh.client.device_controls import DeviceControls
from ringmesh.client.events import Event
from ringmesh.client.local_media import LocalMedia, LocalMediaOwner
from ringmesh.client.peers import Peers, PeerSettings, PeersOwner
from ringmesh.client.recording import CallRecording, Recordings
from ringmesh.client.report import CallReport
from ringmesh.client.screen_sharing import ScreenSharing
from ringmesh.client.session_events import SessionEvents, event_of
from ringmesh.client.statistics import CallStatistics, CubeStatsReport
from ringmesh.client.user_info import check_user_info
from ringmesh.errors import ConfigurationError, InvalidStateError, MediaError
from ringmesh.media.devices.camera import CameraFormat
from ringmesh.media.devices.monitor import DeviceMonitor
from ringmesh.media.mixed_recorder import SIZE
from ringmesh.media.quality import MediaDirection, Quality
from ringmesh.media.stats import PeerStats
from ringmesh.media.streams import LocalStream, RemoteStream
from ringmesh.signals import CallType, ScreenNotice, Signal, UserInfo

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionServices:
    """What a session needs of the client it belongs to.

    Attributes:
        peers: how connections are made.
        callbacks: runs the application's callbacks.
        send: hands a signal for a user, or for one device of theirs, to the chat.
        dial: starts an outgoing call.
        path_lost: told when a media path is lost: the chat's may be too.
        stepped: told after each step, since deadlines may have changed.
        closed: told when the call is over.
        devices: knows the devices of this machine.
        camera: what cameras are asked for.
        stats_interval: seconds between two looks at the statistics; 0 never looks.
    """

    peers: PeerSettings
    callbacks: CallbackRunner
    send: Callable[[int, Signal, str], None]
    dial: Callable[[CallMachine, UserInfo], None]
    path_lost: Callable[[], None]
    stepped: Callable[[], None]
    closed: Callable[[P2PSession], None]
    devices: DeviceMonitor
    camera: CameraFormat
    stats_interval: float


class P2PSession(SessionEvents, DeviceControls):
    """A call with one to three opponents, made by `P2PClient`.

    What it tells the application is in `SessionEvents`, what is done with devices in
    `DeviceControls`.

    Attributes:
        user_info: what the caller told with an incoming call.
    """

    def __init__(
        self,
        call: CallMachine,
        services: SessionServices,
        *,
        user_info: UserInfo | None = None,
        max_bandwidth: int = 0,
    ) -> None:
        super().__init__(services.callbacks)
        self.user_info: UserInfo = user_info or {}
        self._call = call
        self._services = services
        self._blank_stream: LocalStream | None = None
        self._peers = Peers(
            call,
            services.peers,
            PeersOwner(
                step=self._step,
                stream_received=self._stream_received,
                stream_removed=lambda user_id, stream: self._tell(
                    events.RemoteStreamRemoved(self, user_id, stream)
                ),
            ),
        )
        self._peers.max_bandwidth = max_bandwidth
        self._recordings = Recordings(
            call.own_id, changed=lambda recording: self._step(call.set_recording(recording))
        )
        self._media = LocalMedia(services.devices, services.camera, self._media_owner())
        self._screen_shared_once = False
        self._screen = ScreenSharing(
            gone=lambda reason: self._tell(events.ScreenSharingEnded(self, reason)),
            changed=self._tell_everybody_of_screen,
        )
        self._statistics = CallStatistics(
            self._peers.connections,
            lambda *change: self._tell(events.QualityChanged(self, *change)),
            call_type=call.call_type,
            interval=services.stats_interval,
        )

    # What the call is.

    @property
    def session_id(self) -> str:
        """The call's id, the same for everybody in it."""
        return self._call.session_id

    @property
    def call_type(self) -> CallType:
        """Audio or video."""
        return self._call.call_type

    @property
    def caller_id(self) -> int:
        """Who started the call."""
        return self._call.caller_id

    @property
    def opponents_ids(self) -> tuple[int, ...]:
        """Who was called, in the caller's order, without the caller."""
        return self._call.opponents_ids

    @property
    def members_ids(self) -> tuple[int, ...]:
        """Everybody in the call but us."""
        return self._call.members_ids

    @property
    def current_user_id(self) -> int:
        """Our own id."""
        return self._call.own_id

    @property
    def state(self) -> SessionState:
        """How far the call is."""
        return self._call.state

    @property
    def close_reason(self) -> EndReason | None:
        """Why the call ended; None while it has not."""
        return self._call.end_reason

    @property
    def answered_elsewhere(self) -> Elsewhere | None:
        """Where our user answered or declined this call, when it was on another device."""
        return self._call.elsewhere

    def connection_state_for_user(self, user_id: int) -> LegState:
        """How far it is towards one person. Raises `ConfigurationError` for anybody else."""
        return self._call.leg_state(user_id)

    @property
    def local_stream(self) -> LocalStream | None:
        """What we send."""
        return self._peers.local_stream

    @property
    def remote_streams(self) -> Mapping[int, RemoteStream]:
        """What the others send, by user id."""
        return MappingProxyType(self._peers.remote_streams)

    @property
    def recording_users_ids(self) -> frozenset[int]:
        """Who of the others says that they record the call."""
        return self._call.recording_users_ids

    # What the application does.

    async def start_call(self, user_info: UserInfo | None = None) -> None:
        """Ring the opponents; goes on in the background.

        Sends black pictures and silence unless local media was set before.
        Raises `InvalidStateError` when it was started already.
        """
        info = check_user_info(user_info)
        if self._peers.max_bandwidth:
            info.setdefault("maxBandwidth", str(self._peers.max_bandwidth))
        self._services.dial(self._call, info)

    async def accept_call(self, user_info: UserInfo | None = None) -> None:
        """Answer an incoming call; goes on in the background.

        Raises `InvalidStateError` when it is not ringing here any more.
        """
        self._step(self._call.accept(self._now(), check_user_info(user_info)))

    async def reject(self, user_info: UserInfo | None = None) -> None:
        """Decline an incoming call. Raises `InvalidStateError` when it is not ringing any more."""
        self._step(self._call.reject(self._now(), check_user_info(user_info)))

    async def hang_up(self, user_info: UserInfo | None = None) -> None:
        """Leave the call, or cancel it. Does nothing when it is over."""
        self._step(self._call.hang_up(self._now(), check_user_info(user_info)))

    hung_up = hang_up

    async def init_local_media_stream(
        self,
        stream: LocalStream | None = None,
        *,
        camera: str | None = None,
        microphone: str | None = None,
    ) -> LocalStream:
        """Decide what is sent, before the call.

        Either a stream, which stays yours: the call never closes it. Or a camera, a microphone or
        both, by id (``default`` is the system's default), which are switched on now, and off when
        the call ends. Without anything black pictures and silence are sent.

        Raises `InvalidStateError` when the call has begun, and for devices what `switch_camera`
        and `select_audio_input` raise.
        """
        if self._peers:
            raise InvalidStateError("the call has begun: use replace_media_stream")
        if stream is not None and (camera is not None or microphone is not None):
            raise ConfigurationError("give a stream, or devices, and not both")
        await self._media.open(camera, microphone)
        return self._init_local_stream(stream)

    async def replace_media_stream(self, stream: LocalStream) -> None:
        """Send another stream from now on, to everybody. Raises `MediaError` if that fails."""
        if stream.closed:
            raise InvalidStateError("the stream is closed")
        self._screen.end()
        self._media.release()
        blank, self._blank_stream = self._blank_stream, None
        self._peers.local_stream = stream
        self._recordings.send(stream)
        try:
            await self._peers.on_all(lambda connection: connection.set_local_stream(stream))
        finally:
            if blank is not None:
                blank.close()

    def set_microphone_mute(self, mute: bool) -> None:
        """Send silence, or sound again. Raises `InvalidStateError` without a local stream."""
        self._require_local_stream().audio_enabled = not mute

    def set_video_enabled(self, enabled: bool) -> None:
        """Send pictures, or black ones. Raises `InvalidStateError` without a local stream."""
        self._require_local_stream().video_enabled = enabled

    async def enable_screen_sharing(
        self, enable: bool, *, request_audio: bool = False, source: str | None = None
    ) -> None:
        """Send a screen or window in place of the camera, or the camera again; in video calls.

        `source` is the id of a `CaptureSource` (see `list_capture_sources`), None the first
        screen; `request_audio` adds what this machine plays to the sound that is sent. Everybody
        sees it at once, without renegotiation, and `set_video_enabled` applies to it as to the
        camera. When the window is closed, or the screen taken away, sharing ends by itself
        (`ScreenSharingEnded`).

        Raises `ConfigurationError` for what is no id, `MediaError` when there is no such source
        (any more), `NotSupportedError` where the system allows no sharing, and `InvalidStateError`
        in an audio call or one that is over. What was sent before is then sent on.
        """
        if not enable:
            self._screen.end()
            return
        await self._screen.begin(self._stream_to_share, source, request_audio=request_audio)

    async def start_screen_sharing(
        self, source: str | None = None, *, request_audio: bool = False
    ) -> None:
        """`enable_screen_sharing(True, …)`."""
        await self.enable_screen_sharing(True, request_audio=request_audio, source=source)

    @property
    def is_screen_shared(self) -> bool:
        """Whether we share a screen or window now."""
        return self._screen.active

    async def set_max_bandwidth(self, kbps: int) -> None:
        """Limit what each of our video senders uses, in kbit/s; 0 removes the limit.

        Raises `ConfigurationError` for other values.
        """
        check_bandwidth(kbps)
        self._peers.max_bandwidth = kbps
        await self._peers.on_all(lambda connection: connection.set_max_bandwidth(kbps))

    def record(
        self,
        path: str | Path,
        *,
        size: tuple[int, int] = SIZE,
        on_error: Callable[[MediaError], object] | None = None,
    ) -> CallRecording:
        """Record everybody in the call, us too, from now on, and tell the others so.

        A path that ends in ``.mkv``, ``.webm`` or ``.mp4`` becomes one file: a picture of this
        `size` (width and height, in a video call) with everybody in a grid, and the sound of all.
        Any other path becomes a folder with a file ``<user id>.mkv`` for each person. Existing
        files are overwritten.

        When writing fails later (disk full) the recording ends, `on_error`, a plain or coroutine
        function, is called once, and the call goes on. Raises `MediaError` when the path cannot be
        written, `ConfigurationError` for an impossible size, `InvalidStateError` when the call is
        over.
        """
        return self._recordings.begin(
            path,
            video=self.call_type is CallType.VIDEO_CALL,
            size=size,
            failed=lambda error: self._services.callbacks.run(on_error, error),
        )

    def announce_recording(self, recording: bool) -> None:
        """Tell the others that this program records them by its own means, or does no longer.

        `record` tells them by itself.
        """
        self._recordings.announce(recording)

    def can_initiate_ice_restart(self, user_id: int) -> bool:
        """Whether it is this side that may restart ICE towards a person, now."""
        return self._call.can_restart_ice(user_id)

    async def ice_restart(self, user_id: int) -> None:
        """Look for a new media path; goes on in the background.

        Lost paths are looked for anyway, unless `RTCConfig` says otherwise. Where the other side
        has to begin it is asked to. Raises `InvalidStateError` when it would not understand, see
        `can_initiate_ice_restart`.
        """
        self._step(self._call.restart_ice(user_id, self._now()))

    async def get_stats(self, user_id: int) -> PeerStats:
        """A snapshot of the connection to a person. Raises `InvalidStateError` without one."""
        return await self._peers.connection(user_id).get_stats()

    @property
    def stats_reports(self) -> Subscription[CubeStatsReport]:
        """The statistics of everybody from now on, to ``async for`` over; ends with the call.

        There is one of each person every `RTCConfig.stats_reports_interval` ms. With 0 it ends at
        once.
        """
        return self._statistics.reports()

    def quality(self, user_id: int) -> Mapping[MediaDirection, Quality]:
        """How good it is with a person now, by direction; good as long as nothing is known."""
        return self._statistics.quality(user_id)

    def report(self, names: Mapping[int, str] | None = None) -> CallReport:
        """How the call has been so far, or was; people are called by `names` or by their ids.

        Raises `InvalidStateError` when `RTCConfig.stats_reports_interval` is 0.
        """
        return self._statistics.report(self.session_id, names or {})

    # For the client that owns this session.

    def perform(self, effects: Sequence[Effect]) -> None:
        """Do what the call machine says, in order."""
        for effect in effects:
            if isinstance(effect, MakeOffer | MakeAnswer) and self._peers.local_stream is None:
                self._init_local_stream(None)
            match effect:
                case Send(user_id, signal, device):
                    self._services.send(user_id, signal, device)
                case MakeOffer(user_id, ice_restart):
                    self._peers.make_offer(user_id, ice_restart=ice_restart)
                case MakeAnswer(user_id, offer):
                    self._peers.make_answer(user_id, offer)
                case SetAnswer(user_id, answer):
                    self._peers.set_answer(user_id, answer)
                case AddCandidates(user_id, candidates):
                    self._peers.add_candidates(user_id, candidates)
                case ClosePeer(user_id):
                    self._peers.close(user_id)
                case Notify():
                    self._notify(effect)
                case Ignored(user_id, signal, reason):
                    name = type(signal).__name__
                    _logger.info("ignored %s from user %d: %s", name, user_id, reason.value)
                case SwitchSession(old, new):
                    _logger.info("session %s goes on as %s", old, new)

    async def wait_peers_closed(self) -> None:
        """Wait until the connections that were closed are gone."""
        await self._statistics.wait_closed()
        await self._peers.wait_closed()
        await self._media.wait_closed()
        await self._recordings.wait_complete()

    def _step(self, effects: Sequence[Effect]) -> None:
        self.perform(effects)
        self._services.stepped()

    def _notify(self, notice: Notify) -> None:
        if notice.event is CallEvent.SESSION_CLOSED:
            self._close()
            return
        event = event_of(self, notice)
        if event is None:
            return
        self._tell(event)
        match event:
            case events.DisconnectedFromUser():
                self._services.path_lost()
            case events.ConnectedToUser(_, user_id):
                self._peers.announce_stream(user_id)
                if self._screen_shared_once:  # a lost path may have lost the news, too
                    self._tell_of_screen(user_id)

    def _close(self) -> None:
        self._screen.end()
        self._statistics.close()
        self._media.close()
        self._peers.close_all()
        if self._blank_stream is not None:
            self._blank_stream.close()
        _logger.info("session %s closed: %s", self.session_id, self.close_reason)
        self._tell(events.SessionClosed(self))
        self._end_events()
        self._services.closed(self)

    def _tell(self, event: Event) -> None:
        self._recordings.note(event)
        self._statistics.note(event)
        self._publish(event)

    # Media.

    def _media_owner(self) -> LocalMediaOwner:
        return LocalMediaOwner(
            video=self.call_type is CallType.VIDEO_CALL,
            stream=lambda: self._peers.local_stream or self._init_local_stream(None),
            remote_streams=self._peers.remote_streams.values,
            device_lost=lambda *change: self._tell(events.DeviceLost(self, *change)),
            device_restored=lambda device: self._tell(events.DeviceRestored(self, device)),
        )

    def _stream_received(self, user_id: int, stream: RemoteStream) -> None:
        self._media.hear(stream)
        self._tell(events.RemoteStreamReceived(self, user_id, stream))

    def _init_local_stream(self, stream: LocalStream | None) -> LocalStream:
        if stream is not None and stream.closed:
            raise InvalidStateError("the stream is closed")
        if self.close_reason is not None:
            raise InvalidStateError("the call is over")
        self._screen.end()
        if self._blank_stream is not None:
            self._blank_stream.close()
            self._blank_stream = None
        if stream is None:
            video = self.call_type is CallType.VIDEO_CALL
            size = self._services.camera
            stream = self._blank_stream = LocalStream.blank(
                video=video, width=size.width, height=size.height
            )
        self._peers.local_stream = stream
        self._media.attach(stream)
        self._tell(events.LocalStreamReceived(stream))
        return stream

    def _tell_everybody_of_screen(self) -> None:
        self._screen_shared_once = True
        for user_id in self.members_ids:
            if self.connection_state_for_user(user_id) is LegState.CONNECTED:
                self._tell_of_screen(user_id)

    def _tell_of_screen(self, user_id: int) -> None:
        """So that apps that draw can show all of the picture and say what it is."""
        notice = ScreenNotice(session_id=self.session_id, sharing=self._screen.active)
        self._services.send(user_id, notice, "")

    def _stream_to_share(self) -> LocalStream:
        """The stream that is to show a screen."""
        if self.call_type is not CallType.VIDEO_CALL:
            raise InvalidStateError("an audio call carries no pictures: share in a video call")
        if self.close_reason is not None:
            raise InvalidStateError("the call is over")
        return self._peers.local_stream or self._init_local_stream(None)

    def _require_local_stream(self) -> LocalStream:
        if self._peers.local_stream is None:
            raise InvalidStateError("there is no local stream yet")
        return self._peers.local_stream

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
