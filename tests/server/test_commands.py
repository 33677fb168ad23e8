"""``ringmesh serve``, ``app`` and ``user`` as a shell sees them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ringmesh.cli.main import main

COMMAND = [str(Path(sys.executable).with_name("ringmesh"))]
LIMIT = 60


def ringmesh(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in this process: starting another one each time takes long."""
    argv = ["ringmesh", *map(str, arguments)]
    output, errors, code = io.StringIO(), io.StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        patch.setattr(sys, "argv", argv)
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
    return subprocess.CompletedProcess(argv, code, output.getvalue(), errors.getvalue())


def answer(*arguments: str | Path, stdin: str = "") -> Any:
    """What a command that succeeds prints with ``--json``."""
    result = ringmesh(*arguments, "--json", stdin=stdin)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@contextlib.contextmanager
def served(data: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A server in a process of its own: the process, its URL and what it printed first."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--data", str(data), "--port", "0", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith("Press Ctrl-C"):
                break
        match = re.search(r"running at (http\S+)", printed)
        assert match is not None, printed
        yield process, match[1], printed
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=LIMIT)


def test_users(tmp_path: Path) -> None:
    """Users are made, listed, given passwords and removed."""
    data = ("--data", tmp_path)
    alice = answer("user", "add", "alice", "--password", "x", "--name", "Alice A", *data)
    assert alice["login"] == "alice"
    assert alice["full_name"] == "Alice A"
    assert "password" not in alice
    bob = answer("user", "add", "bobby", "--email", "b@example.org", *data, stdin="typed in\n")
    assert [user["id"] for user in answer("user", "list", *data)] == [alice["id"], bob["id"]]
    table = ringmesh("user", "list", *data).stdout
    assert "Alice A" in table
    assert answer("user", "password", "alice", *data, stdin="new\n") == {"changed": alice["id"]}
    assert answer("user", "remove", "b@example.org", *data) == {"removed": bob["id"]}
    assert [user["login"] for user in answer("user", "list", *data)] == ["alice"]


def test_applications(tmp_path: Path) -> None:
    """An application has an id, a key and a secret; users belong to one."""
    data = ("--data", tmp_path)
    first = answer("app", "create", "First", *data)
    second = answer("app", "create", "Second", *data)
    assert set(first) == {"id", "name", "auth_key", "secret"}
    assert answer("app", "list", *data) == [first, second]
    printed = ringmesh("app", "list", *data).stdout
    assert first["auth_key"] in printed
    assert first["secret"] in printed
    answer("user", "add", "alice", "--password", "x", "--app", str(second["id"]), *data)
    assert answer("user", "list", *data) == []
    assert len(answer("user", "list", "--app", str(second["id"]), *data)) == 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the user alice."""
    data = tmp_path_factory.mktemp("data")
    answer("user", "add", "alice", "--password", "x", "--data", data)
    return data


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("user", "add", "alice", "--password", "x"), 1, "taken"),
        (("user", "add", "al", "--password", "x"), 1, "login"),
        (("user", "add", "carol", "--password", ""), 1, "password"),
        (("user", "add", "carol", "--password", "x", "--app", "99"), 1, "ringmesh app list"),
        (("user", "remove", "nobody"), 1, "ringmesh user list"),
        (("user", "password", "nobody", "--password", "x"), 1, "ringmesh user list"),
        (("app", "create", ""), 1, "name"),
        (("user", "add"), 2, "LOGIN"),
        (("user", "frobnicate"), 2, "frobnicate"),
    ],
)
def test_refusals(folder: Path, arguments: tuple[str, ...], code: int, text: str) -> None:
    """What cannot be done ends with an exit code and a line that says why."""
    place = ("--data", str(folder)) if len(arguments) > 2 else ()
    result = ringmesh(*arguments, *place)
    assert result.returncode == code
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_no_data_there(tmp_path: Path) -> None:
    """Looking into a folder that holds nothing says so, and makes nothing."""
    result = ringmesh("user", "list", "--data", tmp_path / "typo")
    assert result.returncode == 2
    assert "--data" in result.stderr
    assert not (tmp_path / "typo").exists()


def test_terminals_are_safe(tmp_path: Path) -> None:
    """What users say about themselves does not steer the administrator's terminal."""
    answer("user", "add", "alice", "--password", "x", "--name", "a\u202eb", "--data", tmp_path)
    assert "a?b" in ringmesh("user", "list", "--data", tmp_path).stdout


