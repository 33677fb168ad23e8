"""``/.well-known/ringmesh.json``: what a client needs to know besides the server's address."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ringmesh.server.accounts.models import Application
from ringmesh.server.settings import Settings

CHAT_PATH = "/chat"


def discovery_document(
    settings: Settings, application: Application | None, request_url: str, web_push_key: str | None
) -> dict[str, Any]:
    """The document.

    Args:
        application: the default one; None where there is none or it is not to be published.
        request_url: base URL by which the client reached the server, without trailing slash;
            `Settings.public_url` goes before it.
        web_push_key: ``applicationServerKey`` for browsers that subscribe to pushes.
    """
    api_url = settings.public_url or request_url
    parts = urlsplit(api_url)
    chat_scheme = "wss" if parts.scheme == "https" else "ws"
    return {
        "application_id": None if application is None else application.id,
        "auth_key": None if application is None else application.auth_key,
        "api_url": api_url,
        "chat_domain": settings.chat_domain,
        "chat_url": f"{chat_scheme}://{parts.netloc}{parts.path}{CHAT_PATH}",
        "web_push_key": web_push_key,
    }
