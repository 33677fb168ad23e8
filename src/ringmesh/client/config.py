"""Settings that the application passes in. Nothing is global, every value is checked.

Units follow the guide of the SDKs that Ringmesh replaces, which mixes them: each field says which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ringmesh.calls.config import MIN_DIALING_TIME_INTERVAL, CallConfig
from ringmesh.errors import ConfigurationError
from ringmesh.ice import IceServer

DEFAULT_NO_ANSWER_TIMEOUT = 60.0
"""Seconds that a call rings before it counts as not answered."""

DEFAULT_DIALING_TIME_INTERVAL = 5.0
"""Seconds between two repeats of an unanswered call."""


def _check(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError(f"{name} must be a number, not {value!r}")
    if not low <= value <= high:
        raise ConfigurationError(f"{name} must be between {low:g} and {high:g}, not {value!r}")


def _check_int(name: str, value: int, low: int, high: int) -> None:
    if not isinstance(value, int):
        raise ConfigurationError(f"{name} must be a whole number, not {value!r}")
    _check(name, value, low, high)


def _check_even(name: str, value: int, low: int, high: int) -> None:
    _check_int(name, value, low, high)
    if value % 2:
        raise ConfigurationError(f"{name} must be even, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RTCConfig:
    """How calls are made.

    Attributes:
        no_answer_timeout: seconds (1 to 3600) after which an unanswered call ends, on both sides.
        dialing_time_interval: seconds (3 to 60) between two repeats of an unanswered call.
        disconnect_time_interval: seconds (1 to 3600) that a lost connection to a user may take to
            come back before that user counts as gone. Other SDKs wait 30 by default.
        automatic_ice_restart: look for a new media path by itself when one is lost or the local
            address changes.
        ice_servers: STUN and TURN servers; None asks the Ringmesh server for its own.
        always_relay_calls: send media through TURN only, which hides the parties' addresses.
        max_calls: calls at one time (1 to 100), ringing ones included; a further incoming one is
            answered with busy.
        stats_reports_interval: milliseconds (100 to 60,000) between two looks at the statistics of
            each connection; 0 never looks, and then there are no `P2PSession.stats_reports`, no
            `QualityChanged` and no `P2PSession.report`.
    """

    no_answer_timeout: float = DEFAULT_NO_ANSWER_TIMEOUT
    dialing_time_interval: float = DEFAULT_DIALING_TIME_INTERVAL
    disconnect_time_interval: float = 60.0
    automatic_ice_restart: bool = True
    ice_servers: tuple[IceServer, ...] | None = None
    always_relay_calls: bool = False
    max_calls: int = 16
    stats_reports_interval: int = 0

    def __post_init__(self) -> None:
        _check("no_answer_timeout", self.no_answer_timeout, 1, 3600)
        _check("dialing_time_interval", self.dialing_time_interval, MIN_DIALING_TIME_INTERVAL, 60)
        _check("disconnect_time_interval", self.disconnect_time_interval, 1, 3600)
        _check_int("max_calls", self.max_calls, 1, 100)
        low = 100 if self.stats_reports_interval else 0
        _check_int("stats_reports_interval", self.stats_reports_interval, low, 60_000)
        for server in self.ice_servers or ():
            if not isinstance(server, IceServer) or not server.urls:
                raise ConfigurationError("ice_servers must hold IceServer objects with urls")

    def call_config(self) -> CallConfig:
        """The part that the call logic needs."""
        return CallConfig(
            no_answer_timeout=self.no_answer_timeout,
            dialing_time_interval=self.dialing_time_interval,
            disconnect_time_interval=self.disconnect_time_interval,
            automatic_ice_restart=self.automatic_ice_restart,
            max_calls=self.max_calls,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RTCMediaConfig:
    """What is asked of media.

    Attributes:
        min_width: pixels (160 to 4096, even) of pictures that cameras and blank streams give. A
            camera that has no such size gives the next larger one, or else its largest.
        min_height: pixels (90 to 4096, even), likewise.
        min_frame_rate: pictures per second (1 to 120), likewise.
        max_bandwidth: kbit/s that each of our video senders may use, up to 1,000,000; 0 sets no
            limit. A caller's limit is announced in the call and then holds for every participant;
            the smaller one of theirs and one's own counts.
    """

    min_width: int = 480
    min_height: int = 320
    min_frame_rate: int = 25
    max_bandwidth: int = 0

    def __post_init__(self) -> None:
        _check_even("min_width", self.min_width, 160, 4096)
        _check_even("min_height", self.min_height, 90, 4096)
        _check_int("min_frame_rate", self.min_frame_rate, 1, 120)
        check_bandwidth(self.max_bandwidth)


def check_bandwidth(kbps: int) -> None:
    """Raise `ConfigurationError` unless `kbps` is a limit in kbit/s (0 for none)."""
    _check_int("max_bandwidth", kbps, 0, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeChatConnectionSettings:
    """How the chat connection, which carries the call signals, is kept up.

    Attributes:
        total_reconnections: failed attempts in a row after which it gives up; None never does.
        reconnection_timeout: milliseconds, the longest pause between two attempts. The first comes
            after a twentieth of it; pauses then double, each shortened by a random part.
        connect_timeout: seconds for one attempt: socket, log-in and binding.
        keep_alive_interval: seconds between two pings.
        keep_alive_timeout: seconds within which a ping must be answered.
    """

    total_reconnections: int | None = None
    reconnection_timeout: int = 5000
    connect_timeout: float = 15.0
    keep_alive_interval: float = 20.0
    keep_alive_timeout: float = 10.0

    def __post_init__(self) -> None:
        if self.total_reconnections is not None:
            _check_int("total_reconnections", self.total_reconnections, 0, 1_000_000)
        _check_int("reconnection_timeout", self.reconnection_timeout, 1, 3_600_000)
        _check("connect_timeout", self.connect_timeout, 0.1, 300)
        _check("keep_alive_interval", self.keep_alive_interval, 0.1, 3600)
        _check("keep_alive_timeout", self.keep_alive_timeout, 0.1, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where a server is, and which application is meant. `discover` finds this out.

    Attributes:
        app_id: the application's id.
        auth_key: the application's authorisation key.
        api_url: base of the REST API, ``http:`` or ``https:``.
        chat_url: the chat WebSocket, ``ws:`` or ``wss:``.
        chat_domain: the domain in the users' JIDs; needs no DNS entry.
    """

    app_id: int
    auth_key: str = field(repr=False)
    api_url: str
    chat_url: str
    chat_domain: str

    def __post_init__(self) -> None:
        check_url("api_url", self.api_url, "http", "https")
        check_url("chat_url", self.chat_url, "ws", "wss")
        if not self.chat_domain or any(char in self.chat_domain for char in "@/ <>\"'"):
            raise ConfigurationError(f"chat_domain must be a domain, not {self.chat_domain!r}")


def check_url(name: str, url: str, *schemes: str) -> None:
    """Raise `ConfigurationError` unless `url` is absolute and has one of the schemes."""
    if not any(url.startswith(f"{scheme}://") and len(url) > len(scheme) + 3 for scheme in schemes):
        known = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ConfigurationError(f"{name} must begin with {known}, not {url!r}")
