"""The STUN and TURN servers that users are told of, with TURN credentials that soon expire."""

from __future__ import annotations

import base64
import hashlib
import hmac

from ringmesh.ice import IceServer
from ringmesh.server.settings import Settings


def ice_servers(settings: Settings, application_id: int, user_id: int, now: int) -> list[IceServer]:
    """The servers for one user, in the order of the settings, our own TURN servers last.

    TURN credentials follow coturn's ``use-auth-secret``: the name is the time of expiry (seconds
    since 1970) and the user, the password an HMAC-SHA1 of the name in base64.
    """
    servers = [
        IceServer(
            entry.urls,
            entry.username,
            None if entry.credential is None else entry.credential.get_secret_value(),
        )
        for entry in settings.ice_servers
    ]
    if settings.turn_secret is not None:
        expiry = now + settings.turn_credential_lifetime_seconds
        username = f"{expiry}:{user_id}-{application_id}"
        key = settings.turn_secret.get_secret_value().encode()
        mac = hmac.digest(key, username.encode(), hashlib.sha1)
        servers.append(IceServer(settings.turn_urls, username, base64.b64encode(mac).decode()))
    return servers
