"""``ringmesh doctor``: find out why calls do not work from here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from ringmesh.cli.account import DEFAULT_SERVER, PasswordOption, ServerOption, password_or_ask
from ringmesh.cli.exit_code import ExitCode
from ringmesh.cli.running import run

if TYPE_CHECKING:  # slow to load
    from ringmesh.client.doctor import Check, Doctor

_MARKS = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "failed": ("✗", "red"),
    "skipped": ("-", "dim"),
}
_CODES = {
    "server": ExitCode.CANNOT_CONNECT,
    "tls": ExitCode.CANNOT_CONNECT,
    "ringmesh": ExitCode.CANNOT_CONNECT,
    "sign-in": ExitCode.NOT_AUTHORIZED,
}


def doctor(
    server: ServerOption = DEFAULT_SERVER,
    login: Annotated[
        str | None,
        typer.Option(metavar="LOGIN", envvar="RINGMESH_LOGIN", help="Who you are."),
    ] = None,
    password: PasswordOption = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, max=120, help="For each check.")
    ] = 10.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the findings as JSON for programs.")
    ] = False,
) -> None:
    """Examine whether calls work from here.

    Is the server reachable, is its certificate good, do the clocks agree, do sign-in and chat
    work, do STUN servers and relays do their work over UDP and TCP, which candidates are found.
    What fails comes with its cause and a remedy. Warnings do not make it fail.

    [bold]Exit codes[/bold]

      0  calls work from here
      1  the chat, or every relay, fails
      2  the command line is wrong
      6  the server cannot be reached
      7  the server refused login or password
    """
    secret = None if login is None else password_or_ask(password, login)
    from ringmesh.client.doctor import Doctor  # media libraries are slow to load

    run(_examine(Doctor(server, login=login, password=secret, timeout=timeout), as_json=as_json))


async def _examine(doctor: Doctor, *, as_json: bool) -> ExitCode:
    console = Console(highlight=False, soft_wrap=True)
    checks = []
    async for check in doctor.examine():
        checks.append(check)
        if not as_json:
            _show(console, check)
    code = _exit_code(checks)
    if as_json:
        print(json.dumps({"ok": code is ExitCode.OK, "checks": [_facts(one) for one in checks]}))
    return code


def _show(console: Console, check: Check) -> None:
    mark, style = _MARKS[check.outcome.value]
    console.print(Text(f"{mark} ", style).append(f"{check.subject.value:<12}", "bold"), end="")
    console.print(Text(check.detail))
    if check.remedy is not None:
        console.print(Text(f"{'':14}→ {check.remedy}"))


def _facts(check: Check) -> dict[str, Any]:
    return {
        "subject": check.subject.value,
        "outcome": check.outcome.value,
        "detail": check.detail,
        "remedy": check.remedy,
        "seconds": round(check.seconds, 3),
    }


def _exit_code(checks: list[Check]) -> ExitCode:
    for check in checks:
        if check.outcome.value == "failed":
            return _CODES.get(check.subject.value, ExitCode.FAILED)
    return ExitCode.OK
