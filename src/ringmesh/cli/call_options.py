"""What was asked for on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ringmesh.signals import CallType

TEST = "test"
"""The word for the test picture and tone, where a file may be named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """Ids of the devices to use; None for none."""

    camera: str | None
    microphone: str | None
    speakers: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """Of ``ringmesh call``: whom to call, what to send and share, where to record, for how many
    seconds, where to report."""

    users: tuple[str, ...]
    call_type: CallType
    send: str
    devices: DeviceOptions
    screen: str | None
    record: Path | None
    record_all: Path | None
    duration: float | None
    report: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOptions:
    """Of ``ringmesh answer``."""

    reject: bool
    echo: bool
    send: str | None
    devices: DeviceOptions
    record: Path | None
    once: bool
