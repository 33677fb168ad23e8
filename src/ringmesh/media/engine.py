"""The seam to the WebRTC engine, in W3C terms.

Everything the SDK asks of an engine is here; nothing outside `ringmesh.media` imports the engine's
own package. All coroutines and callbacks run on the event loop that created the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ringmesh.ice import IceCandidate, IceConnectionState, IceServer
from ringmesh.media.stats import PeerStats
from ringmesh.media.streams import LocalStream, RemoteStream


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCallbacks:
    """What a peer connection tells its owner. Called on the event loop, never after `close`.

    Attributes:
        ice_candidate: a local candidate was gathered.
        ice_connection_state: the aggregated ICE state changed.
        remote_stream: remote tracks appeared or changed; the same stream object each time.
    """

    ice_candidate: Callable[[IceCandidate], None]
    ice_connection_state: Callable[[IceConnectionState], None]
    remote_stream: Callable[[RemoteStream], None]


class PeerConnection(Protocol):
    """One connection to one opponent (``RTCPeerConnection``).

    Coroutines raise `MediaError` for descriptions or candidates that the engine refuses.
    """

    async def create_offer(self, *, ice_restart: bool = False) -> str:
        """Create an offer, apply it locally and return its SDP (with ``ice-options:trickle``)."""

    async def create_answer(self, offer: str) -> str:
        """Apply a remote offer, answer it, apply the answer locally and return its SDP."""

    async def set_answer(self, answer: str) -> None:
        """Apply the remote answer to the offer made last."""

    async def add_ice_candidate(self, candidate: IceCandidate) -> None:
        """Add a remote candidate; those that come before the remote description are kept."""

    def local_sdp(self) -> str | None:
        """The current local description with the candidates gathered so far."""

    async def set_local_stream(self, stream: LocalStream | None) -> None:
        """Send this stream's tracks from now on, without renegotiation.

        Of a kind that the stream does not have, and with None, black and silence are sent.
        """

    async def set_max_bandwidth(self, kbps: int) -> None:
        """Cap what the video senders send, in kbit/s; 0 removes the cap."""

    def last_media_at(self) -> float | None:
        """When the newest received media was played, in seconds of any one clock; None before.

        Costs a few microseconds, so it can be asked often.
        """

    async def get_stats(self) -> PeerStats:
        """A snapshot of the connection's statistics."""

    async def close(self) -> None:
        """Release everything. Idempotent."""


class Engine(Protocol):
    """Creates peer connections."""

    def create_peer_connection(
        self,
        callbacks: PeerCallbacks,
        *,
        ice_servers: Sequence[IceServer] = (),
        relay_only: bool = False,
        receive_video: bool = True,
    ) -> PeerConnection:
        """A new connection. `receive_video` False makes an audio-only one."""
