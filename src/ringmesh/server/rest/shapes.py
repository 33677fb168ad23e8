"""JSON as the SDKs read it."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel

from ringmesh.server.accounts.models import User
from ringmesh.server.accounts.sessions import LiveSession


def iso_time(seconds: int) -> str:
    """``2026-11-22T06:25:02Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def expiry_header(seconds: int) -> str:
    """``2026-11-22 08:24:32 UTC``, as the header ``CB-Token-ExpirationDate`` has it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class Errors(BaseModel):
    """Why a request was refused: texts by field, general ones under ``base``."""

    errors: dict[str, list[str]]


class Empty(BaseModel):
    """``{}``."""


class UserShape(BaseModel):
    """A user. ``user_tags`` is one text with commas; mobile SDKs cannot read a list."""

    id: int
    full_name: str | None
    email: str | None
    login: str | None
    phone: str | None
    website: str | None
    created_at: str
    updated_at: str
    last_request_at: str | None
    external_user_id: int | None
    external_id: str | None
    facebook_id: str | None
    twitter_id: str | None
    blob_id: int | None
    custom_data: str | None
    avatar: str | None
    user_tags: str | None
    timezone: int | None
    is_guest: bool = False

    @classmethod
    def of(cls, user: User) -> UserShape:
        """The shape of a user."""
        same = {name: getattr(user, name) for name in _SAME}
        last = user.last_request_at
        return cls(
            **same,
            created_at=iso_time(user.created_at),
            updated_at=iso_time(user.updated_at),
            last_request_at=None if last is None else iso_time(last),
            user_tags=",".join(user.user_tags) or None,
            is_guest=user.is_guest,
        )


_CONVERTED = {"created_at", "updated_at", "last_request_at", "user_tags", "is_guest"}
_SAME = set(UserShape.model_fields) - _CONVERTED


class UserAnswer(BaseModel):
    """One user."""

    user: UserShape


class UserItem(BaseModel):
    """One entry of a page of the older searches."""

    user: UserShape


class UserPage(BaseModel):
    """A page of ``/users/v2``."""

    limit: int
    skip: int
    total_entries: int
    items: list[UserShape]


class NumberedUserPage(BaseModel):
    """A page of the older searches."""

    current_page: int
    per_page: int
    total_entries: int
    items: list[UserItem]


class OnlineUsers(BaseModel):
    """Users with an open chat connection."""

    users: list[UserShape]


class UserCount(BaseModel):
    """How many users have an open chat connection."""

    count: int


class SessionShape(BaseModel):
    """A session. ``user_id`` is 0 and ``user`` null in a session of the application alone."""

    id: int
    user_id: int
    application_id: int
    token: str
    nonce: int | None
    ts: int
    created_at: str
    updated_at: str
    token_expiration_date: str
    user: UserShape | None


class SessionAnswer(BaseModel):
    """One session."""

    session: SessionShape

    @classmethod
    def of(cls, live: LiveSession, user: User | None, nonce: int | None = None) -> SessionAnswer:
        """The shape of a session."""
        session = live.session
        shape = SessionShape(
            id=session.id,
            user_id=session.user_id or 0,
            application_id=session.application_id,
            token=live.token,
            nonce=nonce,
            ts=session.updated_at,
            created_at=iso_time(session.created_at),
            updated_at=iso_time(session.updated_at),
            token_expiration_date=iso_time(live.expires_at),
            user=None if user is None else UserShape.of(user),
        )
        return cls(session=shape)


class IceServerShape(BaseModel):
    """``RTCIceServer`` (W3C WebRTC section 4.2.4)."""

    urls: list[str]
    username: str | None = None
    credential: str | None = None


class IceServersAnswer(BaseModel):
    """STUN and TURN servers, and for how many seconds the credentials are good."""

    ice_servers: list[IceServerShape]
    ttl: int


class Discovery(BaseModel):
    """Where this server's parts are; application and keys are null when it is not published."""

    application_id: int | None
    auth_key: str | None
    api_url: str
    chat_domain: str
    chat_url: str
    web_push_key: str | None


class Health(BaseModel):
    """The server answers."""

    status: str
