"""Push services of browsers (RFC 8030): where a subscription points, on the Internet only."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

from ringmesh.server.push.addresses import public_address
from ringmesh.server.push.contract import DELIVERED, Kind, Outcome, Push, Status, WebKeys
from ringmesh.server.push.endpoints import check_endpoint
from ringmesh.server.push.http_exchange import Reply
from ringmesh.server.push.link import Link, bounded, retry_after, tls_context
from ringmesh.server.push.messages import Translated, expiration_of, translate
from ringmesh.server.push.tickets import Tickets
from ringmesh.server.push.webpush import MAX_PLAINTEXT, Vapid, encrypt, to_base64url

AT_ONCE = 32
"""Requests under way to one push service: fewer than a lane of the outbox has places, so that one
that does not answer leaves some to the others."""

_MOST_HOSTS = 64
_TOPIC_LENGTH = 32


class WebSender:
    """Sends with one VAPID key. See `contract.Sender`.

    What makes a browser ring says until when, and carries a ticket (`tickets`), so that it can be
    answered without a session. Redirections are not followed.

    Raises:
        ConfigurationError: says what is wrong with the keys.
    """

    def __init__(self, keys: WebKeys, *, clock: Callable[[], float] = time.time) -> None:
        self._vapid = Vapid(keys.private_key, keys.subject)
        self._tickets = Tickets(keys.private_key)
        self._allowed = keys.allowed_hosts
        self._tls = tls_context(keys.ca_file)
        self._resolve = public_address(keys.allowed_hosts)
        self._links: OrderedDict[str, Link] = OrderedDict()
        self._clock = clock

    async def send(self, push: Push) -> Outcome:
        """One attempt."""
        return await bounded(self._send(push))

    async def check(self) -> str | None:
        """Nobody to ask: a key is right when browsers have subscribed with it."""
        return None

    async def close(self) -> None:
        """Close the connections."""
        for link in self._links.values():
            await link.close()

    async def _send(self, push: Push) -> Outcome:
        target = push.subscription
        endpoint = target.web_endpoint or ""
        try:
            check_endpoint(endpoint, self._allowed)
        except ValueError as error:
            return Outcome(Status.REJECTED, f"the address {error}")
        plaintext = self._plaintext(push, translate(push.message, target.channel))
        try:
            body = encrypt(plaintext, target.web_p256dh or "", target.web_auth or "")
        except ValueError as error:
            return Outcome(Status.REJECTED, str(error))
        link = await self._link(urlsplit(endpoint).netloc)
        reply = await link.post(endpoint, self._headers(push, endpoint), body)
        return _outcome(reply, self._clock)

    def _plaintext(self, push: Push, translated: Translated) -> bytes:
        if push.kind is not Kind.START or push.tag is None:
            return translated.encode()
        ticket = self._tickets.issue(
            push.subscription.application_id,
            push.subscription.user_id,
            push.tag,
            now=int(self._clock()),
            expires_at=push.expires_at,
        )
        user_id = push.subscription.user_id
        extras = {"ticket": ticket, "expires_at": push.expires_at, "user_id": user_id}
        content = Translated({**translated.content, **extras}).encode()
        return content if len(content) <= MAX_PLAINTEXT else translated.encode()

    def _headers(self, push: Push, endpoint: str) -> dict[str, str]:
        now = self._clock()
        ttl = 0 if expiration_of(push.message) == 0 else max(push.expires_at - int(now), 0)
        headers = {
            "authorization": self._vapid.authorization(endpoint, now),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(ttl),
            "urgency": "normal" if push.kind is Kind.OTHER else "high",
        }
        if push.tag is not None and push.kind is not Kind.OTHER:
            # What still waits for the browser is replaced: a ring by its end.
            digest = hashlib.sha256(push.tag.encode()).digest()
            headers["topic"] = to_base64url(digest)[:_TOPIC_LENGTH]
        return headers

    async def _link(self, host: str) -> Link:
        link = self._links.get(host)
        if link is None:
            link = self._links[host] = Link(self._tls, self._resolve, most=AT_ONCE, patient=False)
        self._links.move_to_end(host)
        if len(self._links) > _MOST_HOSTS:
            idle = next((name for name, one in self._links.items() if not one.waiting), host)
            if idle != host:
                await self._links.pop(idle).close()
        return link


def _outcome(reply: Reply, now: Callable[[], float]) -> Outcome:
    reason = f"HTTP {reply.status}"
    if reply.status in (200, 201, 202, 204):
        return DELIVERED
    if reply.status in (404, 410):
        return Outcome(Status.DEAD_TOKEN, reason)
    if reply.status == 429 or reply.status >= 500:
        return Outcome(Status.RETRY, reason, retry_after(reply, now))
    return Outcome(Status.REJECTED, reason)
