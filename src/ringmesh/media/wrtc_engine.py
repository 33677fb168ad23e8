"""The engine on `wrtc` (libwebrtc). With `wrtc_media`, the only modules that import it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Literal

import webrtc

from ringmesh.errors import InvalidStateError, MediaError
from ringmesh.ice import IceCandidate, IceConnectionState, IceServer
from ringmesh.media.engine import PeerCallbacks
from ringmesh.media.stats import PeerStats
from ringmesh.media.streams import LocalStream
from ringmesh.media.wrtc_media import LocalTracks, RemoteTracks
from ringmesh.media.wrtc_stats import look, peer_stats

MAX_EARLY_CANDIDATES = 256
"""Remote candidates kept until the remote description is set; more are dropped, oldest first."""

MAX_SDP_LENGTH = 200_000
MAX_BANDWIDTH = 4_000_000
"""kbit/s: the most that fits libwebrtc's 32 bits of bit/s."""

_KEPT = {"text": webrtc.RTCDegradationPreference.maintain_framerate_and_resolution}

_ENGINE_ERRORS = (webrtc.RTCException, TypeError, ValueError, OverflowError)
_SENDING = (IceConnectionState.CONNECTED, IceConnectionState.COMPLETED)

_log = logging.getLogger(__name__)


FIELD_TRIALS = {
    # Begin at 600 kbit/s: libwebrtc's 300 start a 720p call at 320x180, and it grows for a minute.
    "WebRTC-PcFactoryDefaultBitrates": "start:600kbps",
}


class WrtcEngine:
    """Implements `ringmesh.media.engine.Engine`."""

    def __init__(self) -> None:
        # They are fixed once a connection was made in this process, by us or by others.
        with contextlib.suppress(webrtc.InvalidStateError):
            webrtc.field_trials.update(FIELD_TRIALS)

    def create_peer_connection(
        self,
        callbacks: PeerCallbacks,
        *,
        ice_servers: Sequence[IceServer] = (),
        relay_only: bool = False,
        receive_video: bool = True,
    ) -> WrtcPeerConnection:
        """A new connection. Raises `MediaError` for ICE servers that the engine refuses."""
        configuration = webrtc.RTCConfiguration(
            ice_servers=[
                webrtc.RTCIceServer(list(server.urls), server.username, server.credential)
                for server in ice_servers
            ],
            ice_transport_policy="relay" if relay_only else "all",
            bundle_policy="max-bundle",
        )
        try:
            connection = webrtc.RTCPeerConnection(configuration)
        except _ENGINE_ERRORS as error:
            raise MediaError(f"ICE servers refused: {error}") from error
        return WrtcPeerConnection(connection, callbacks, video=receive_video)


