"""A client for tests of the REST API: one application, real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from ringmesh.server.accounts.models import Application
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings

SESSION_REQUIRED = {"errors": {"base": ["Required session does not exist"]}}


@dataclass(frozen=True)
class Api:
    """Requests in the name of one application, and of a session once there is a token."""

    http: httpx2.AsyncClient
    application: Application
    server: Server
    token: str | None = None
    user: dict[str, Any] | None = None

    @property
    def credentials(self) -> dict[str, Any]:
        """The members that every session request has."""
        return {
            "application_id": self.application.id,
            "auth_key": self.application.auth_key,
        }

    async def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send a request with the token, if there is one."""
        headers = dict(options.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("CB-Token", self.token)
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.request("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx2.Response:
        return await self.request("POST", path, json=json, **options)

    async def put(self, path: str, json: Any = None, **options: Any) -> httpx2.Response:
        return await self.request("PUT", path, json=json, **options)

    async def delete(self, path: str, **options: Any) -> httpx2.Response:
        return await self.request("DELETE", path, **options)

    async def session(self, **members: Any) -> httpx2.Response:
        """``POST /session`` with the credentials and these members."""
        return await self.post("/session", {**self.credentials, **members})

    async def with_session(self, **members: Any) -> Api:
        """This client, in the session that ``POST /session`` opened."""
        response = await self.session(**members)
        assert response.status_code == 201, response.text
        session = response.json()["session"]
        return replace(self, token=session["token"], user=session["user"])

    async def as_user(self, login: str, password: str = "password", **more: Any) -> Api:
        """This client, signed in as a user who is made on the fly."""
        return await self.with_session(user={"login": login, "password": password, **more})


@asynccontextmanager
async def serving(data_dir: Path, clock: Any = None, **settings: Any) -> AsyncIterator[Api]:
    """A server of one's own, as a client of its default application."""
    options = {} if clock is None else {"clock": clock}
    async with (
        Server(data_dir, load_settings(port=0, **settings), **options) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=30) as http,
    ):
        yield Api(http, server.application, server)


def errors_of(response: httpx2.Response) -> dict[str, list[str]]:
    """The errors of a refused request."""
    errors = response.json()["errors"]
    assert all(isinstance(texts, list) and texts for texts in errors.values())
    return errors  # type: ignore[no-any-return]
