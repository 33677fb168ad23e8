"""The conventions that hold for every request, as plain ASGI layers.

From the outside in: `Conventions`, `Bodies`, `SessionLookup`, then the application.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringmesh.server.client_address import client_address, is_within
from ringmesh.server.metrics import Metrics
from ringmesh.server.rest.answers import errors
from ringmesh.server.rest.bracketed import parse_form
from ringmesh.server.rest.shapes import expiry_header
from ringmesh.server.rest.state import SCOPE_KEY, RequestState, Services

_logger = structlog.get_logger(__name__)
_stdlib_logger = logging.getLogger(__name__)

_BODY_SECONDS = 30
_DROPPED_BYTES = 2 * 1024 * 1024
_HOST = re.compile(r"[A-Za-z0-9._\[\]:-]{1,255}")
_INDIRECT = ("x-forwarded-for", "forwarded", "origin")
_METHODS = {"GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"}


class Conventions:
    """Path suffix, headers of every answer, the last resort for errors, log and metrics.

    Args:
        api_roots: first path segments of the API, where ``.json`` at the end is left off.
    """

    def __init__(self, app: ASGIApp, services: Services, api_roots: Iterable[str]) -> None:
        self._app = app
        self._services = services
        self._api_roots = frozenset(api_roots)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        state = scope[SCOPE_KEY] = self._state(scope)
        scope["path"] = self._without_suffix(scope["path"])
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._complete(MutableHeaders(raw=message["headers"]), state)
                message["headers"] = list(message["headers"])
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            _logger.exception("request failed", method=_method(scope), path=_route(scope))
            if not status:
                await errors(500, "Internal server error")(scope, receive, send_with_headers)
        _observe(self._services.metrics, scope, state, status, time.perf_counter() - started)

    def _without_suffix(self, path: str) -> str:
        if path.endswith(".json") and path[1:].partition("/")[0].removesuffix(".json") in (
            self._api_roots
        ):
            return path.removesuffix(".json")
        return path

    def _state(self, scope: Scope) -> RequestState:
        headers = Headers(scope=scope)
        trusted = self._services.settings.trusted_proxies
        peer = (scope.get("client") or ("unknown", 0))[0]
        forwarded_for = headers.get("x-forwarded-for")
        scheme = scope["scheme"]
        forwarded_scheme = headers.get("x-forwarded-proto")
        if forwarded_scheme in ("http", "https") and is_within(peer, trusted):
            scheme = forwarded_scheme
        return RequestState(
            address=client_address(peer, forwarded_for, trusted),
            direct=not any(name in headers for name in _INDIRECT),
            base_url=f"{scheme}://{_host(headers)}",
        )

    def _complete(self, headers: MutableHeaders, state: RequestState) -> None:
        now = int(self._services.clock())
        expiry = now if state.live is None else state.live.expires_at
        headers["CB-Token-ExpirationDate"] = expiry_header(expiry)
        if headers.get("content-type") == "application/json":
            headers["content-type"] = "application/json; charset=utf-8"
        headers.setdefault("cache-control", "no-store")
        headers["x-content-type-options"] = "nosniff"


class Bodies:
    """Bounds request bodies, and turns form-encoded ones into the JSON that handlers read."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT"):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await self._read(receive)
        except TimeoutError:
            await errors(408, "The body did not come in time")(scope, receive, send)
            return
        if body is None:
            text = f"The body must not have more than {self._max_bytes} bytes"
            await errors(413, text, {"connection": "close"})(scope, receive, send)
            return
        kind = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
        try:
            if kind == "application/x-www-form-urlencoded" and body:
                body = _form_as_json(body)
                kind = ""
        except ValueError:
            await errors(400, "The body is not a valid form")(scope, receive, send)
            return
        if not kind:
            headers = [(k, v) for k, v in scope["headers"] if k != b"content-type"]
            scope["headers"] = [*headers, (b"content-type", b"application/json")]
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The body; None if it is too large. Then a little more is read and dropped: a client
        that is cut off while it sends does not see the answer."""
        body = bytearray()
        received = 0
        more = True
        while more and received <= self._max_bytes + _DROPPED_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            chunk = message.get("body", b"")
            received += len(chunk)
            if received <= self._max_bytes:
                body += chunk
            more = message.get("more_body", False)
        return bytes(body) if received <= self._max_bytes else None


class SessionLookup:
    """Finds the session of the header ``CB-Token``; without one the handler decides."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            token = Headers(scope=scope).get("cb-token")
            if token:
                scope[SCOPE_KEY].live = await self._services.accounts.sessions.find(token)
        await self._app(scope, receive, send)


def _form_as_json(body: bytes) -> bytes:
    # Checked here because parse_qsl reads text: bytes outside ASCII are not form-encoded.
    unquote_to_bytes(body).decode()
    return json.dumps(parse_form(body.decode("ascii"))).encode()


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _host(headers: Headers) -> str:
    host = headers.get("host", "")
    return host if _HOST.fullmatch(host) else "localhost"


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else "other"


def _route(scope: Scope) -> str:
    """The path's pattern: a path itself may hold anything."""
    return getattr(scope.get("route"), "path", "(unknown)")


def _observe(
    metrics: Metrics, scope: Scope, state: RequestState, status: int, seconds: float
) -> None:
    method, path = _method(scope), _route(scope)
    metrics.request_answered(method, path, status, seconds)
    if status < 400 and not _stdlib_logger.isEnabledFor(logging.DEBUG):
        return  # structlog takes 0.1 ms to find that out
    log = _logger.debug if status < 400 else _logger.info
    log(
        "request",
        method=method,
        path=path,
        status=status,
        ms=round(seconds * 1000, 1),
        user_id=None if state.live is None else state.live.session.user_id,
    )
