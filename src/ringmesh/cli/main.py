"""The command ``ringmesh``."""

from __future__ import annotations

import sys

import typer

from ringmesh.cli.admin import app_commands, user_commands
from ringmesh.cli.agent import agent_commands
from ringmesh.cli.answer import answer
from ringmesh.cli.call import call
from ringmesh.cli.devices import devices
from ringmesh.cli.doctor import doctor
from ringmesh.cli.exit_code import exit_code_of
from ringmesh.cli.import_users import import_users
from ringmesh.cli.missed_calls import missed_calls
from ringmesh.cli.push import push_commands
from ringmesh.cli.screens import screens
from ringmesh.cli.serve import serve
from ringmesh.errors import RingmeshError

app = typer.Typer(
    name="ringmesh",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(call)
app.command()(answer)
app.command()(screens)
app.command()(devices)
app.command("calls")(missed_calls)
app.command()(doctor)
app.command("import")(import_users)
app.add_typer(agent_commands, name="agent")
app.add_typer(app_commands, name="app")
app.add_typer(push_commands, name="push")
app.add_typer(user_commands, name="user")


@app.callback()
def _root() -> None:
    """Audio and video calls that you host yourself."""


def main() -> None:
    """Run the command line; errors that a person can act on become one line and an exit code."""
    try:
        app()
    except RingmeshError as error:
        print(f"ringmesh: {error}", file=sys.stderr)
        sys.exit(exit_code_of(error))
