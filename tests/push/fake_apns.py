"""Apple's push service as it documents itself: HTTP/2, tokens checked, reasons in JSON."""

from __future__ import annotations

import json
import re
import time

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from tests.push.provider import Answer, Certificate, Provider, Request

TEAM, KEY_ID, BUNDLE = "TEAM123456", "KEY1234567", "org.example.calls"
_PUSH_TYPES = {"alert", "background", "voip"}


class FakeApns(Provider):
    """Knows the devices in `devices`; a device in `gone` was uninstalled.

    Attributes:
        lifetime: seconds for which it takes a provider token.
    """

    def __init__(self, certificate: Certificate, public_key: ec.EllipticCurvePublicKey) -> None:
        super().__init__(certificate)
        self.devices = {"ab" * 32}
        self.gone: set[str] = set()
        self.lifetime = 3600.0
        self.clock = time.time
        self._key = ECKey.import_key(public_key)

    @property
    def payloads(self) -> list[dict[str, object]]:
        """What was sent, refused or not."""
        return [json.loads(request.body) for request in self.requests]

    def handle(self, request: Request) -> Answer:
        """Refuse for the reasons that Apple gives, in its order."""
        if reason := self._token_problem(request.headers.get("authorization", "")):
            return _refusal(403, reason)
        headers = request.headers
        push_type = headers.get("apns-push-type")
        device = request.path.removeprefix("/3/device/")
        largest = 5120 if push_type == "voip" else 4096
        checks = [
            (bool(re.fullmatch(r"/3/device/[0-9a-f]+", request.path)), 404, "BadPath"),
            (push_type in _PUSH_TYPES, 400, "InvalidPushType"),
            (headers.get("apns-topic", "").startswith(BUNDLE), 400, "TopicDisallowed"),
            ((push_type == "voip") == headers["apns-topic"].endswith(".voip"), 400, "BadTopic"),
            (headers.get("apns-priority") in ("5", "10"), 400, "BadPriority"),
            (headers.get("apns-expiration", "0").isdecimal(), 400, "BadExpirationDate"),
            (len(headers.get("apns-collapse-id", "")) <= 64, 400, "BadCollapseId"),
            (len(request.body) <= largest, 413, "PayloadTooLarge"),
            (device not in self.gone, 410, "Unregistered"),
            (device in self.devices, 400, "BadDeviceToken"),
        ]
        for passed, status, reason in checks:
            if not passed:
                return _refusal(status, reason)
        return Answer(200, {"apns-id": "0" * 8})

    def _token_problem(self, authorization: str) -> str | None:
        try:
            token = jwt.decode(authorization.removeprefix("bearer "), self._key, ["ES256"])
        except (JoseError, ValueError):
            return "InvalidProviderToken"
        if token.header.get("kid") != KEY_ID or token.claims.get("iss") != TEAM:
            return "InvalidProviderToken"
        age = self.clock() - token.claims["iat"]
        return None if -60 <= age < self.lifetime else "ExpiredProviderToken"


def _refusal(status: int, reason: str) -> Answer:
    return Answer(status, {"content-type": "application/json"}, {"reason": reason})