class WrtcPeerConnection:
    """Implements `ringmesh.media.engine.PeerConnection`."""

    def __init__(
        self, connection: webrtc.RTCPeerConnection, callbacks: PeerCallbacks, *, video: bool
    ) -> None:
        self._connection = connection
        self._callbacks = callbacks
        self._video = video
        self._remote = RemoteTracks()
        self._blank: LocalStream | None = None
        self._tracks = self._tracks_of(None)
        self._tracks.content_changed.add(self._on_content_changed)
        self._senders: dict[str, webrtc.RTCRtpSender] = {}
        self._sending = False
        self._max_kbps = 0
        self._parameters = asyncio.Lock()
        self._following: set[asyncio.Task[None]] = set()
        self._early: deque[IceCandidate] = deque(maxlen=MAX_EARLY_CANDIDATES)
        self._closed = False
        connection.on("icecandidate", self._on_ice_candidate)
        connection.on("iceconnectionstatechange", self._on_ice_connection_state)
        connection.on("track", self._on_track)

    async def create_offer(self, *, ice_restart: bool = False) -> str:
        """Create an offer, apply it locally and return its SDP."""
        self._check_open()
        with self._translated_errors("no offer could be made"):
            for kind in self._kinds():
                self._add_sender(kind)
            options = webrtc.RTCOfferOptions(ice_restart=ice_restart)
            offer = await self._connection.create_offer(options)
            await self._connection.set_local_description(offer)
        await self._apply_parameters()
        return offer.sdp

    async def create_answer(self, offer: str) -> str:
        """Apply a remote offer, answer it, apply the answer locally and return its SDP."""
        await self._set_remote("offer", offer)
        with self._translated_errors("the offer could not be answered"):
            self._accept_offered_kinds()
            answer = await self._connection.create_answer()
            await self._connection.set_local_description(answer)
        await self._add_early_candidates()
        await self._apply_parameters()
        return answer.sdp

    async def set_answer(self, answer: str) -> None:
        """Apply the remote answer to the offer made last."""
        await self._set_remote("answer", answer)
        await self._add_early_candidates()
        await self._apply_parameters()

    async def add_ice_candidate(self, candidate: IceCandidate) -> None:
        """Add a remote candidate; those that come before the remote description are kept."""
        self._check_open()
        if self._connection.remote_description is None:
            self._early.append(candidate)
            return
        init = webrtc.RTCIceCandidateInit(
            candidate.candidate, candidate.sdp_mid, candidate.sdp_mline_index
        )
        with self._translated_errors("candidate refused"):
            await self._connection.add_ice_candidate(init)

    def local_sdp(self) -> str | None:
        """The current local description with the candidates gathered so far."""
        description = None if self._closed else self._connection.local_description
        return None if description is None else description.sdp

    async def set_local_stream(self, stream: LocalStream | None) -> None:
        """Send this stream's tracks from now on, without renegotiation; None sends blank ones."""
        self._check_open()
        if stream is not None and stream.closed:
            raise InvalidStateError("the stream is closed")
        before = self._tracks
        self._tracks = self._tracks_of(stream)
        before.content_changed.discard(self._on_content_changed)
        self._tracks.content_changed.add(self._on_content_changed)
        try:
            with self._translated_errors("the tracks could not be replaced"):
                for kind, sender in self._senders.items():
                    if before is not self._tracks:
                        await sender.replace_track(self._tracks.track(kind))
        finally:
            if self._sending:
                self._acquire(self._tracks)
                self._release(before)
        await self._apply_parameters()

    async def set_max_bandwidth(self, kbps: int) -> None:
        """Cap what the video sender sends, in kbit/s; 0 removes the cap."""
        self._check_open()
        if not 0 <= kbps <= MAX_BANDWIDTH:
            raise MediaError(f"a bandwidth is 0 to {MAX_BANDWIDTH} kbit/s, not {kbps}")
        self._max_kbps = kbps
        await self._apply_parameters()

    def last_media_at(self) -> float | None:
        """When the newest received media was played; None before and after."""
        if self._closed:
            return None
        times = [
            source.timestamp / 1000
            for receiver in self._connection.get_receivers()
            for source in receiver.get_synchronization_sources()
        ]
        return max(times, default=None)

    async def get_stats(self) -> PeerStats:
        """A snapshot of the connection's statistics."""
        self._check_open()
        with self._translated_errors("no statistics"):
            return peer_stats(await look(self._connection))

    async def close(self) -> None:
        """Release everything. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._sending:
            self._sending = False
            self._release(self._tracks)
        self._tracks.content_changed.discard(self._on_content_changed)
        for task in self._following:
            task.cancel()
        self._connection.off()
        self._connection.close()
        self._early.clear()
        self._senders.clear()
        self._remote.close()
        if self._blank is not None:
            self._blank.close()

    def _kinds(self) -> tuple[str, ...]:
        return ("audio", "video") if self._video else ("audio",)

    def _tracks_of(self, stream: LocalStream | None) -> LocalTracks:
        if stream is None:
            stream = self._blank = self._blank or LocalStream.blank()
        return LocalTracks.of(stream)

    def _add_sender(self, kind: str) -> None:
        if kind not in self._senders:
            track = self._tracks.track(kind)
            self._senders[kind] = self._connection.add_track(track, self._tracks.group)

    def _accept_offered_kinds(self) -> None:
        for transceiver in self._connection.get_transceivers():
            kind = str(transceiver.receiver.track.kind.value)
            if kind in self._kinds():
                self._add_sender(kind)
            else:
                transceiver.direction = "inactive"

    async def _set_remote(self, kind: Literal["offer", "answer"], sdp: str) -> None:
        self._check_open()
        if len(sdp) > MAX_SDP_LENGTH:
            raise MediaError(f"a description of {len(sdp)} characters is too long")
        with self._translated_errors(f"the remote {kind} was refused"):
            init = webrtc.RTCSessionDescriptionInit(kind, sdp)
            await self._connection.set_remote_description(init)

    async def _add_early_candidates(self) -> None:
        while self._early and not self._closed:
            try:
                await self.add_ice_candidate(self._early.popleft())
            except MediaError as error:
                _log.warning("%s", error)

    async def _apply_parameters(self) -> None:
        """Tell the video sender its cap, and what to give up when bandwidth is short: of text
        neither pixels nor pictures per second, but detail while it moves."""
        async with self._parameters:
            sender = self._senders.get("video")
            if sender is None or self._closed:
                return
            with self._translated_errors("the bandwidth could not be capped"):
                parameters = sender.get_parameters()
                parameters.degradation_preference = _KEPT.get(self._tracks.content_hint)
                for encoding in parameters.encodings:
                    encoding.max_bitrate = self._max_kbps * 1000 or None
                await sender.set_parameters(parameters)

    def _on_content_changed(self) -> None:
        task = asyncio.get_running_loop().create_task(self._follow_content())
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _follow_content(self) -> None:
        try:
            await self._apply_parameters()
        except (MediaError, InvalidStateError) as error:
            _log.warning("%s", error)

    def _acquire(self, tracks: LocalTracks) -> None:
        for kind in self._kinds():
            tracks.acquire(kind)

    def _release(self, tracks: LocalTracks) -> None:
        for kind in self._kinds():
            tracks.release(kind)

    def _on_ice_candidate(self, event: webrtc.RTCPeerConnectionIceEvent) -> None:
        candidate = event.candidate
        if not self._closed and candidate is not None and candidate.candidate:
            index = candidate.sdp_m_line_index or 0
            self._callbacks.ice_candidate(
                IceCandidate(candidate.candidate, candidate.sdp_mid, index)
            )

    def _on_ice_connection_state(self, _: webrtc.Event) -> None:
        if self._closed:
            return
        state = IceConnectionState(self._connection.ice_connection_state.value)
        if state in _SENDING and not self._sending:
            self._sending = True
            self._acquire(self._tracks)
        self._callbacks.ice_connection_state(state)

    def _on_track(self, event: webrtc.RTCTrackEvent) -> None:
        if not self._closed:
            self._remote.add(event.receiver)
            self._callbacks.remote_stream(self._remote.stream)

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidStateError("the peer connection is closed")

    @contextlib.contextmanager
    def _translated_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except _ENGINE_ERRORS as error:
            if self._closed:
                raise InvalidStateError("the peer connection was closed meanwhile") from error
            raise MediaError(f"{what}: {error}") from error
        except asyncio.CancelledError:
            # wrtc cancels what is pending when a connection closes; the caller was not cancelled.
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                raise InvalidStateError("the peer connection was closed meanwhile") from None
            raise
