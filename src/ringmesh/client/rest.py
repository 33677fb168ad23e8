"""The server's REST API over HTTP, with one session whose token is renewed when it expires."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

import httpx2

from ringmesh.client.config import check_url
from ringmesh.client.models import CubeSession, MissedCall, ice_servers_from_json
from ringmesh.errors import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidStateError,
    ProtocolError,
    RequestError,
)
from ringmesh.ice import IceServer
from ringmesh.signals import UserInfo

_logger = logging.getLogger(__name__)

SESSION_EXPIRED = "Required session does not exist"
"""The text by which the API says that a token is unknown or has expired."""

MAX_RESPONSE = 4 * 1024 * 1024
"""Bytes that a response body may have."""

OnSessionRestore: TypeAlias = Callable[[], Awaitable[CubeSession]]
"""Makes a new session when the token has expired, for instance by `RestClient.create_session`."""


class RestClient:
    """One user's (or application's) access to the REST API.

    Every method raises `ConnectionFailedError` when the server cannot be reached in time,
    `AuthenticationError` when credentials or token are refused, `RequestError` when the server
    refuses the request for another reason, and `ProtocolError` for an answer of unknown shape.

    Attributes:
        session: the current session, None before one is created or adopted.
        on_session_restore: called once when a request finds the token expired; the session it
            returns is adopted and the request repeated.
    """

    def __init__(
        self,
        api_url: str,
        *,
        app_id: int,
        auth_key: str,
        auth_secret: str | None = None,
        timeout: float = 10.0,
        on_session_restore: OnSessionRestore | None = None,
    ) -> None:
        check_url("api_url", api_url, "http", "https")
        self.session: CubeSession | None = None
        self.on_session_restore = on_session_restore
        self._app_id = app_id
        self._auth_key = auth_key
        self._auth_secret = auth_secret
        self._http = HttpClient(api_url, timeout=timeout)
        self._restoring = asyncio.Lock()

    async def create_session(self, user: Mapping[str, str] | None = None) -> CubeSession:
        """Sign in with ``{"login" or "email": …, "password": …}`` or as ``{"guest": "1",
        "full_name": …}``; None makes a session of the application alone."""
        body: dict[str, Any] = {"application_id": self._app_id, "auth_key": self._auth_key}
        if user is not None:
            body["user"] = dict(user)
        if self._auth_secret is not None:
            body["nonce"] = str(secrets.randbelow(2**32))
            body["timestamp"] = str(int(time.time()))
            body["signature"] = sign(body, self._auth_secret)
        answer = await self._http.request("POST", "session", body=body)
        self.session = CubeSession.from_json(_member(answer, "session"))
        return self.session

    async def adopt_token(self, token: str) -> CubeSession:
        """Go on with a session that exists already."""
        answer = await self._http.request("GET", "session", token=token)
        described = _member(answer, "session")
        if isinstance(described, Mapping):
            described = {**described, "token": token}
        self.session = CubeSession.from_json(described)
        return self.session

    async def delete_session(self) -> None:
        """Sign out: the token is worth nothing any more."""
        session, self.session = self.session, None
        if session is not None:
            await self._http.request("DELETE", "session", token=session.token)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Iterable[tuple[str, str]] = (),
    ) -> Any:
        """Send a request in the session's name and return the decoded JSON answer.

        `path` is relative to the API's base, with its variable parts already quoted.
        """
        session = self._require_session()
        query = tuple(query)
        try:
            return await self._http.request(method, path, session.token, body=body, query=query)
        except SessionExpiredError:
            token = (await self.restore_session(session)).token
        return await self._http.request(method, path, token, body=body, query=query)

    async def restore_session(self, expired: CubeSession) -> CubeSession:
        """Replace an expired session, at most once for all who find it expired.

        Raises `AuthenticationError` when there is no `on_session_restore`.
        """
        async with self._restoring:
            current = self._require_session()
            if current is not expired:
                return current
            if self.on_session_restore is None:
                raise AuthenticationError("the session has expired")
            _logger.info("session expired, restoring it")
            self.session = await self.on_session_restore()
            return self.session

    async def reject_call(
        self, session_id: str, user_id: int, user_info: UserInfo | None = None
    ) -> None:
        """Decline a call towards one of its members without having its session object."""
        body: dict[str, Any] = {
            "sessionID": session_id,
            "recipientId": user_id,
            "platform": "python",
        }
        if user_info:
            body["userInfo"] = dict(user_info)
        await self.request("POST", "calls/reject", body=body)

    async def missed_calls(self, limit: int = 20, before: int | None = None) -> list[MissedCall]:
        """Calls that the user neither answered nor declined, the newest first.

        Args:
            limit: at most 100.
            before: id of the last one of the page before.
        """
        query = [("limit", str(limit)), *([] if before is None else [("before", str(before))])]
        answer = await self.request("GET", "calls", query=query)
        items = answer.get("items") if isinstance(answer, Mapping) else None
        if not isinstance(items, list):
            raise ProtocolError("the server's answer holds no list of calls")
        return [MissedCall.from_json(item) for item in items]

    async def ice_servers(self) -> tuple[IceServer, ...]:
        """The STUN and TURN servers that this server offers, with short-lived credentials."""
        return ice_servers_from_json(await self.request("GET", "ice_servers"))

    async def aclose(self) -> None:
        """Close the connections. The session stays valid on the server."""
        await self._http.aclose()

    def _require_session(self) -> CubeSession:
        if self.session is None:
            raise InvalidStateError("there is no session: sign in first")
        return self.session


class SessionExpiredError(AuthenticationError):
    """The token is unknown or has expired."""


class HttpClient:
    """JSON over HTTP with bounded bodies and our errors."""

    def __init__(self, base_url: str, *, timeout: float) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._client = httpx2.AsyncClient(timeout=timeout, headers={"CB-SDK": "Python"})

    async def request(
        self,
        method: str,
        path: str,
        token: str | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        query: Iterable[tuple[str, str]] = (),
    ) -> Any:
        """The decoded JSON answer; None for an empty one."""
        url = f"{self._base_url}/{path}"
        headers = {} if token is None else {"CB-Token": token}
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream(
                    method, url, params=list(query), json=body, headers=headers
                ) as response,
            ):
                content = await _read(response)
        except (httpx2.TransportError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise ConnectionFailedError(f"cannot reach {self._base_url}: {reason}") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ProtocolError(f"unusable answer from {self._base_url}: {error}") from error
        return _decode(response.status_code, content)

    async def aclose(self) -> None:
        await self._client.aclose()


async def _read(response: httpx2.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MAX_RESPONSE:
            raise ProtocolError(f"the server's answer has more than {MAX_RESPONSE} bytes")
    return bytes(content)


def _decode(status: int, content: bytes) -> Any:
    try:
        data = json.loads(content) if content.strip() else None
    except ValueError as error:
        if 200 <= status < 300:
            raise ProtocolError("the server's answer is not JSON") from error
        data = None
    if 200 <= status < 300:
        return data
    errors = _errors(data)
    if status == 401:
        text = "; ".join(errors.get("base", ()))
        if text == SESSION_EXPIRED:
            raise SessionExpiredError(text)
        raise AuthenticationError(f"the server refused the credentials: {text or status}")
    raise RequestError(status, errors)


def _errors(data: object) -> dict[str, list[str]]:
    errors = data.get("errors") if isinstance(data, Mapping) else None
    if isinstance(errors, list):
        errors = {"base": errors}
    if not isinstance(errors, Mapping):
        return {}
    return {
        str(name): [str(text) for text in (texts if isinstance(texts, list) else [texts])]
        for name, texts in errors.items()
    }


def _member(answer: object, name: str) -> object:
    if not isinstance(answer, Mapping) or name not in answer:
        raise ProtocolError(f"the server's answer holds no {name}")
    return answer[name]


def sign(body: Mapping[str, Any], secret: str) -> str:
    """The signature of a session request: HMAC-SHA1 in hex over its sorted ``name=value`` pairs."""
    text = "&".join(f"{name}={value}" for name, value in sorted(_flatten(body)))
    return hmac.new(secret.encode(), text.encode(), hashlib.sha1).hexdigest()


def _flatten(body: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in body.items():
        if isinstance(value, Mapping):
            for inner, text in _flatten(value):
                head, bracket, tail = inner.partition("[")
                yield f"{name}[{head}]{bracket}{tail}", text
        else:
            yield name, str(value)


def path_segment(value: object) -> str:
    """A value as one segment of a request's path."""
    return quote(str(value), safe="")
