"""The command ``ringmesh``."""

from __future__ import annotations

import sys
from enum import IntEnum

import typer

from ringmesh.errors import ConfigurationError, RingmeshError


class ExitCode(IntEnum):
    """What the shell sees."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INTERRUPTED = 130


app = typer.Typer(
    name="ringmesh",
    help="Audio and video calls that you host yourself.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root() -> None:
    """Audio and video calls that you host yourself."""


def main() -> None:
    """Run the command line; errors that a person can act on become one line and an exit code."""
    try:
        app()
    except ConfigurationError as error:
        print(f"ringmesh: {error}", file=sys.stderr)
        sys.exit(ExitCode.USAGE)
    except RingmeshError as error:
        print(f"ringmesh: {error}", file=sys.stderr)
        sys.exit(ExitCode.FAILED)
