"""The chat's bounds, with their units."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatLimits:
    """Bounds on what one client may use. The defaults suit calls; each is far from what SDKs need.

    Attributes:
        message_bytes: largest WebSocket message, whole or in fragments.
        outgoing_bytes: how much may wait unsent for one client. One that falls behind further is
            closed, so that nobody waits for it.
        rate_bytes: bytes per second that one client may send, in the long run.
        burst_bytes: how far it may run ahead of that.
        frame_cost: bytes that a frame of any kind is charged beyond its length.
        login_seconds: time to log in, and time that a connection stays open after a wrong password.
        idle_seconds: silence after which a client is pinged, and time it has to answer.
        close_seconds: time a client has to finish a closing handshake before it is cut off.
        devices_per_user: devices of one user online at once.
        resume_seconds: time that a device which asked for it may take to come back after its
            connection broke (XEP-0198). Until then it counts as online.
        resume_stanzas: stanzas kept for one such device.
        resume_bytes: bytes kept for one such device.
        all_resume_bytes: bytes kept for all of them together.
        detached_devices: devices without a connection; beyond that the oldest is gone.
        connections_per_address: open connections from one address; None: any number.
    """

    message_bytes: int = 65_536
    outgoing_bytes: int = 262_144
    rate_bytes: int = 2_097_152
    burst_bytes: int = 4_194_304
    frame_cost: int = 512
    login_seconds: float = 30.0
    idle_seconds: float = 30.0
    close_seconds: float = 2.0
    devices_per_user: int = 32
    resume_seconds: float = 60.0
    resume_stanzas: int = 256
    resume_bytes: int = 262_144
    all_resume_bytes: int = 67_108_864
    detached_devices: int = 10_000
    connections_per_address: int | None = None
