"""Google's OAuth token endpoint and FCM's HTTP v1 API, as they document themselves."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from tests.push.provider import Answer, Certificate, Provider, Request

PROJECT, EMAIL = "calls-1234", "sender@calls-1234.iam.gserviceaccount.com"
_AUDIENCE = "https://oauth2.googleapis.com/token"
_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"

_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE_KEY = _key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class FakeFcm(Provider):
    """Knows the registration tokens in `tokens`; those in `gone` were uninstalled.

    Attributes:
        access_token: the one that is good now.
        grants: how many access tokens were asked for.
    """

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(certificate)
        self.tokens = {"registration-token"}
        self.gone: set[str] = set()
        self.access_token = "access-1"
        self.grants = 0

    @property
    def service_account(self) -> dict[str, Any]:
        """As downloaded from the Firebase console."""
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "a1b2",
            "private_key": PRIVATE_KEY,
            "client_email": EMAIL,
            "token_uri": f"{self.url}/token",
        }

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What was sent, refused or not."""
        sent = [request for request in self.requests if request.path != "/token"]
        return [json.loads(request.body)["message"] for request in sent]

    def handle(self, request: Request) -> Answer:
        """A grant or a message."""
        return self._grant(request) if request.path == "/token" else self._message(request)

    def _grant(self, request: Request) -> Answer:
        form = parse_qs(request.body.decode())
        try:
            key = RSAKey.import_key(_key.public_key())
            claims = jwt.decode(form["assertion"][0], key, ["RS256"]).claims
        except (JoseError, KeyError, ValueError):
            return Answer(400, body={"error": "invalid_grant"})
        good = (claims["iss"], claims["aud"], claims["scope"]) == (EMAIL, _AUDIENCE, _SCOPE)
        if not good or claims["exp"] - claims["iat"] > 3600:
            return Answer(400, body={"error": "invalid_grant"})
        self.grants += 1
        return Answer(200, body={"access_token": self.access_token, "expires_in": 3599})

    def _message(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.access_token}":
            return _refusal(401, "UNAUTHENTICATED")
        if request.path != f"/v1/projects/{PROJECT}/messages:send":
            return _refusal(404, "NOT_FOUND")
        message = json.loads(request.body)["message"]
        if not all(isinstance(value, str) for value in message.get("data", {}).values()):
            return _refusal(400, "INVALID_ARGUMENT")
        if not re.fullmatch(r"\d+s", message.get("android", {}).get("ttl", "0s")):
            return _refusal(400, "INVALID_ARGUMENT")
        if message["token"] in self.gone:
            return _refusal(404, "NOT_FOUND", "UNREGISTERED")
        if message["token"] not in self.tokens:
            return _refusal(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", field="message.token")
        return Answer(200, body={"name": f"projects/{PROJECT}/messages/1"})


def _refusal(status: int, word: str, code: str = "", field: str = "") -> Answer:
    details: list[dict[str, Any]] = [{"@type": _FCM_ERROR, "errorCode": code}] if code else []
    if field:
        details.append({"@type": _BAD_REQUEST, "fieldViolations": [{"field": field}]})
    error = {"code": status, "status": word, "message": "…", "details": details}
    return Answer(status, {"content-type": "application/json"}, {"error": error})
