"""What a server logs, and what it never logs."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from ringmesh.server.logging import (
    MAX_TEXT,
    configure_logging,
    configure_unless_configured,
    printable,
)
from ringmesh.server.settings import LogFormat, LogLevel
from tests.server.api_client import serving

PASSWORD = "pass-word-7f3a"
NEW_PASSWORD = "new-word-91bc"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Other tests log as before: what is configured here writes to this test's captured output."""
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**config)


async def use_everything(tmp_path: Path) -> list[str]:
    """Sessions, changes, refusals and a crash; returns the secrets that were in play."""
    async with serving(tmp_path, turn_urls=["turn:a"], turn_secret="turn-secret-5d1e") as api:
        alice = await api.as_user("alice", PASSWORD)
        assert alice.token is not None
        assert alice.user is not None
        path = f"/users/{alice.user['id']}"
        await api.session(user={"login": "alice", "password": "wrong-word-44aa"})
        await api.session(user={"login": PASSWORD, "password": "wrong-word-44aa", "timezone": []})
        await api.get(f"/nothing/{PASSWORD}?token={alice.token}")
        await api.get("/session", headers={"CB-Token": PASSWORD})
        await alice.get("/ice_servers")
        await alice.put(path, {"user": {"password": NEW_PASSWORD, "old_password": PASSWORD}})
        body = {"sessionID": "x", "recipientId": 1, "userInfo": {"sdp": "v=0 candidate-3c2b"}}
        await alice.post("/calls/reject", body)
        await alice.post("/users", {"user": {"login": "alice", "password": "third-word-8d0f"}})
        authenticate = api.server.accounts.sign_in.authenticate_chat
        with pytest.raises(Exception, match="Unauthorized"):
            await authenticate(api.application.id, alice.user["id"], "wrong-word-44aa", "::1")

        async def broken(*_: object) -> object:
            raise RuntimeError("no such column")

        api.server.accounts.users.create = broken  # type: ignore[assignment]
        await alice.post("/users", {"user": {"login": "bobby", "password": "third-word-8d0f"}})
        return [
            PASSWORD, NEW_PASSWORD, "wrong-word-44aa", "third-word-8d0f", "turn-secret-5d1e",
            alice.token, api.application.secret, "candidate-3c2b", "$argon2",
        ]  # fmt: skip


@pytest.mark.parametrize("log_format", list(LogFormat))
async def test_no_secret_is_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], log_format: LogFormat
) -> None:
    """At the most talkative level, neither form of the log shows a secret, and events are there."""
    configure_logging(log_format, LogLevel.DEBUG)
    secrets = await use_everything(tmp_path)
    output = "".join(capfd.readouterr())
    lines = [line for line in output.splitlines() if "httpcore" not in line and "httpx" not in line]
    own = "\n".join(lines)
    assert "log-in failed" in own
    assert "request failed" in own
    assert "no such column" in own
    for secret in secrets:
        assert secret not in own
    if log_format is LogFormat.JSON:
        assert all({"event", "level", "timestamp"} <= set(json.loads(line)) for line in lines)


EMBEDDED = """
import asyncio, sys
from pathlib import Path
from tests.server.api_client import serving

async def main():
    async with serving(Path(sys.argv[1])) as api:
        async def broken(*_):
            raise RuntimeError("no such column")
        api.server.accounts.users.create = broken
        alice = {"login": "alice", "password": "pass-word-7f3a"}
        assert (await api.session(user=alice)).status_code == 500

asyncio.run(main())
"""


def test_embedded_server_logs_no_variables(tmp_path: Path) -> None:
    """In a program that configures no logging, a crash's traceback shows no variables."""
    result = subprocess.run(
        [sys.executable, "-c", EMBEDDED, tmp_path],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    output = result.stdout + result.stderr
    assert "RuntimeError: no such column" in output
    assert PASSWORD not in output
    assert "│" not in output  # the frames that rich draws around variables


def test_application_keeps_its_own_logging() -> None:
    """What the application has configured stays."""
    before = structlog.get_config()["processors"]
    assert structlog.is_configured()
    configure_unless_configured()
    assert structlog.get_config()["processors"] is before


def test_values_named_like_secrets_are_concealed(capfd: pytest.CaptureFixture[str]) -> None:
    """Even a careless line does not show a secret."""
    configure_logging(LogFormat.JSON, LogLevel.INFO)
    structlog.get_logger("test").info("careless", password="hunter2", cb_token="hunter3")
    line = json.loads(capfd.readouterr().err)
    assert line["password"] == line["cb_token"] == "(concealed)"


def test_text_from_elsewhere_is_harmless() -> None:
    """Control and direction characters are replaced, long text is cut."""
    assert printable("a\x1b[31m\nb\u202e\ud800") == "a�[31m�b��"
    assert printable("ünïcode ☎") == "ünïcode ☎"
    assert len(printable("x" * 10_000)) == MAX_TEXT + 1
