"""``ringmesh push``: keys of the push providers, and what became of pushes."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringmesh.cli.accounts import AppOption, application_id, with_accounts
from ringmesh.cli.data_folder import DataOption, JsonOption
from ringmesh.cli.exit_code import ExitCode
from ringmesh.cli.tables import print_rows
from ringmesh.errors import ConfigurationError

if TYPE_CHECKING:
    from ringmesh.server.push.contract import ProviderKeys
    from ringmesh.server.push.records import LogEntry

push_commands = typer.Typer(no_args_is_help=True, help="Set up and watch push notifications.")
configure_commands = typer.Typer(
    no_args_is_help=True,
    help="Give an application the keys of a provider. A running server takes them within half a "
    "minute.",
)
push_commands.add_typer(configure_commands, name="configure")

_PROVIDERS = ("apns", "fcm", "web")


@configure_commands.command("apns")
def configure_apns(
    key_file: Annotated[
        Path, typer.Option(metavar="FILE", help="The .p8 file with the key.", exists=True)
    ],
    key_id: Annotated[str, typer.Option(metavar="ID", help="Ten characters.")],
    team_id: Annotated[str, typer.Option(metavar="ID", help="Ten characters.")],
    data: DataOption,
    bundle: Annotated[
        str | None, typer.Option(metavar="ID", help="The app, where devices do not tell it.")
    ] = None,
    application: AppOption = None,
) -> None:
    """Apple's push service, for iPhones: a key for APNs of the developer account."""
    table = {"key_id": key_id, "team_id": team_id, "bundle_identifier": bundle}
    _configure(data, application, "apns", table, "key_file", key_file)


@configure_commands.command("fcm")
def configure_fcm(
    service_account: Annotated[
        Path,
        typer.Option(metavar="FILE", help="The JSON file of the service account.", exists=True),
    ],
    data: DataOption,
    application: AppOption = None,
) -> None:
    """Google's Firebase Cloud Messaging, for Android: a service account of the project."""
    _configure(data, application, "fcm", {}, "service_account_file", service_account)


@configure_commands.command("web")
def configure_web(
    data: DataOption,
    subject: Annotated[
        str | None,
        typer.Option(metavar="mailto:…|https:…", help="Whom push services write to in trouble."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A P-256 key in PEM, if browsers have subscribed with it elsewhere. (default: "
            "the server's own)",
            exists=True,
        ),
    ] = None,
    application: AppOption = None,
) -> None:
    """Browsers. They need no set-up; push services like to know who is responsible."""
    _configure(data, application, "web", {"subject": subject}, "key_file", key_file)


@push_commands.command("check")
def check(data: DataOption, application: AppOption = None, as_json: JsonOption = False) -> None:
    """Ask each provider that is set up whether the keys are right."""
    from ringmesh.server.push.contract import ProviderKeys
    from ringmesh.server.push.keys import load_keys

    number = _application(data, application)
    keys = load_keys(data).get(number, ProviderKeys())
    rows = [_checked(provider, keys) for provider in _PROVIDERS]
    print_rows(rows, as_json)
    if any(row["state"] == "wrong" for row in rows):
        raise typer.Exit(ExitCode.FAILED)


@push_commands.command("log")
def log(
    data: DataOption,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000)] = 50,
    application: Annotated[
        int | None, typer.Option("--app", metavar="ID", help="Application. (default: all)")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what became of the newest pushes, the newest first."""
    from ringmesh.server.data_folder import open_push

    async def read() -> list[LogEntry]:
        store = open_push(data)
        try:
            return await store.log(application, limit)
        finally:
            await store.close()

    _application(data, None)  # there is a database, and it is up to date
    print_rows([_log_row(entry, as_json) for entry in asyncio.run(read())], as_json)


def _application(data: Path, given: int | None, *, create: bool = False) -> int:
    return with_accounts(data, lambda accounts: application_id(accounts, given), create=create)


def _configure(
    data: Path,
    application: int | None,
    provider: str,
    table: dict[str, Any],
    member: str,
    file: Path | None,
) -> None:
    """Copy the key into the data folder, name it in `push.toml`, and try it."""
    from ringmesh.server.push.keys import KEYS_FOLDER_NAME, load_keys, save_table, write_private

    number = _application(data, application, create=True)
    copy = None
    if file is not None:
        name = f"{provider}-{number}{file.suffix}"
        copy = data / KEYS_FOLDER_NAME / name
        before = copy.read_bytes() if copy.exists() else None
        write_private(copy, file.read_bytes())
        table = {**table, member: f"{KEYS_FOLDER_NAME}/{name}"}
    try:
        save_table(data, number, provider, table)
    except ConfigurationError:
        if copy is not None:
            copy.unlink()
            if before is not None:
                write_private(copy, before)
        raise
    row = _checked(provider, load_keys(data)[number])
    print(f"{provider} of application {number}: {row['state']} {row['detail']}".rstrip())
    if row["state"] == "wrong":
        print("The keys are kept: correct them, or try 'ringmesh push check'.", file=sys.stderr)
        raise typer.Exit(ExitCode.FAILED)


def _checked(provider: str, keys: ProviderKeys) -> dict[str, str]:
    from ringmesh.server.push.senders import make_sender

    if getattr(keys, provider) is None:
        own = "the server's own key" if provider == "web" else ""
        return {"provider": provider, "state": "right" if own else "not set up", "detail": own}

    async def ask() -> str | None:
        sender = make_sender(provider, keys)
        try:
            return await sender.check()
        finally:
            await sender.close()

    wrong = asyncio.run(ask())
    return {
        "provider": provider, "state": "right" if wrong is None else "wrong", "detail": wrong or "",
    }  # fmt: skip


def _log_row(entry: LogEntry, as_json: bool) -> dict[str, Any]:
    moment = datetime.fromtimestamp(entry.created_ms / 1000).astimezone()
    lasted = None if entry.done_ms is None else (entry.done_ms - entry.created_ms) / 1000
    row = {
        "time": moment.isoformat(timespec="milliseconds" if as_json else "seconds"),
        "app": entry.application_id,
        "user": entry.user_id,
        "channel": entry.channel.value,
        "kind": entry.kind.value,
        "by": "server" if entry.by_server else "app",
        "state": entry.state.value,
        "tries": entry.attempts,
        "seconds": lasted,
        "call": entry.tag,
        "reason": entry.reason,
    }
    return {"push": entry.id, "event": entry.event_id, **row} if as_json else row
