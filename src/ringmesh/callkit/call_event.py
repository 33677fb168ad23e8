"""What a call notification speaks of, and how far the call is. PURE.

The keys are those of the push payload that mobile call kits read (docs/callkit.md), so one map
serves a push, the notification and the store. Nothing in a map is trusted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from ringmesh.errors import ProtocolError
from ringmesh.signals import CallType

MAX_NAME = 256
MAX_URL = 2048
MAX_OPPONENTS = 64
MAX_USER_INFO = 4096
"""Limits of what is read, in characters or entries."""

_SESSION_ID = re.compile(r"[!-~]{1,128}", re.ASCII)
_NUMBER = re.compile(r"\s*([0-9]{1,19})\s*", re.ASCII)
_MAX_ID = 2**63 - 1


class CallState(StrEnum):
    """How far a call is on this machine, for all processes of the application.

    ``UNKNOWN`` never heard of, or it may ring again; ``PENDING`` it rings; ``ACCEPTED`` the user
    accepted it here; ``REJECTED`` it was declined, or it is over: it never rings again.
    """

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent:
    """An incoming call, as a notification shows it.

    Attributes:
        session_id: the call's id.
        caller_name: the name to show; unprintable characters are replaced.
        opponents_ids: who was called, the user of this machine among them.
        call_photo: address of the caller's picture (``https:`` or ``http:``).
        user_info: text by name, from the caller.
    """

    session_id: str
    call_type: CallType
    caller_id: int
    caller_name: str
    opponents_ids: tuple[int, ...]
    call_photo: str | None = None
    user_info: Mapping[str, str] = field(default_factory=dict)

    def to_map(self) -> dict[str, Any]:
        """The push payload: ``call_opponents`` joined with commas, ``user_info`` as JSON text."""
        fields: dict[str, Any] = {
            "session_id": self.session_id,
            "call_type": int(self.call_type),
            "caller_id": self.caller_id,
            "caller_name": self.caller_name,
            "call_opponents": ",".join(map(str, self.opponents_ids)),
            "user_info": json.dumps(dict(self.user_info), ensure_ascii=False),
        }
        if self.call_photo is not None:
            fields["photo_url"] = self.call_photo
        return fields

    @classmethod
    def from_map(cls, data: object) -> Self:
        """Read a push payload; numbers may be text, as some push services make them.

        A ``photo_url`` that is no web address is left out. Raises `ProtocolError` for anything
        else that is missing or wrong.
        """
        if not isinstance(data, Mapping):
            raise ProtocolError("a call event must be a map")
        return cls(
            session_id=_session_id(data.get("session_id")),
            call_type=_call_type(data.get("call_type")),
            caller_id=_user_id("caller_id", data.get("caller_id")),
            caller_name=_name(data.get("caller_name")),
            opponents_ids=_opponents(data.get("call_opponents")),
            call_photo=_photo(data.get("photo_url")),
            user_info=_user_info(data.get("user_info")),
        )

    def to_json(self) -> str:
        """`to_map` as JSON text."""
        return json.dumps(self.to_map(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """`from_map` of JSON text. Raises `ProtocolError`."""
        return cls.from_map(_parse(text, "a call event"))

    def copy_with(self, **changes: Any) -> Self:
        """The same event with some attributes changed."""
        return replace(self, **changes)


def printable(text: str) -> str:
    """What others wrote, without characters that steer a terminal or a text layout."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _parse(text: object, what: str) -> object:
    try:
        return json.loads(text) if isinstance(text, str | bytes) else None
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"{what} is not JSON") from error


def _session_id(value: object) -> str:
    if not isinstance(value, str) or not _SESSION_ID.fullmatch(value):
        raise ProtocolError("session_id must be 1 to 128 printable ASCII characters")
    return value


def _call_type(value: object) -> CallType:
    try:
        return CallType(_number("call_type", value))
    except ValueError:
        raise ProtocolError("call_type must be 1 (video) or 2 (audio)") from None


def _number(name: str, value: object) -> int:
    if isinstance(value, str) and (digits := _NUMBER.fullmatch(value)):
        return int(digits[1])
    if isinstance(value, bool) or not isinstance(value, int):
        raise ProtocolError(f"{name} must be a whole number")
    return value


def _user_id(name: str, value: object) -> int:
    number = _number(name, value)
    if not 0 < number <= _MAX_ID:
        raise ProtocolError(f"{name} must be a user id")
    return number


def _name(value: object) -> str:
    name = printable(value[: 2 * MAX_NAME])[:MAX_NAME] if isinstance(value, str) else ""
    if not name:
        raise ProtocolError("caller_name must be text")
    return name


def _opponents(value: object) -> tuple[int, ...]:
    if isinstance(value, str):
        value = value[: 21 * (MAX_OPPONENTS + 1)].split(",")
    if not isinstance(value, list | tuple) or not 0 < len(value) <= MAX_OPPONENTS:
        raise ProtocolError(f"call_opponents must be 1 to {MAX_OPPONENTS} user ids")
    return tuple(dict.fromkeys(_user_id("call_opponents", item) for item in value))


def _photo(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > MAX_URL or not value.isprintable():
        return None
    return value if value.startswith(("https://", "http://")) else None


def _user_info(value: object) -> dict[str, str]:
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        if len(value) > MAX_USER_INFO:
            raise ProtocolError(f"user_info has more than {MAX_USER_INFO} characters")
        value = _parse(value, "user_info")
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ProtocolError("user_info must be JSON text of an object")
    try:
        info = {
            name: item if isinstance(item, str) else json.dumps(item)
            for name, item in value.items()
        }
    except (TypeError, ValueError, RecursionError):
        raise ProtocolError("user_info must be JSON text of an object") from None
    if sum(len(name) + len(item) for name, item in info.items()) > MAX_USER_INFO:
        raise ProtocolError(f"user_info has more than {MAX_USER_INFO} characters")
    return info
