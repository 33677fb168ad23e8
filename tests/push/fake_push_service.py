"""A browser and its push service: makes subscriptions, checks VAPID, decrypts what comes."""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ringmesh.server.push.webpush import from_base64url, to_base64url
from tests.push.provider import Answer, Certificate, Provider, Request


@dataclass(frozen=True, slots=True)
class Received:
    """One message, as the browser's service worker gets it, and the request that brought it."""

    content: dict[str, Any]
    request: Request


class BrowserSubscription:
    """What ``pushManager.subscribe`` gives, with the private key that stays in the browser."""

    def __init__(self, url: str, application_server_key: str) -> None:
        self.path = f"/push/{secrets.token_urlsafe(12)}"
        self.endpoint = url + self.path
        self.application_server_key = application_server_key
        self._key = ec.generate_private_key(ec.SECP256R1())
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self._secret = secrets.token_bytes(16)
        self.p256dh, self.auth = to_base64url(point), to_base64url(self._secret)

    def decrypt(self, body: bytes) -> bytes:
        """With the independent implementation `http_ece`."""
        plaintext: bytes = http_ece.decrypt(
            body, private_key=self._key, auth_secret=self._secret, version="aes128gcm"
        )
        return plaintext


class FakePushService(Provider):
    """Takes messages for the subscriptions that it made.

    Attributes:
        received: what got through, decrypted.
    """

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(certificate)
        self.received: list[Received] = []
        self._subscriptions: dict[str, BrowserSubscription] = {}

    def subscribe(self, application_server_key: str) -> BrowserSubscription:
        """As a browser does for a page."""
        made = BrowserSubscription(self.url, application_server_key)
        self._subscriptions[made.path] = made
        return made

    def unsubscribe(self, subscription: BrowserSubscription) -> None:
        """The person took the permission back."""
        del self._subscriptions[subscription.path]

    def handle(self, request: Request) -> Answer:
        """Check the request as RFC 8030 and RFC 8292 ask, then deliver."""
        target = self._subscriptions.get(request.path)
        if target is None:
            return Answer(410)
        if not self._is_owner(request.headers.get("authorization", ""), target):
            return Answer(403)
        if len(request.body) > 4096:
            return Answer(413)
        headers = request.headers
        topic = headers.get("topic", "")
        if not headers.get("ttl", "").isdecimal() or not re.fullmatch(r"[\w-]{0,32}", topic):
            return Answer(400)
        if headers.get("content-encoding") != "aes128gcm":
            return Answer(415)
        content = json.loads(target.decrypt(request.body))
        self.received.append(Received(content, request))
        return Answer(201, {"location": f"{self.url}/message/1"})

    def _is_owner(self, authorization: str, target: BrowserSubscription) -> bool:
        match = re.fullmatch(r"vapid t=(\S+), k=(\S+)", authorization)
        if match is None or match[2] != target.application_server_key:
            return False
        point = from_base64url(match[2])
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        try:
            claims = jwt.decode(match[1], ECKey.import_key(public), ["ES256"]).claims
        except (JoseError, ValueError):
            return False
        return claims["aud"] == self.url and 0 < claims["exp"] - time.time() <= 86_400
