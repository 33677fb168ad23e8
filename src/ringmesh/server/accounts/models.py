"""What the accounts are made of: plain frozen values that the store returns.

Times are whole seconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass

GUEST_LOGIN_PREFIX = "guest_login_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A tenant: users, sessions and calls of one application never meet those of another.

    Attributes:
        auth_key: public name that clients present.
        secret: key with which clients may sign session requests (HMAC-SHA1).
    """

    id: int
    name: str
    auth_key: str
    secret: str
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user of one application. The password's hash stays in the store.

    Attributes:
        user_tags: in the order given.
        timezone: offset from UTC in minutes.
    """

    id: int
    application_id: int
    created_at: int
    updated_at: int
    last_request_at: int | None = None
    login: str | None = None
    email: str | None = None
    full_name: str | None = None
    phone: str | None = None
    website: str | None = None
    external_id: str | None = None
    external_user_id: int | None = None
    facebook_id: str | None = None
    twitter_id: str | None = None
    blob_id: int | None = None
    custom_data: str | None = None
    avatar: str | None = None
    user_tags: tuple[str, ...] = ()
    timezone: int | None = None
    is_guest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A REST session, found by the hash of its token.

    Attributes:
        user_id: None for an application session.
        fixed_expiry: the session ends at `expires_at` however much it is used (guests).
    """

    id: int
    application_id: int
    user_id: int | None
    created_at: int
    updated_at: int
    expires_at: int
    fixed_expiry: bool = False
