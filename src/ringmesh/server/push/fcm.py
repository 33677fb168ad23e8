"""Firebase Cloud Messaging, HTTP v1, with a service account (RFC 7523).

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.jwk import RSAKey

from ringmesh.errors import ConfigurationError, ConnectionFailedError, RequestError
from ringmesh.server.push.contract import (
    DELIVERED,
    FcmKeys,
    Kind,
    Outcome,
    Push,
    Status,
)
from ringmesh.server.push.http_exchange import Reply
from ringmesh.server.push.link import SEND_SECONDS, Link, bounded, retry_after, tls_context
from ringmesh.server.push.messages import expiration_of, translate

URL = "https://fcm.googleapis.com"
TOKEN_URL = "https://oauth2.googleapis.com/token"
AUDIENCE = "https://oauth2.googleapis.com/token"
"""Whom assertions are for, whichever address they are sent to."""

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
ASSERTION_SECONDS = 3600
MAX_TTL_SECONDS = 28 * 86_400

_EARLY_SECONDS = 300
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_WORD = re.compile(r"[A-Za-z_]{1,60}")


class FcmSender:
    """Sends with one service account. See `contract.Sender`.

    Raises:
        ConfigurationError: says what is wrong with the account.
    """

    def __init__(self, keys: FcmKeys, *, clock: Callable[[], float] = time.time) -> None:
        tls = tls_context(keys.ca_file)
        self._access = _Access(ServiceAccount(keys.service_account), Link(tls), clock)
        base = (keys.url or URL).rstrip("/")
        if not base.startswith("https://"):
            raise ConfigurationError("the FCM url must begin with https://")
        self._url = f"{base}/v1/projects/{self._access.account.project_id}/messages:send"
        self._link = Link(tls)
        self._clock = clock

    async def send(self, push: Push) -> Outcome:
        """One attempt; a second one at once where only the access token was too old."""
        return await bounded(self._send(push))

    async def check(self) -> str | None:
        """Take an access token, and have Google look at a message to nobody without sending it."""
        body = {"validate_only": True, "message": {"token": "none", "data": {"check": "1"}}}
        try:
            async with asyncio.timeout(SEND_SECONDS):
                reply = await self._post(json.dumps(body).encode())
        except TimeoutError:
            return f"Google did not answer in {SEND_SECONDS:g} s"
        except ConnectionFailedError as error:
            return f"Google cannot be reached: {error}"
        except RequestError as error:
            return "; ".join(text for texts in error.errors.values() for text in texts)
        word = _error_word(reply)
        if reply.status in (200, 400) or word == "UNREGISTERED":
            return None
        return f"FCM refuses the project or its account: {word}"

    async def close(self) -> None:
        """Close the connections."""
        await self._link.close()
        await self._access.close()

    async def _send(self, push: Push) -> Outcome:
        translated = translate(push.message, push.subscription.channel)
        reply = await self._post(
            json.dumps({"message": self._message(push, translated.content)}).encode()
        )
        return _outcome(reply, self._clock)

    async def _post(self, body: bytes) -> Reply:
        for last in (False, True):
            token = await self._access.token()
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
            reply = await self._link.post(self._url, headers, body)
            if last or reply.status != 401:
                break
            self._access.forget(token)
        return reply

    def _message(self, push: Push, content: Mapping[str, Any]) -> dict[str, Any]:
        ttl = 0 if expiration_of(push.message) == 0 else push.expires_at - int(self._clock())
        android = {
            **content.get("android", {}),
            "priority": "NORMAL" if push.kind is Kind.OTHER else "HIGH",
            "ttl": f"{min(max(ttl, 0), MAX_TTL_SECONDS)}s",
        }
        return {"token": push.subscription.token, **content, "android": android}


class ServiceAccount:
    """A service account's JSON file, checked.

    Raises:
        ConfigurationError: what is missing, or no key.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        if values.get("type") != "service_account":
            raise ConfigurationError(
                "this is not a service account's file: in the Firebase console, Project settings, "
                "Service accounts, choose Generate new private key"
            )
        self.project_id = _member(values, "project_id", r"[a-z0-9:.-]{1,100}")
        self.client_email = _member(values, "client_email", r"[^@\s]{1,200}@[^@\s]{1,200}")
        self.token_url = _member(
            {"token_uri": TOKEN_URL, **values}, "token_uri", r"https://\S{1,500}"
        )
        self._key_id = _member({"private_key_id": "", **values}, "private_key_id", r"\S{0,100}")
        try:
            key = load_pem_private_key(str(values.get("private_key", "")).encode(), password=None)
        except (ValueError, TypeError):
            raise ConfigurationError(
                "the service account's private_key is not a key in PEM form"
            ) from None
        if not isinstance(key, RSAPrivateKey):
            raise ConfigurationError("the service account's private_key is no RSA key")
        self._key = RSAKey.import_key(key)

    def assertion(self, now: int) -> str:
        """What is given for an access token."""
        header = {"alg": "RS256"} | ({"kid": self._key_id} if self._key_id else {})
        claims = {
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }
        return jwt.encode(header, claims, self._key)


