"""The senders of all applications, made from `push.toml` and made anew when it changes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypeAlias

import structlog

from ringmesh.errors import RingmeshError
from ringmesh.server.push.contract import (
    Channel,
    ProviderKeys,
    Sender,
    WebKeys,
)
from ringmesh.server.push.keys import KEYS_FILE_NAME, load_keys, own_web_keys
from ringmesh.server.push.tickets import Tickets
from ringmesh.server.push.webpush import public_key_of

PROVIDERS = {
    Channel.GCM: "fcm",
    Channel.APNS: "apns",
    Channel.APNS_VOIP: "apns",
    Channel.WEB: "web",
}

_BySender: TypeAlias = dict[tuple[int, str], Sender]
_logger = structlog.get_logger(__name__)


class Senders:
    """Finds the sender for an application and a channel.

    Args:
        subject: who is responsible, for the key that the server makes for browsers by itself.
    """

    def __init__(self, data_dir: Path, subject: str | None = None) -> None:
        self._data_dir = data_dir
        self._subject = subject
        self._keys: dict[int, ProviderKeys] = {}
        self._own: WebKeys | None = None
        self._senders: _BySender = {}
        self._own_web: Sender | None = None
        self._read_at: tuple[int, int] | None = None

    async def load(self) -> None:
        """Read the keys, if the file has changed.

        Raises:
            ConfigurationError: they cannot be used; what there was stays in use.
        """
        changed_at = await asyncio.to_thread(self._changed_at)
        if changed_at == self._read_at and self._own is not None:
            return
        keys = await asyncio.to_thread(load_keys, self._data_dir)
        senders = {
            (application_id, provider): make_sender(provider, entry)
            for application_id, entry in keys.items()
            for provider in ("apns", "fcm", "web")
            if getattr(entry, provider) is not None
        }
        if self._own is None:
            self._own = await asyncio.to_thread(own_web_keys, self._data_dir, self._subject)
        old, self._senders, self._keys = self._senders, senders, keys
        self._read_at = changed_at
        await _close(old.values())

    async def refresh(self) -> None:
        """`load`, for a running server: a mistake is logged, and what there was stays in use."""
        try:
            await self.load()
        except RingmeshError as error:
            _logger.error("push keys not used", reason=str(error))

    def sender(self, application_id: int, channel: Channel) -> Sender | None:
        """None where the application has no keys for it."""
        provider = PROVIDERS[channel]
        sender = self._senders.get((application_id, provider))
        if sender is None and provider == "web" and self._own is not None:
            if self._own_web is None:
                self._own_web = make_sender("web", ProviderKeys(web=self._own))
            return self._own_web
        return sender

    def web_key(self, application_id: int) -> str | None:
        """``applicationServerKey`` for browsers, in base64url."""
        keys = self._web_keys(application_id)
        return None if keys is None else public_key_of(keys.private_key)

    def tickets(self, application_id: int) -> Tickets | None:
        """What checks the tickets that browsers got with their pushes."""
        keys = self._web_keys(application_id)
        return None if keys is None else Tickets(keys.private_key)

    def _web_keys(self, application_id: int) -> WebKeys | None:
        entry = self._keys.get(application_id)
        return self._own if entry is None or entry.web is None else entry.web

    def allowed_hosts(self, application_id: int) -> frozenset[str]:
        """Hosts of browsers' push services that are good although they are private."""
        entry = self._keys.get(application_id)
        return frozenset() if entry is None or entry.web is None else entry.web.allowed_hosts

    async def close(self) -> None:
        """Close all connections."""
        own = [] if self._own_web is None else [self._own_web]
        await _close([*self._senders.values(), *own])
        self._senders, self._own_web = {}, None

    def _changed_at(self) -> tuple[int, int]:
        try:
            status = (self._data_dir / KEYS_FILE_NAME).stat()
        except FileNotFoundError:
            return (0, 0)
        return status.st_mtime_ns, status.st_size


def make_sender(provider: str, keys: ProviderKeys) -> Sender:
    """The sender of one provider.

    Raises:
        ConfigurationError: the keys cannot be used.
    """
    if provider == "apns":
        from ringmesh.server.push.apns import ApnsSender

        assert keys.apns is not None
        return ApnsSender(keys.apns)
    if provider == "fcm":
        from ringmesh.server.push.fcm import FcmSender

        assert keys.fcm is not None
        return FcmSender(keys.fcm)
    from ringmesh.server.push.web import WebSender

    assert keys.web is not None
    return WebSender(keys.web)


async def _close(senders: object) -> None:
    for sender in senders:  # type: ignore[attr-defined]
        try:
            await sender.close()
        except Exception:
            _logger.exception("closing a push sender failed")
