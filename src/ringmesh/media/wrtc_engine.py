"""The engine on `wrtc` (libwebrtc). With `wrtc_media`, the only modules that import it."""

from __future__ import annotations

from collections.abc import Sequence

from ringmesh.ice import IceServer
from ringmesh.media.engine import PeerCallbacks, PeerConnection


class WrtcEngine:
    """Implements `ringmesh.media.engine.Engine`."""

    def create_peer_connection(
        self,
        callbacks: PeerCallbacks,
        *,
        ice_servers: Sequence[IceServer] = (),
        relay_only: bool = False,
        receive_video: bool = True,
    ) -> PeerConnection:
        """A new connection. Raises `MediaError` for ICE servers that the engine refuses."""
        raise NotImplementedError
