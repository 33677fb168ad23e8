"""The connections of one call: what the call machine wants done to them, and what they report."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from ringmesh.calls.effects import Effect
from ringmesh.calls.machine import CallMachine
from ringmesh.client.flow import FlowMonitor
from ringmesh.client.peer import Peer
from ringmesh.errors import InvalidStateError, MediaError
from ringmesh.ice import IceCandidate, IceConnectionState, IceServer
from ringmesh.media.engine import Engine, PeerCallbacks, PeerConnection
from ringmesh.media.streams import LocalStream, RemoteStream
from ringmesh.signals import CallType

_logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """How connections are made.

    Attributes:
        ice_servers: gives the servers to use at this moment.
        relay_only: whether media must go through TURN.
    """

    engine: Engine
    ice_servers: Callable[[], Awaitable[Sequence[IceServer]]]
    relay_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersOwner:
    """Whom the connections report to.

    Attributes:
        step: told the effects of each report on the call.
        stream_received: told (user id, stream) once for each remote stream.
        stream_removed: told the same when its connection is closed.
    """

    step: Callable[[Sequence[Effect]], None]
    stream_received: Callable[[int, RemoteStream], None]
    stream_removed: Callable[[int, RemoteStream], None]


class Peers:
    """Makes, operates and closes the connections of one call, by user id.

    Attributes:
        local_stream: what new connections send; set before the first one is made.
        max_bandwidth: kbit/s for each video sender of new connections; 0 for no limit.
        remote_streams: what the others send, by user id.
    """

    def __init__(self, call: CallMachine, settings: PeerSettings, owner: PeersOwner) -> None:
        self.local_stream: LocalStream | None = None
        self.max_bandwidth = 0
        self.remote_streams: dict[int, RemoteStream] = {}
        self._call = call
        self._settings = settings
        self._owner = owner
        self._peers: dict[int, Peer] = {}
        self._closing: set[Peer] = set()
        self._arriving: dict[int, RemoteStream] = {}
        self._flow = FlowMonitor(self.connections, self._flow_changed)

    def __bool__(self) -> bool:
        return bool(self._peers)

    def make_offer(self, user_id: int, *, ice_restart: bool) -> None:
        """Make an offer and report it."""
        peer = self._peer(user_id)

        async def operation(connection: PeerConnection) -> None:
            sdp = await connection.create_offer(ice_restart=ice_restart)
            self._report(peer, lambda now: self._call.offer_made(user_id, sdp, now))

        peer.submit(operation)

    def make_answer(self, user_id: int, offer: str) -> None:
        """Answer an offer and report the answer."""
        peer = self._peer(user_id)

        async def operation(connection: PeerConnection) -> None:
            sdp = await connection.create_answer(offer)
            self._report(peer, lambda now: self._call.answer_made(user_id, sdp, now))

        peer.submit(operation)

    def set_answer(self, user_id: int, answer: str) -> None:
        """Apply an answer and report that."""
        peer = self._peer(user_id)

        async def operation(connection: PeerConnection) -> None:
            await connection.set_answer(answer)
            self._report(peer, lambda now: self._call.answer_set(user_id, now))

        peer.submit(operation)

    def add_candidates(self, user_id: int, candidates: Sequence[IceCandidate]) -> None:
        """Add remote candidates; one that the engine refuses is dropped."""

        async def operation(connection: PeerConnection) -> None:
            for candidate in candidates:
                try:
                    await connection.add_ice_candidate(candidate)
                except MediaError as error:
                    _logger.info("candidate from user %d dropped: %s", user_id, error)

        self._peer(user_id).submit(operation)

    async def on_all(self, operation: Callable[[PeerConnection], Awaitable[object]]) -> None:
        """Run this on each connection, in its turn; one that closes meanwhile is left out.

        Raises what the first to fail raises.
        """
        running = [peer.run(operation) for peer in self._peers.values()]
        for result in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(result, BaseException) and not isinstance(result, InvalidStateError):
                raise result

    def connection(self, user_id: int) -> PeerConnection:
        """The connection to a person. Raises `InvalidStateError` without one."""
        peer = self._peers.get(user_id)
        if peer is None or peer.connection is None:
            raise InvalidStateError(f"there is no connection to user {user_id}")
        return peer.connection

    def announce_stream(self, user_id: int) -> None:
        """Tell of a remote stream, once, even if there is sound alone."""
        stream = self._arriving.get(user_id)
        if stream is not None and user_id not in self.remote_streams:
            self.remote_streams[user_id] = stream
            self._owner.stream_received(user_id, stream)

    def close(self, user_id: int) -> None:
        """Begin to close the connection to a person, if there is one."""
        peer = self._peers.pop(user_id, None)
        if peer is None:
            return
        peer.close()
        self._closing.add(peer)
        self._arriving.pop(user_id, None)
        stream = self.remote_streams.pop(user_id, None)
        if stream is not None:
            self._owner.stream_removed(user_id, stream)

    def close_all(self) -> None:
        """Begin to close every connection."""
        for user_id in list(self._peers):
            self.close(user_id)

    async def wait_closed(self) -> None:
        """Wait until the connections that were to be closed are gone."""
        await self._flow.stop()
        await asyncio.gather(*(peer.wait_closed() for peer in self._closing))

    def connections(self) -> dict[int, PeerConnection]:
        """Those that are open, by user id."""
        return {
            user_id: peer.connection
            for user_id, peer in self._peers.items()
            if peer.connection is not None
        }

    def _flow_changed(self, user_id: int, flowing: bool) -> None:
        now = asyncio.get_running_loop().time()
        self._owner.step(self._call.media_flow_changed(user_id, flowing=flowing, now=now))

    def _peer(self, user_id: int) -> Peer:
        peer = self._peers.get(user_id)
        if peer is None:
            peer = self._peers[user_id] = Peer(
                partial(self._open, user_id),
                partial(self._failed, user_id),
                name=f"{user_id} of {self._call.session_id}",
            )
        return peer

    async def _open(self, user_id: int, peer: Peer) -> PeerConnection:
        def candidate(candidate: IceCandidate) -> None:
            sdp = connection.local_sdp()
            self._report(
                peer,
                lambda now: self._call.candidate_gathered(user_id, candidate, now, local_sdp=sdp),
            )

        def state(state: IceConnectionState) -> None:
            if state is IceConnectionState.CONNECTED:
                self._flow.start()
            self._report(peer, lambda now: self._call.ice_state_changed(user_id, state, now))

        def remote_stream(stream: RemoteStream) -> None:
            if not peer.closing:
                self._arriving[user_id] = stream
                if stream.has_video or self._call.call_type is CallType.AUDIO_CALL:
                    self.announce_stream(user_id)

        connection = self._settings.engine.create_peer_connection(
            PeerCallbacks(
                ice_candidate=candidate, ice_connection_state=state, remote_stream=remote_stream
            ),
            ice_servers=await self._settings.ice_servers(),
            relay_only=self._settings.relay_only,
            receive_video=self._call.call_type is CallType.VIDEO_CALL,
        )
        await connection.set_local_stream(self.local_stream)
        await connection.set_max_bandwidth(self.max_bandwidth)
        return connection

    def _failed(self, user_id: int, peer: Peer, reason: str) -> None:
        self._report(peer, lambda now: self._call.peer_failed(user_id, reason, now))

    def _report(self, peer: Peer, report: Callable[[float], Sequence[Effect]]) -> None:
        if not peer.closing:
            self._owner.step(report(asyncio.get_running_loop().time()))
