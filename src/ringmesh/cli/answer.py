"""``ringmesh answer``: wait for calls and answer them by themselves."""

from __future__ import annotations

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
from ringmesh.cli.call_options import AnswerOptions, DeviceOptions
from ringmesh.cli.devices import CameraOption, MicrophoneOption, SpeakersOption
from ringmesh.cli.display import Display
from ringmesh.cli.running import run


def answer(
    login: LoginOption,
    server: ServerOption = DEFAULT_SERVER,
    password: PasswordOption = None,
    reject: Annotated[bool, typer.Option("--reject", help="Decline every call.")] = False,
    echo: Annotated[bool, typer.Option("--echo", help="Send back what comes in.")] = False,
    send: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|test",
            help="Media file to send, again and again, or a test picture with a tone "
            "(which is sent anyway without --echo).",
        ),
    ] = None,
    camera: CameraOption = None,
    microphone: MicrophoneOption = None,
    speakers: SpeakersOption = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Record what comes in, as .mkv, .webm or .mp4; further calls go to FILE-2 "
            "and so on.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop after one call.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each summary as one line of JSON.")
    ] = False,
) -> None:
    """Wait for calls and answer them, one at a time, until Ctrl-C.

    Whoever calls meanwhile is told that you are busy. The exit code is 0;
    with --once it is that of the call, see ringmesh call --help.

    [bold]Examples[/bold]

    An echo: callers see and hear themselves:
      RINGMESH_PASSWORD=bob-demo ringmesh answer --login bob --echo

    Play a file to one caller and record what comes in:
      ringmesh answer --login bob --send welcome.webm \
        --record message.mkv --once
    """
    if reject + echo + (send is not None) > 1:
        raise typer.BadParameter("--reject, --echo and --send exclude each other")
    options = AnswerOptions(
        reject=reject,
        echo=echo,
        send=send,
        devices=DeviceOptions(camera=camera, microphone=microphone, speakers=speakers),
        record=record,
        once=once,
    )
    secret = password_or_ask(password, login)
    from ringmesh.cli.answering import answer_calls  # media libraries are slow to load

    run(answer_calls(options, server, login, secret, Display(as_json=as_json)))
