"""Apple Push Notification service: alerts and VoIP pushes over HTTP/2, with token authentication.

https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Callable

from joserfc import jwt
from joserfc.jwk import ECKey

from ringmesh.errors import ConfigurationError, ConnectionFailedError
from ringmesh.server.push.contract import (
    DELIVERED,
    ApnsKeys,
    Channel,
    Environment,
    Kind,
    Outcome,
    Push,
    Status,
)
from ringmesh.server.push.http_exchange import Reply
from ringmesh.server.push.link import SEND_SECONDS, Link, bounded, retry_after, tls_context
from ringmesh.server.push.messages import Translated, expiration_of, translate
from ringmesh.server.push.webpush import load_p256_key

PRODUCTION_URL = "https://api.push.apple.com"
SANDBOX_URL = "https://api.sandbox.push.apple.com"

TOKEN_SECONDS = 50 * 60
"""Apple refuses tokens older than an hour, and new ones more often than every 20 minutes."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9]{10}")
_DEVICE_TOKEN = re.compile(r"[0-9A-Fa-f]{16,400}")
_DEAD = {"BadDeviceToken", "Unregistered", "ExpiredToken"}
_NO_DEVICE = "00" * 32


class ApnsSender:
    """Sends with one team's key. See `contract.Sender`.

    Raises:
        ConfigurationError: says which of the keys is wrong.
    """

    def __init__(self, keys: ApnsKeys, *, clock: Callable[[], float] = time.time) -> None:
        self._token = _ProviderToken(keys, clock)
        self._bundle = keys.bundle_identifier
        self._clock = clock
        tls = tls_context(keys.ca_file)
        self._hosts = {
            Environment.PRODUCTION: (_base(keys.url, PRODUCTION_URL), Link(tls)),
            Environment.DEVELOPMENT: (_base(keys.sandbox_url, SANDBOX_URL), Link(tls)),
        }

    async def send(self, push: Push) -> Outcome:
        """One attempt; a second one at once where only the provider token was too old."""
        return await bounded(self._send(push))

    async def check(self) -> str | None:
        """Send to a device that does not exist: Apple looks at the keys first."""
        headers = {"apns-topic": self._bundle or "ringmesh.check", "apns-push-type": "alert"}
        try:
            async with asyncio.timeout(SEND_SECONDS):
                reply = await self._post(
                    Environment.PRODUCTION, _NO_DEVICE, headers, b'{"aps":{"alert":"check"}}'
                )
        except TimeoutError:
            return f"APNs did not answer in {SEND_SECONDS:g} s"
        except ConnectionFailedError as error:
            return f"APNs cannot be reached: {error}"
        if reply.status == 403:
            return f"APNs refuses the key: {_reason(reply)}"
        return None if reply.status < 500 else f"APNs is out of order: {_reason(reply)}"

    async def close(self) -> None:
        """Close the connections."""
        for _, link in self._hosts.values():
            await link.close()

    async def _send(self, push: Push) -> Outcome:
        target = push.subscription
        topic = target.bundle_identifier or self._bundle
        if topic is None:
            return Outcome(Status.REJECTED, "neither subscription nor keys name the app")
        if not _DEVICE_TOKEN.fullmatch(target.token):
            return Outcome(Status.DEAD_TOKEN, "not a device token")
        translated = translate(push.message, target.channel)
        reply = await self._post(
            target.environment,
            target.token.lower(),
            _headers(push, topic, translated),
            translated.encode(),
        )
        return _outcome(reply, self._clock)

    async def _post(
        self, environment: Environment, device: str, headers: dict[str, str], body: bytes
    ) -> Reply:
        base, link = self._hosts[environment]
        for last in (False, True):
            token = self._token.current()
            headers["authorization"] = f"bearer {token}"
            reply = await link.post(f"{base}/3/device/{device}", headers, body)
            expired = reply.status == 403 and _reason(reply) == "ExpiredProviderToken"
            if last or not expired or not self._token.replace(token):
                break
        return reply


class _ProviderToken:
    """The JSON Web Token that stands for the team, made anew before it is too old."""

    def __init__(self, keys: ApnsKeys, clock: Callable[[], float]) -> None:
        for name, value in (("key_id", keys.key_id), ("team_id", keys.team_id)):
            if not _IDENTIFIER.fullmatch(value):
                raise ConfigurationError(f"the APNs {name} must be 10 letters and digits")
        self._key = ECKey.import_key(load_p256_key(keys.private_key, "the APNs key"))
        self._header = {"alg": "ES256", "kid": keys.key_id}
        self._team = keys.team_id
        self._clock = clock
        self._made_at = 0.0
        self._token = ""

    def current(self) -> str:
        """A token that is good."""
        if not 0 <= self._clock() - self._made_at < TOKEN_SECONDS or not self._token:
            self._make()
        return self._token

    def replace(self, refused: str) -> bool:
        """Make a new token for a refused one; False if that would give the same."""
        if refused != self._token:
            return True
        if int(self._clock()) == int(self._made_at):
            return False
        self._make()
        return True

    def _make(self) -> None:
        self._made_at = self._clock()
        claims = {"iss": self._team, "iat": int(self._made_at)}
        self._token = jwt.encode(self._header, claims, self._key)


def _headers(push: Push, topic: str, translated: Translated) -> dict[str, str]:
    voip = push.subscription.channel is Channel.APNS_VOIP
    # A VoIP push that came late would ring for a call that is over.
    now_or_never = voip or expiration_of(push.message) == 0
    headers = {
        "apns-topic": f"{topic}.voip" if voip else topic,
        "apns-push-type": translated.push_type,
        "apns-expiration": "0" if now_or_never else str(push.expires_at),
        "apns-priority": "5" if translated.push_type == "background" else "10",
        "content-type": "application/json",
    }
    if push.tag is not None and push.kind is not Kind.OTHER and not voip:
        headers["apns-collapse-id"] = hashlib.sha256(push.tag.encode()).hexdigest()
    return headers


def _outcome(reply: Reply, now: Callable[[], float]) -> Outcome:
    reason = _reason(reply)
    if reply.status == 200:
        return DELIVERED
    if reply.status == 410 or reason in _DEAD:
        return Outcome(Status.DEAD_TOKEN, reason)
    if reason == "ExpiredProviderToken":
        reason = "ExpiredProviderToken: is the clock of this machine right?"
    elif reply.status != 429 and reply.status < 500:
        return Outcome(Status.REJECTED, reason)
    return Outcome(Status.RETRY, reason, retry_after(reply, now))


def _reason(reply: Reply) -> str:
    try:
        reason = json.loads(reply.body)["reason"]
    except (ValueError, TypeError, KeyError, RecursionError):
        reason = ""
    known = isinstance(reason, str) and re.fullmatch(r"[A-Za-z]{1,60}", reason)
    return str(reason) if known else f"HTTP {reply.status}"


def _base(given: str | None, default: str) -> str:
    url = (given or default).rstrip("/")
    if not url.startswith("https://"):
        raise ConfigurationError("the APNs url must begin with https://")
    return url
