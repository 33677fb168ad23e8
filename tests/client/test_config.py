"""Settings are checked when they are made."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ringmesh import (
    ConfigurationError,
    CubeChatConnectionSettings,
    Endpoints,
    IceServer,
    RTCConfig,
    RTCMediaConfig,
)

WRONG: list[tuple[type, dict[str, Any]]] = [
    (RTCConfig, {"no_answer_timeout": 0.5}),
    (RTCConfig, {"no_answer_timeout": float("nan")}),
    (RTCConfig, {"no_answer_timeout": "60"}),
    (RTCConfig, {"dialing_time_interval": 2.9}),
    (RTCConfig, {"disconnect_time_interval": -1}),
    (RTCConfig, {"max_calls": 0}),
    (RTCConfig, {"max_calls": 1.5}),
    (RTCConfig, {"max_calls": True}),
    (RTCConfig, {"ice_servers": ("stun:example.org",)}),
    (RTCConfig, {"ice_servers": (IceServer(()),)}),
    (RTCConfig, {"stats_reports_interval": -1}),
    (RTCConfig, {"stats_reports_interval": 99}),
    (RTCConfig, {"stats_reports_interval": 60_001}),
    (RTCConfig, {"stats_reports_interval": 1000.0}),
    (RTCConfig, {"stats_reports_interval": True}),
    (RTCConfig, {"stats_reports_interval": None}),
    (RTCMediaConfig, {"max_bandwidth": -1}),
    (RTCMediaConfig, {"max_bandwidth": 10**7}),
    (RTCMediaConfig, {"max_bandwidth": "500"}),
    (RTCMediaConfig, {"min_width": 0}),
    (RTCMediaConfig, {"min_width": 10**9}),
    (RTCMediaConfig, {"min_width": 481}),
    (RTCMediaConfig, {"min_height": -320}),
    (RTCMediaConfig, {"min_height": 320.0}),
    (RTCMediaConfig, {"min_frame_rate": 0}),
    (RTCMediaConfig, {"min_frame_rate": 1000}),
    (RTCMediaConfig, {"min_frame_rate": float("nan")}),
    (CubeChatConnectionSettings, {"total_reconnections": -1}),
    (CubeChatConnectionSettings, {"reconnection_timeout": 0}),
    (CubeChatConnectionSettings, {"keep_alive_interval": 0}),
    (Endpoints, {"api_url": "example.org"}),
    (Endpoints, {"chat_url": "http://example.org"}),
    (Endpoints, {"chat_domain": "a@b"}),
]
ENDPOINTS = {
    "app_id": 1,
    "auth_key": "key",
    "api_url": "https://example.org",
    "chat_url": "wss://example.org/chat",
    "chat_domain": "chat.example.org",
}


@pytest.mark.parametrize(("kind", "arguments"), WRONG)
def test_wrong_values_are_refused(kind: type, arguments: dict[str, Any]) -> None:
    """Each is a `ConfigurationError` that names the field."""
    base = ENDPOINTS if kind is Endpoints else {}
    with pytest.raises(ConfigurationError, match=next(iter(arguments))):
        kind(**base | arguments)


@pytest.mark.parametrize("kind", [RTCConfig, RTCMediaConfig, CubeChatConnectionSettings])
def test_settings_do_not_change(kind: type) -> None:
    """Settings are frozen: what a call began with holds to its end."""
    settings = kind()
    name = dataclasses.fields(settings)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, name, 1)


def test_keys_are_not_shown() -> None:
    """Endpoints can be logged without the authorisation key."""
    assert "key=" not in repr(Endpoints(**ENDPOINTS))  # type: ignore[arg-type]
