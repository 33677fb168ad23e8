"""Whether calls can work from here: the server, signing in, the chat, and ways for media.

Every check that fails tells its cause and what to do about it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from ringmesh.client.chat_connection import CubeChatConnection
from ringmesh.client.config import CubeChatConnectionSettings, Endpoints, check_url
from ringmesh.client.doctor_findings import Check, Outcome, ProblemError, Subject
from ringmesh.client.doctor_media import check_candidates, check_servers
from ringmesh.client.doctor_server import (
    check_clock,
    check_reachable,
    check_ringmesh,
    check_tls,
)
from ringmesh.client.rest import RestClient
from ringmesh.client.sign_in import discover
from ringmesh.errors import AuthenticationError, RingmeshError
from ringmesh.ice import IceServer
from ringmesh.media.engine import Engine
from ringmesh.media.wrtc_engine import WrtcEngine

__all__ = ["Check", "Doctor", "Outcome", "Subject"]

_Step = tuple[Subject, Callable[[], Awaitable[str]]]


class Doctor:
    """Examines one server from here.

    Args:
        login: with `password`; without it, only what needs no user is checked.
        timeout: seconds for each check.

    Raises `ConfigurationError` for what is no URL.
    """

    def __init__(
        self,
        url: str,
        *,
        login: str | None = None,
        password: str | None = None,
        engine: Engine | None = None,
        timeout: float = 10.0,
    ) -> None:
        check_url("server", url, "http", "https")
        self._url = urlsplit(url.rstrip("/"))
        self._login = login
        self._password = password or ""
        self._engine = engine or WrtcEngine()
        self._timeout = timeout

    async def examine(self) -> AsyncIterator[Check]:
        """Every finding as soon as it is there.

        After a failure of the server, of signing in or of the chat, what depends on it is left
        out: it could only fail for the same reason.
        """
        url, timeout = self._url, self._timeout
        steps: tuple[_Step, ...] = (
            (Subject.SERVER, lambda: check_reachable(url)),
            (Subject.TLS, lambda: check_tls(url)),
            (Subject.RINGMESH, lambda: check_ringmesh(url, timeout)),
            (Subject.CLOCK, lambda: check_clock(url, timeout)),
        )
        for subject, work in steps:
            check = await self._run(subject, work())
            yield check
            if check.outcome is Outcome.FAILED:
                return
        if self._login is None:
            yield Check(
                subject=Subject.SIGN_IN,
                outcome=Outcome.SKIPPED,
                detail="no login was given, so neither the chat nor the ways for media were tried",
                remedy="add --login",
            )
            return
        async for check in self._examine_as_user():
            yield check

    async def _examine_as_user(self) -> AsyncIterator[Check]:
        endpoints = await discover(self._url.geturl(), timeout=self._timeout)
        rest = RestClient(
            endpoints.api_url,
            app_id=endpoints.app_id,
            auth_key=endpoints.auth_key,
            timeout=self._timeout,
        )
        servers: list[IceServer] = []
        steps: tuple[_Step, ...] = (
            (Subject.SIGN_IN, lambda: self._sign_in(rest)),
            (Subject.CHAT, lambda: self._chat(rest, endpoints)),
            (Subject.ICE_SERVERS, lambda: _fetch_ice_servers(rest, servers)),
        )
        try:
            for subject, work in steps:
                check = await self._run(subject, work())
                yield check
                if check.outcome is Outcome.FAILED and subject is not Subject.CHAT:
                    return
            for check in await check_servers(servers):
                yield check
            yield await self._run(Subject.CANDIDATES, check_candidates(self._engine, servers))
        finally:
            await _sign_out(rest)

    async def _run(self, subject: Subject, work: Awaitable[str]) -> Check:
        begun = time.monotonic()
        remedy: str | None = None
        try:
            async with asyncio.timeout(self._timeout):
                outcome, detail = Outcome.OK, await work
        except TimeoutError:
            outcome, detail = Outcome.FAILED, f"no answer within {self._timeout:g} s"
            remedy = "check the network and the firewalls in between"
        except ProblemError as problem:
            outcome, detail, remedy = problem.outcome, problem.detail, problem.remedy
        return Check(
            subject=subject,
            outcome=outcome,
            detail=detail,
            remedy=remedy,
            seconds=time.monotonic() - begun,
        )

    async def _sign_in(self, rest: RestClient) -> str:
        try:
            session = await rest.create_session(
                {"login": self._login or "", "password": self._password}
            )
        except AuthenticationError as error:
            raise ProblemError(str(error), "check login and password") from error
        except RingmeshError as error:
            raise ProblemError(str(error), "look into the server's log") from error
        return f"{self._login} is user {session.user_id}"

    async def _chat(self, rest: RestClient, endpoints: Endpoints) -> str:
        chat = CubeChatConnection(
            rest, endpoints, CubeChatConnectionSettings(connect_timeout=self._timeout)
        )
        begun = time.monotonic()
        try:
            await chat.login()
        except RingmeshError as error:
            raise ProblemError(
                str(error),
                "a proxy in front of the server must pass WebSockets on, and the server's "
                "public_url must lead here",
            ) from error
        finally:
            await chat.destroy()
        return f"logged in at {endpoints.chat_url} in {time.monotonic() - begun:.2f} s"


async def _fetch_ice_servers(rest: RestClient, servers: list[IceServer]) -> str:
    try:
        servers += await rest.ice_servers()
    except RingmeshError as error:
        raise ProblemError(str(error), "look into the server's log") from error
    urls: Sequence[str] = [url for server in servers for url in server.urls]
    if not urls:
        raise ProblemError(
            "the server offers none: calls work inside one network only",
            "ringmesh serve --turn auto, or --turn URL",
            Outcome.WARNING,
        )
    return f"the server offers {', '.join(urls)}"


async def _sign_out(rest: RestClient) -> None:
    try:
        await rest.delete_session()
    except RingmeshError:
        pass  # it was told already that something is wrong
    finally:
        await rest.aclose()