def _member(values: Mapping[str, Any], name: str, pattern: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ConfigurationError(f"the service account's {name} is missing or wrong")
    return value


class _Access:
    """The access token, fetched by one request at a time and used until shortly before its end."""

    def __init__(self, account: ServiceAccount, link: Link, clock: Callable[[], float]) -> None:
        self.account = account
        self._link = link
        self._clock = clock
        self._fetching = asyncio.Lock()
        self._token = ""
        self._until = 0.0

    async def token(self) -> str:
        """A token that is good.

        Raises:
            RequestError: Google refuses the account.
            ConnectionFailedError: it cannot be asked now.
        """
        async with self._fetching:
            if not self._token or self._clock() >= self._until:
                await self._fetch()
            return self._token

    def forget(self, refused: str) -> None:
        """Fetch a new one next time, unless that has happened."""
        if self._token == refused:
            self._token = ""

    async def close(self) -> None:
        await self._link.close()

    async def _fetch(self) -> None:
        now = self._clock()
        form = {"grant_type": _GRANT, "assertion": self.account.assertion(int(now))}
        headers = {"content-type": "application/x-www-form-urlencoded"}
        reply = await self._link.post(self.account.token_url, headers, urlencode(form).encode())
        answer = _json(reply)
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if reply.status == 200 and isinstance(token, str) and re.fullmatch(r"[!-~]{1,4096}", token):
            lifetime = seconds if isinstance(seconds, int) else ASSERTION_SECONDS
            self._token, self._until = token, now + max(lifetime - _EARLY_SECONDS, lifetime / 2)
        elif reply.status == 429 or reply.status >= 500 or reply.status == 200:
            raise ConnectionFailedError(f"Google gives no access token now (HTTP {reply.status})")
        else:
            word = answer.get("error")
            known = isinstance(word, str) and _WORD.fullmatch(word)
            reason = word if known else f"HTTP {reply.status}"
            raise RequestError(
                reply.status, {"base": [f"Google refuses the service account: {reason}"]}
            )


def _outcome(reply: Reply, now: Callable[[], float]) -> Outcome:
    if reply.status == 200:
        return DELIVERED
    word = _error_word(reply)
    if word == "UNREGISTERED" or (reply.status == 400 and _blames_token(reply)):
        return Outcome(Status.DEAD_TOKEN, word)
    if reply.status == 429 or reply.status >= 500:
        return Outcome(Status.RETRY, word, retry_after(reply, now))
    return Outcome(Status.REJECTED, word)


def _error_word(reply: Reply) -> str:
    """FCM's own code if it gives one, else Google's status."""
    error = _error(reply)
    words = [one.get("errorCode") for one in _details(error)] + [error.get("status")]
    for word in words:
        if isinstance(word, str) and _WORD.fullmatch(word):
            return word
    return f"HTTP {reply.status}"


def _blames_token(reply: Reply) -> bool:
    violations = [one.get("fieldViolations") for one in _details(_error(reply))]
    fields = [
        violation.get("field")
        for found in violations
        if isinstance(found, list)
        for violation in found
        if isinstance(violation, dict)
    ]
    return "message.token" in fields


def _details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    details = error.get("details")
    return [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []


def _error(reply: Reply) -> Mapping[str, Any]:
    error = _json(reply).get("error")
    return error if isinstance(error, dict) else {}


def _json(reply: Reply) -> Mapping[str, Any]:
    try:
        value = json.loads(reply.body)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}
