"""``ringmesh call``: call people and talk by file."""

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
from ringmesh.cli.call_options import TEST, CallOptions, DeviceOptions
from ringmesh.cli.devices import CameraOption, MicrophoneOption, SpeakersOption
from ringmesh.cli.display import Display
from ringmesh.cli.running import run
from ringmesh.signals import CallType


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
    screen: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Show this screen or window (see ringmesh screens) in place of those pictures.",
        ),
    ] = None,
    camera: CameraOption = None,
    microphone: MicrophoneOption = None,
    speakers: SpeakersOption = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Record what comes in, as .mkv, .webm or .mp4; with several people each gets "
            "a file of their own, FILE-login.",
        ),
    ] = None,
    record_all: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|FOLDER",
            help="Record everybody in the call, us too: one .mkv, .webm or .mp4 with a grid and "
            "the sound of all, or a folder with a file of each person.",
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
    stats: Annotated[
        bool, typer.Option("--stats", help="Show the statistics of each connection.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write how the call was, and why, as an .html page with charts or as .json.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON for programs.")
    ] = False,
) -> None:
    """Call one to three people.

    Ctrl-C hangs up. Ends with a summary of the call.

    [bold]Exit codes[/bold]

      0  the call took place
      1  something went wrong that the message tells
      2  the command line is wrong
      3  nobody answered
      4  declined, or busy
      5  answered, but no media path was found
      6  the server cannot be reached
      7  the server refused login or password
    130  cancelled with Ctrl-C before the call took place

    [bold]Examples[/bold]

    Send a test picture and a tone:
      RINGMESH_PASSWORD=bob-demo ringmesh call alice --login bob

    Send a file and record what comes back:
      ringmesh call alice --login bob --send clip.webm --record back.mkv

    See why a call is bad, now and afterwards:
      ringmesh call alice --login bob --stats --report call.html

    Show the first screen:
      ringmesh call alice --login bob --screen screen:1

    Talk with camera, microphone and speakers:
      ringmesh call alice --login bob --camera default --microphone default \
        --speakers default

    Speak with three people for a minute, without video:
      ringmesh call alice carol dave --login bob --audio --duration 60
    """
    options = CallOptions(
        users=tuple(users),
        call_type=CallType.AUDIO_CALL if audio else CallType.VIDEO_CALL,
        send=send,
        devices=DeviceOptions(camera=camera, microphone=microphone, speakers=speakers),
        screen=screen,
        record=record,
        record_all=record_all,
        duration=duration,
        report=report,
    )
    secret = password_or_ask(password, login)
    from ringmesh.cli.calling import make_call  # media libraries are slow to load

    run(make_call(options, server, login, secret, Display(as_json=as_json, stats=stats)))
