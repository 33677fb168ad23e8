"""What the REST API answers with, as typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from ringmesh.errors import ProtocolError
from ringmesh.ice import IceServer
from ringmesh.signals import CallType


def object_of(value: object, what: str) -> Mapping[str, Any]:
    """`value` if it is a JSON object. Raises `ProtocolError` otherwise."""
    if not isinstance(value, Mapping):
        raise ProtocolError(f"the server's answer holds no {what}")
    return value


def integer_in(data: Mapping[str, Any], name: str) -> int:
    """A member that is a whole number, maybe as text. Raises `ProtocolError` otherwise."""
    value = data.get(name)
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 20:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ProtocolError(f"the server's answer has no whole number {name}")
    return value


def text_in(data: Mapping[str, Any], name: str) -> str | None:
    """A member as text; None where it is missing."""
    value = data.get(name)
    return None if value is None else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeUser:
    """A user account.

    Attributes:
        id: the number by which calls address the user.
        is_guest: the account vanishes about a day after its last use.
        extra: all fields as the server sent them.
    """

    id: int
    login: str | None = None
    email: str | None = None
    full_name: str | None = None
    avatar: str | None = None
    custom_data: str | None = None
    is_guest: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The best name to show."""
        return self.full_name or self.login or self.email or str(self.id)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Raises `ProtocolError` unless `value` is a user object."""
        data = object_of(value, "user")
        return cls(
            id=integer_in(data, "id"),
            login=text_in(data, "login"),
            email=text_in(data, "email"),
            full_name=text_in(data, "full_name"),
            avatar=text_in(data, "avatar"),
            custom_data=text_in(data, "custom_data"),
            is_guest=data.get("is_guest") is True,
            extra=dict(data),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeSession:
    """A REST session: who is signed in to which application.

    Attributes:
        token: secret; authorises REST requests and the chat.
        user_id: 0 for a session of the application alone.
        user: None for a session of the application alone.
    """

    token: str = field(repr=False)
    application_id: int
    user_id: int
    user: CubeUser | None = None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Raises `ProtocolError` unless `value` is a session object."""
        data = object_of(value, "session")
        token = data.get("token")
        if not isinstance(token, str) or not token:
            raise ProtocolError("the server's answer holds no session token")
        user = data.get("user")
        return cls(
            token=token,
            application_id=integer_in(data, "application_id"),
            user_id=0 if data.get("user_id") is None else integer_in(data, "user_id"),
            user=None if user is None else CubeUser.from_json(user),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedCall:
    """A call that nobody answered or declined.

    Attributes:
        id: rises from call to call.
        opponents_ids: everybody who was called.
        called_at: with its time zone, UTC.
        rang_seconds: how long it rang.
    """

    id: int
    session_id: str
    caller_id: int
    call_type: CallType
    opponents_ids: tuple[int, ...]
    called_at: datetime
    rang_seconds: int

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Raises `ProtocolError` unless `value` is a missed call."""
        data = object_of(value, "call")
        opponents = data.get("opponents_ids")
        try:
            return cls(
                id=integer_in(data, "id"),
                session_id=str(data["session_id"]),
                caller_id=integer_in(data, "caller_id"),
                call_type=CallType(integer_in(data, "call_type")),
                opponents_ids=tuple(map(int, opponents if isinstance(opponents, list) else ())),
                called_at=datetime.fromisoformat(str(data["called_at"])),
                rang_seconds=integer_in(data, "rang_seconds"),
            )
        except (KeyError, TypeError, ValueError):
            raise ProtocolError("the server's answer holds no missed call") from None


def ice_servers_from_json(value: object) -> tuple[IceServer, ...]:
    """The servers in ``{"ice_servers": [{"urls": …, "username": …, "credential": …}]}``.

    Raises `ProtocolError` for any other shape.
    """
    entries = object_of(value, "ICE servers").get("ice_servers")
    if not isinstance(entries, list) or len(entries) > 32:
        raise ProtocolError("the server's answer holds no list of ICE servers")
    return tuple(_ice_server(object_of(entry, "ICE server")) for entry in entries)


def _ice_server(data: Mapping[str, Any]) -> IceServer:
    urls = data.get("urls")
    urls = [urls] if isinstance(urls, str) else urls
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
        raise ProtocolError("an ICE server in the server's answer has no urls")
    return IceServer(tuple(urls), text_in(data, "username"), text_in(data, "credential"))
