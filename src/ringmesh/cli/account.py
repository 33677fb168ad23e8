"""Signing in from the command line."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

ServerOption = Annotated[
    str,
    typer.Option(
        "--server", metavar="URL", envvar="RINGMESH_SERVER", help="The server to sign in at."
    ),
]
LoginOption = Annotated[
    str,
    typer.Option("--login", metavar="LOGIN", envvar="RINGMESH_LOGIN", help="Who you are."),
]
PasswordOption = Annotated[
    str | None,
    typer.Option(
        "--password",
        metavar="PASSWORD",
        envvar="RINGMESH_PASSWORD",
        help="Your password. Others on this machine can see options: prefer the environment "
        "variable, or leave it out and type it in.",
        show_envvar=True,
    ),
]
DEFAULT_SERVER = "http://localhost:8080"


def password_or_ask(password: str | None, login: str) -> str:
    """The password given, or typed in on a terminal. Ends with a usage error otherwise."""
    if password is not None:
        return password
    if not sys.stdin.isatty():
        raise typer.BadParameter("give --password or set RINGMESH_PASSWORD")
    return str(typer.prompt(f"Password of {login}", hide_input=True, err=True))
