"""The REST API against its own OpenAPI description, which schemathesis reads and tries out."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS, load_all_checks

from ringmesh.server.accounts.user_input import UserInput
from ringmesh.server.app import Server
from ringmesh.server.rest.api import make_application
from ringmesh.server.settings import load_settings

load_all_checks()
PROMISES = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "allow_header_conformance",
    ]
)
_MANY = 1_000_000


@dataclass(frozen=True)
class Running:
    """A server in a thread of its own, since schemathesis blocks.

    Attributes:
        sign_in: makes a session of a new user; returns the token and the user's id.
    """

    server: Server
    sign_in: Callable[[], tuple[str, int]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The server whose description is tried out."""
    loop = asyncio.new_event_loop()
    numbers = itertools.count(1)
    options = {"failed_logins_per_account": _MANY, "failed_logins_per_address": _MANY}

    async def begin() -> Server:
        folder = tmp_path_factory.mktemp("openapi")
        server = Server(folder, load_settings(port=0, **options))
        await server.start()
        return server

    def wait_for(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(loop.run_forever)
        server = wait_for(begin())
        accounts, application_id = server.accounts, server.application.id

        async def sign_in() -> tuple[str, int]:
            given = UserInput(full_name=f"Person {next(numbers)}")
            user = await accounts.users.create_guest(application_id, given)
            return (await accounts.sessions.open(application_id, user)).token, user.id

        try:
            yield Running(server, lambda: wait_for(sign_in()))
        finally:
            wait_for(server.stop())
            loop.call_soon_threadsafe(loop.stop)
    loop.close()


schema = schemathesis.openapi.from_dict(make_application().openapi())


@schema.parametrize()
@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_described(case: schemathesis.Case, running: Running) -> None:
    """Whatever comes in at an operation, the answer has a status, a type and a shape that the
    description declares."""
    if case.method != "OPTIONS":
        token, user_id = running.sign_in()
        case.headers["CB-Token"] = token
        if case.path_parameters.get("user_id") in (0, 1):
            case.path_parameters["user_id"] = user_id
    if isinstance(case.body, dict) and "application_id" in case.body:
        application = running.server.application
        case.body.update(application_id=application.id, auth_key=application.auth_key)
    case.call_and_validate(running.server.url, checks=PROMISES, timeout=30)
