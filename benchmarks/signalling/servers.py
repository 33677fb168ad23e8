"""The two servers, each in processes of its own, with users who can log in."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from ringmesh.server.accounts.tokens import new_token, token_hash
from ringmesh.server.data_folder import DATABASE_FILE_NAME, open_accounts
from ringmesh.server.settings import Settings
from ringmesh.server.store.sqlite import open_sqlite

DOMAIN = "chat.localhost"
RINGMESH_PORT = 18090
EJABBERD_PORT = 15280
EJABBERD_EPMD_PORT = 15210
EJABBERD_CONFIGURATION = Path(__file__).with_name("ejabberd.yml")
START_LIMIT = 120.0
"""Seconds; ejabberd registers its users one by one."""


@dataclass(frozen=True, slots=True)
class Target:
    """A running server.

    Attributes:
        pid: its process; descendants are counted with it.
        options: where and as whom xload logs in.
    """

    name: str
    pid: int
    options: tuple[str, ...]


@contextmanager
def ringmesh(
    folder: Path, users: int, settings: Mapping[str, str] | None = None
) -> Iterator[Target]:
    """`ringmesh serve` as anybody runs it. Its users log in with session tokens.

    Args:
        settings: environment variables beside the defaults.
    """
    folder.mkdir()
    first = asyncio.run(populate(folder, users))
    command = (str(Path(sys.executable).with_name("ringmesh")), "serve")
    options = ("--data", str(folder), "--port", str(RINGMESH_PORT))
    environment = os.environ | (settings or {})
    with _running("ringmesh", (*command, *options), environment, folder) as pid:
        _wait(_is_healthy)
        yield Target(
            "ringmesh",
            pid,
            ("--port", str(RINGMESH_PORT), "--path", "/chat", "--first", str(first),
             "--passwords", str(folder / "tokens")),
        )  # fmt: skip


@contextmanager
def ejabberd(
    folder: Path, users: int, configuration: Path = EJABBERD_CONFIGURATION
) -> Iterator[Target]:
    """Debian's ejabberd. Its users log in with passwords that it keeps in plain text."""
    folder.mkdir()
    environment = os.environ | {
        "EJABBERD_CONFIG_PATH": str(configuration),
        "EJABBERD_LOG_PATH": str(folder / "ejabberd.log"),
        "ERL_LIBS": "/usr/lib/x86_64-linux-gnu",
        "ERL_MAX_ETS_TABLES": "2053",
        "HOME": str(folder),
    }
    ready = folder / "ready"
    register = (
        "spawn(fun() -> F = fun(F) -> case ejabberd:is_loaded() andalso "
        "whereis(ejabberd_auth) =/= undefined of true -> ok; _ -> timer:sleep(200), F(F) end end, "
        'F(F), [ejabberd_auth:try_register(iolist_to_binary(io_lib:format("~w-1", [I])), '
        f'<<"{DOMAIN}">>, <<"pw">>) || I <- lists:seq(1, {users})], '
        f'file:write_file("{ready}", <<"ok">>) end).'
    )
    command = (
        "erl", "-sname", "ringmesh_benchmark@localhost", "-erl_epmd_port", str(EJABBERD_EPMD_PORT),
        "-start_epmd", "false", "-kernel", "inet_dist_use_interface", "{127,0,0,1}",
        "+K", "true", "+P", "1000000", "+Q", "400000",
        "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none",  # busy waiting is not work
        "-mnesia", "dir", f'"{folder / "spool"}"', "-noinput", "-s", "ejabberd", "-eval", register,
    )  # fmt: skip
    with _running("ejabberd", command, environment, folder) as pid:
        _wait(ready.exists)
        yield Target(
            "ejabberd",
            pid,
            ("--port", str(EJABBERD_PORT), "--path", "/ws", "--first", "1", "--password", "pw"),
        )


def ejabberd_is_installed() -> bool:
    """Whether Debian's package is there."""
    return shutil.which("erl") is not None and shutil.which("ejabberdctl") is not None


@contextmanager
def _running(
    name: str, command: tuple[str, ...], environment: dict[str, str], folder: Path
) -> Iterator[int]:
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield process.pid
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}, see {folder}")
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + START_LIMIT
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"no server after {START_LIMIT} s")
        time.sleep(0.1)


def _is_healthy() -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{RINGMESH_PORT}/health").status_code == 200
    except httpx2.TransportError:
        return False


async def populate(folder: Path, users: int) -> int:
    """Make users with a live session each; the id of the first. Tokens go into a file."""
    accounts = await open_accounts(folder, Settings())
    application, _ = await accounts.applications.ensure_default()
    await accounts.close()
    store = open_sqlite(folder / DATABASE_FILE_NAME)
    now = int(time.time())
    tokens, ids = [], []
    for number in range(users):
        user = await store.add_user(application.id, {"login": f"user{number}"}, None, now)
        token = new_token()
        hashed = token_hash(token)
        assert hashed is not None
        await store.add_session(
            application.id, user.id, hashed, now=now, expires_at=now + 86_400, fixed_expiry=False
        )
        tokens.append(token)
        ids.append(user.id)
    await store.close()
    assert application.id == 1
    assert ids == list(range(ids[0], ids[0] + users))
    (folder / "tokens").write_text("\n".join(tokens) + "\n")
    return ids[0]
