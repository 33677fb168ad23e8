"""``ringmesh agent``: ring while the application is closed."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from ringmesh.callkit.agent_setup import (
    AgentSettings,
    Starter,
    install,
    settings_file,
    systemctl,
    uninstall,
    unit_file,
)
from ringmesh.cli.account import (
    DEFAULT_SERVER,
    LoginOption,
    PasswordOption,
    ServerOption,
    password_or_ask,
)
from ringmesh.cli.accounts import printable
from ringmesh.cli.exit_code import ExitCode
from ringmesh.cli.running import first_of, on_interrupt, run
from ringmesh.errors import InvalidStateError, NotSupportedError

agent_commands = typer.Typer(
    name="agent",
    invoke_without_command=True,
    help="Ring with a native notification while the application is closed (Linux).",
)


@agent_commands.callback()
def agent(context: typer.Context) -> None:
    """Listen for calls, and ring with a native notification.

    Accept starts the application, which takes the call; Decline declines it. Runs until Ctrl-C,
    with the settings that [bold]ringmesh agent install[/bold] wrote.
    """
    if context.invoked_subcommand is None:
        settings = AgentSettings.load()
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger = logging.getLogger("ringmesh")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        run(_run(settings))


async def _run(settings: AgentSettings) -> ExitCode:
    from ringmesh.callkit.agent import run_agent
    from ringmesh.callkit.notifier import Look

    interrupted = asyncio.Event()
    look = Look(ringtone=Path(settings.ringtone) if settings.ringtone else None)
    with on_interrupt(interrupted.set):
        ringing = run_agent(
            settings.server, settings.login, settings.password, settings.application, look=look
        )
        await first_of(interrupted.wait(), ringing)
    return ExitCode.OK


@agent_commands.command("install")
def install_agent(
    login: LoginOption,
    application: Annotated[
        str,
        typer.Option(
            "--application", metavar="ID", help="The application that answers: org.example.Phone."
        ),
    ],
    server: ServerOption = DEFAULT_SERVER,
    password: PasswordOption = None,
    command: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="COMMAND",
            help="What starts the application; leave it out if it brings a D-Bus service file.",
        ),
    ] = None,
    ringtone: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A WAV, FLAC, MP3 or Ogg Vorbis file.")
    ] = None,
    starter: Annotated[
        Starter | None,
        typer.Option("--start-by", help="What starts the agent. (default: systemd if it runs)"),
    ] = None,
) -> None:
    """Let the agent start with your desktop session.

    Writes its settings, with the password in a file that only you can read, and a systemd user unit
    or an XDG autostart entry, and prints what was written. Again with other options it changes
    them.
    """
    settings = AgentSettings(
        server=server,
        login=login,
        password=password_or_ask(password, login),
        application=application,
        ringtone=None if ringtone is None else str(ringtone.absolute()),
    )
    asyncio.run(_check(settings))
    for path in install(settings, starter, command):
        print(f"wrote {path}")
    if unit_file().exists():
        systemctl("daemon-reload")
        systemctl("enable", unit_file().name)
        systemctl("restart", unit_file().name)
        print("the agent runs, and starts with each session")
    else:
        print("the agent starts with the next session; to start it now: ringmesh agent")


async def _check(settings: AgentSettings) -> None:
    """Sign in once: better to fail now than when somebody calls."""
    from ringmesh.client.rest import RestClient
    from ringmesh.client.sign_in import credentials_of, discover, sign_in, sign_out

    endpoints = await discover(settings.server)
    rest = RestClient(endpoints.api_url, app_id=endpoints.app_id, auth_key=endpoints.auth_key)
    try:
        credentials = credentials_of(settings.login, None, settings.password, None, None)
        await sign_in(rest, credentials)
    finally:
        await sign_out(rest, keep=False)


@agent_commands.command("uninstall")
def uninstall_agent() -> None:
    """Remove what [bold]ringmesh agent install[/bold] wrote, the password included."""
    if unit_file().exists():
        try:
            systemctl("disable", "--now", unit_file().name)
        except InvalidStateError as error:  # no session of systemd: the files go all the same
            print(f"ringmesh: {error}", file=sys.stderr)
    removed = uninstall()
    for path in removed:
        print(f"removed {path}")
    if not removed:
        print("nothing was installed")


@agent_commands.command("status")
def agent_status() -> None:
    """Tell what is installed and whether the agent runs; exit code 1 unless it does."""
    settings = AgentSettings.load()
    print(f"settings     {settings_file()}")
    print(f"server       {printable(settings.server)}")
    print(f"login        {printable(settings.login)}")
    print(f"starts by    {'systemd' if unit_file().exists() else 'autostart'}")
    try:
        runs, can_start = asyncio.run(_look(settings.application))
    except NotSupportedError as error:
        print("agent        not running")
        print(f"ringmesh: {error}", file=sys.stderr)
        raise typer.Exit(ExitCode.FAILED) from None
    found = "can be started" if can_start else "CANNOT be started: no D-Bus service file"
    print(f"application  {settings.application}, {found}")
    print(f"agent        {'running' if runs else 'not running'}")
    raise typer.Exit(ExitCode.OK if runs else ExitCode.FAILED)


async def _look(application: str) -> tuple[bool, bool]:
    """Whether the agent runs, and whether the bus can start the application."""
    from ringmesh.callkit.agent import agent_name
    from ringmesh.callkit.session_bus import SessionBus

    bus = SessionBus()
    await bus.connect()
    try:
        return await bus.has_owner(agent_name(application)), await bus.can_start(application)
    finally:
        await bus.close()
