"""The STUN and TURN servers that users are told of, with TURN credentials that soon expire."""

from __future__ import annotations

import base64
import hashlib
import hmac

import structlog

from ringmesh.ice import IceServer
from ringmesh.server.settings import Settings

_logger = structlog.get_logger(__name__)


def ice_servers(settings: Settings, application_id: int, user_id: int, now: int) -> list[IceServer]:
    """The servers for one user, in the order of the settings, those with `turn_secret` last."""
    servers = [
        IceServer(
            entry.urls,
            entry.username,
            None if entry.credential is None else entry.credential.get_secret_value(),
        )
        for entry in settings.ice_servers
    ]
    if settings.turn_secret is not None:
        credentials = turn_credentials(
            settings.turn_secret.get_secret_value(),
            f"{user_id}-{application_id}",
            now,
            settings.turn_credential_lifetime_seconds,
        )
        servers.append(IceServer(settings.turn_urls, *credentials))
    return servers


def warn_of_missing_ice_servers(settings: Settings) -> None:
    """Log what will not work with these settings."""
    urls = [url for entry in settings.ice_servers for url in entry.urls] + [*settings.turn_urls]
    if any(url.startswith("turn") for url in urls):
        return
    if urls:
        _logger.warning(
            "no TURN relay is set: calls fail between two symmetric NATs and wherever UDP is "
            "blocked; add --turn auto or --turn URL"
        )
    else:
        _logger.warning(
            "no STUN or TURN server is set: calls work inside one network only; add --turn auto "
            "or --turn URL"
        )


def turn_credentials(secret: str, user: str, now: int, lifetime: int) -> tuple[str, str]:
    """Name and password for coturn's ``use-auth-secret``.

    The name is the time of expiry (seconds since 1970) and the user, by whom coturn counts its
    quotas; the password an HMAC-SHA1 of the name in base64.
    """
    name = f"{now + lifetime}:{user}"
    mac = hmac.digest(secret.encode(), name.encode(), hashlib.sha1)
    return name, base64.b64encode(mac).decode()
