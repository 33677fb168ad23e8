"""What the commands for an administrator share: the accounts in a data folder."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ringmesh.cli.exit_code import ExitCode
from ringmesh.errors import ConfigurationError, RequestError

if TYPE_CHECKING:
    from ringmesh.server.accounts.service import Accounts

_T = TypeVar("_T")

AppOption = Annotated[
    int | None,
    typer.Option("--app", metavar="ID", help="Application. (default: the first one)"),
]


def with_accounts(
    data: Path, work: Callable[[Accounts], Awaitable[_T]], *, create: bool = False
) -> _T:
    """Open the accounts and work on them; refusals become one line and an exit code."""
    from ringmesh.server.data_folder import DATABASE_FILE_NAME, open_accounts
    from ringmesh.server.settings import Settings

    if not create and not (data / DATABASE_FILE_NAME).is_file():
        raise ConfigurationError(
            f"there is no server's data in {data}: give the right folder with --data, "
            "or make one with 'ringmesh serve' or 'ringmesh user add'"
        )

    async def run() -> _T:
        accounts = await open_accounts(data, Settings())
        try:
            return await work(accounts)
        finally:
            await accounts.close()

    try:
        return asyncio.run(run())
    except RequestError as error:
        for field, texts in error.errors.items():
            subject = "" if field == "base" else f"{field} "
            print(f"ringmesh: {subject}{', '.join(texts)}", file=sys.stderr)
        raise typer.Exit(ExitCode.FAILED) from None


async def application_id(accounts: Accounts, given: int | None) -> int:
    if given is None:
        application, _ = await accounts.applications.ensure_default()
        return application.id
    if not 0 < given < 2**63 or await accounts.applications.get(given) is None:
        text = f"there is no application {given}: see 'ringmesh app list'"
        raise RequestError(404, {"base": [text]})
    return given


def printable(value: object) -> str:
    """What users wrote about themselves must not steer a terminal."""
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else "?" for character in text)
