"""``ringmesh call``: call people and talk by file."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import typer

from ringmesh.cli.account import (
    DEFAULT_SERVER,
    LoginOption,
    PasswordOption,
    ServerOption,
    password_or_ask,
)
from ringmesh.cli.call_monitor import CallMonitor
from ringmesh.cli.display import Display
from ringmesh.cli.exit_code import ExitCode
from ringmesh.cli.running import on_interrupt, run
from ringmesh.cli.sending import TEST, open_local_stream
from ringmesh.client.connection import Connection, connect
from ringmesh.client.events import ConnectedToUser
from ringmesh.client.models import CubeUser
from ringmesh.client.session import P2PSession
from ringmesh.errors import ConfigurationError, RequestError
from ringmesh.media.streams import LocalStream
from ringmesh.signals import CallType


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """What was asked for on the command line."""

    users: tuple[str, ...]
    call_type: CallType
    send: str
    record: Path | None
    duration: float | None


def call(
    users: Annotated[list[str], typer.Argument(metavar="USER...", help="Logins or user ids.")],
    login: LoginOption,
    server: ServerOption = DEFAULT_SERVER,
    password: PasswordOption = None,
    audio: Annotated[bool, typer.Option("--audio", help="An audio call, without video.")] = False,
    send: Annotated[
        str,
        typer.Option(
            metavar="FILE|test", help="Media file to send, or a test picture with a tone."
        ),
    ] = TEST,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Record what comes in, as .mkv, .webm or .mp4; with several people each gets "
            "a file of their own, FILE-login.",
        ),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            help="Hang up after this long. A file is repeated meanwhile; without --duration "
            "the call ends with the file.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON for programs.")
    ] = False,
) -> None:
    """Call one to three people.

    Press Ctrl-C to hang up. The exit code is 0 when the call took place, 3 for no answer, 4 when
    it was declined or busy, 5 when no media path was found, 6 when the server cannot be reached,
    7 for a wrong login or password and 2 for a wrong command line.

    [bold]Examples[/bold]

    A video call that sends a test picture and a tone:

        RINGMESH_PASSWORD=alice-demo ringmesh call bob --login alice

    Send a file, record the answer, hang up after ten seconds:

        ringmesh call bot --login alice --send clip.webm --record answer.mkv --duration 10

    An audio call to three people on another server:

        ringmesh call bob carol dave --audio --login alice --server https://calls.example.org
    """
    options = CallOptions(
        users=tuple(users),
        call_type=CallType.AUDIO_CALL if audio else CallType.VIDEO_CALL,
        send=send,
        record=record,
        duration=duration,
    )
    secret = password_or_ask(password, login)
    run(_call(options, server, login, secret, Display(as_json=as_json)))


async def _call(
    options: CallOptions, server: str, login: str, password: str, display: Display
) -> ExitCode:
    looping = options.duration is not None
    stream = open_local_stream(options.send, options.call_type, loop=looping)
    try:
        async with AsyncExitStack() as stack:
            with display.busy(f"Signing in at {server} as {login}"):
                me = await stack.enter_async_context(
                    connect(server, login=login, password=password)
                )
            people = [await find_user(me, name) for name in options.users]
            return await _talk(me, people, options, stream, display)
    finally:
        stream.close()


async def _talk(
    me: Connection,
    people: list[CubeUser],
    options: CallOptions,
    stream: LocalStream,
    display: Display,
) -> ExitCode:
    names = {person.id: person.login or person.name for person in people}
    session = me.calls.create_call_session(options.call_type, names)
    await session.init_local_media_stream(stream)
    monitor = CallMonitor(session, names, record=options.record, changed=display.update)
    interrupted = asyncio.Event()
    display.say(f"Calling {', '.join(names.values())}; press Ctrl-C to hang up")
    with on_interrupt(interrupted.set), display.call(monitor.report):
        await session.start_call()
        await monitor.follow(interrupted.wait(), _all_is_said(session, options, stream))
    display.summary(monitor.report)
    return monitor.report.exit_code(interrupted=interrupted.is_set())


async def _all_is_said(session: P2PSession, options: CallOptions, stream: LocalStream) -> None:
    """Wait until the call has lasted as long as was asked for."""
    await session.wait_for(ConnectedToUser)
    if options.duration is not None:
        await asyncio.sleep(options.duration)
    else:
        await stream.wait_ended()


async def find_user(me: Connection, name: str) -> CubeUser:
    """The user with this login or, failing that, this id."""
    try:
        return await me.users.get_by_login(name)
    except RequestError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
    if name.isascii() and name.isdecimal():
        with suppress(RequestError):
            return await me.users.get(int(name))
    raise ConfigurationError(f"there is no user {name!r}")