def test_first_serve_explains(tmp_path: Path) -> None:
    """The first start makes an application and says how to go on; the next one uses it."""
    data = tmp_path / "new"
    with served(data) as (_, url, printed):
        discovered = httpx2.get(f"{url}/.well-known/ringmesh.json", timeout=LIMIT).json()
        assert discovered["auth_key"] in printed
        assert f"ringmesh user add alice --password … --data {data}" in printed
        assert "--host" in printed
    with served(data) as (_, url, printed):
        again = httpx2.get(f"{url}/.well-known/ringmesh.json", timeout=LIMIT).json()
        assert again["auth_key"] == discovered["auth_key"]
        assert "user add" not in printed


def test_commands_beside_a_server(tmp_path: Path) -> None:
    """Users made, changed and removed while the server runs count at once."""
    with served(tmp_path) as (_, url, _), httpx2.Client(base_url=url, timeout=LIMIT) as http:
        application = answer("app", "list", "--data", tmp_path)[0]

        def log_in(password: str) -> int:
            user = {"login": "alice", "password": password}
            body = {"application_id": application["id"], "auth_key": application["auth_key"]}
            return http.post("/session", json={**body, "user": user}).status_code

        answer("user", "add", "alice", "--password", "one", "--data", tmp_path)
        assert log_in("one") == 201
        user = {"login": "alice", "password": "one"}
        body = {"application_id": application["id"], "auth_key": application["auth_key"]}
        session = http.post("/session", json={**body, "user": user}).json()["session"]
        answer("user", "password", "alice", "--password", "two", "--data", tmp_path)
        token = {"CB-Token": session["token"]}
        assert http.get("/session", headers=token).status_code == 401
        assert (log_in("one"), log_in("two")) == (401, 201)
        result = subprocess.run(
            [*COMMAND, "app", "create", "Other", "--data", tmp_path, "--json"],
            capture_output=True, text=True, timeout=LIMIT, check=True,
        )  # fmt: skip
        new = json.loads(result.stdout)
        body = {"application_id": new["id"], "auth_key": new["auth_key"]}
        assert http.post("/session", json=body).status_code == 201


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_graceful_stop(tmp_path: Path, number: signal.Signals) -> None:
    """A signal stops the server with exit code 0, although a client keeps its connection open."""
    with served(tmp_path) as (process, url, _), httpx2.Client(timeout=LIMIT) as http:
        assert http.get(f"{url}/health").status_code == 200
        process.send_signal(number)
        _, errors = process.communicate(timeout=LIMIT)
        assert process.returncode == 0
        assert "server stopped" in errors
        assert "Traceback" not in errors


@pytest.mark.skipif(os.name != "posix", reason="signals")
async def test_second_signal_stops_at_once(tmp_path: Path) -> None:
    """While a request that never ends holds the shutdown up, a second Ctrl-C ends the process."""
    (tmp_path / "ringmesh.toml").write_text("shutdown_timeout_seconds = 3600")
    with served(tmp_path) as (process, url, _):
        host, port = url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /session HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        await writer.drain()
        await asyncio.to_thread(httpx2.get, f"{url}/health", timeout=LIMIT)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "Stopping…\n"
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, LIMIT) == 130
        writer.close()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--port", "99999"), "port"),
        (("--host", "no.such.host.invalid"), "--host"),
        (("--config", "missing.toml"), "missing.toml"),
    ],
)
def test_serve_refusals(tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    """A server that cannot start says what to change and ends with the code for wrong usage."""
    result = ringmesh("serve", "--data", tmp_path, *arguments)
    assert result.returncode == 2
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_port_in_use(tmp_path: Path) -> None:
    """A port that is taken is named, with the way out."""
    with served(tmp_path / "one") as (_, url, _):
        port = url.rpartition(":")[2]
        result = ringmesh("serve", "--data", tmp_path / "two", "--port", port)
    assert result.returncode == 2
    assert f"port {port}" in result.stderr
    assert "--port" in result.stderr


def test_help() -> None:
    """Every command explains itself."""
    for command in ((), ("serve",), ("user", "add")):
        result = ringmesh(*command, "--help")
        assert result.returncode == 0
        assert "Usage" in result.stdout
