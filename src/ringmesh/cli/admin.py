"""``ringmesh app`` and ``ringmesh user``: applications and users in a data folder.

They work on the database itself, also while a server runs on the same folder.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ringmesh.cli.accounts import AppOption, application_id, printable, with_accounts
from ringmesh.cli.data_folder import DataOption, JsonOption
from ringmesh.cli.tables import print_rows
from ringmesh.errors import RequestError

if TYPE_CHECKING:
    from ringmesh.server.accounts.models import Application, User
    from ringmesh.server.accounts.service import Accounts

_T = TypeVar("_T")

app_commands = typer.Typer(no_args_is_help=True, help="Make and list applications.")
user_commands = typer.Typer(no_args_is_help=True, help="Make, list and remove users.")

LoginArgument = Annotated[str, typer.Argument(metavar="LOGIN", help="Login or e-mail address.")]
PasswordOption = Annotated[
    str | None,
    typer.Option(
        "--password",
        metavar="PASSWORD",
        help="Others on this machine can see options: leave it out to type it in, or to have "
        "it read from standard input.",
    ),
]


@app_commands.command("create")
def create_application(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    data: DataOption,
    as_json: JsonOption = False,
) -> None:
    """Make an application, with a key and a secret of its own."""
    application = with_accounts(
        data, lambda accounts: accounts.applications.create(name), create=True
    )
    _print(_application_facts(application), as_json)


@app_commands.command("list")
def list_applications(data: DataOption, as_json: JsonOption = False) -> None:
    """List the applications with their keys and secrets."""
    applications = with_accounts(data, lambda accounts: accounts.applications.list())
    print_rows([_application_facts(application) for application in applications], as_json)


@user_commands.command("add")
def add_user(
    login: Annotated[str, typer.Argument(metavar="LOGIN")],
    data: DataOption,
    password: PasswordOption = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="Full name.")] = None,
    email: Annotated[str | None, typer.Option(metavar="ADDRESS", help="E-mail address.")] = None,
    application: AppOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a user."""
    from ringmesh.server.accounts.user_input import UserInput, validated

    given = {
        "login": login, "email": email, "full_name": name,
        "password": _password_or_ask(password, login),
    }  # fmt: skip

    async def add(accounts: Accounts) -> User:
        user = validated(UserInput, given)
        return await accounts.users.create(await application_id(accounts, application), user)

    _print(_user_facts(with_accounts(data, add, create=True)), as_json)


@user_commands.command("list")
def list_users(
    data: DataOption, application: AppOption = None, as_json: JsonOption = False
) -> None:
    """List the users of an application."""

    async def everybody(accounts: Accounts) -> list[User]:
        from ringmesh.server.store.contract import UserQuery

        app_id = await application_id(accounts, application)
        total, users = await accounts.users.find(app_id, UserQuery(limit=500))
        while len(users) < total:
            query = UserQuery(limit=500, offset=len(users))
            total, more = await accounts.users.find(app_id, query)
            if not more:
                break
            users += more
        return users

    print_rows([_user_facts(user) for user in with_accounts(data, everybody)], as_json)


@user_commands.command("remove")
def remove_user(
    login: LoginArgument,
    data: DataOption,
    application: AppOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a user; a running server closes the user's connections within half a minute."""

    async def remove(accounts: Accounts) -> User:
        user = await _find_user(accounts, application, login)
        await accounts.users.remove(user)
        return user

    _print({"removed": _user_facts(with_accounts(data, remove))["id"]}, as_json)


@user_commands.command("password")
def change_password(
    login: LoginArgument,
    data: DataOption,
    password: PasswordOption = None,
    application: AppOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a user another password and end all of the user's sessions."""
    from ringmesh.server.accounts.user_input import UserInput, validated

    given = {"password": _password_or_ask(password, login)}

    async def change(accounts: Accounts) -> User:
        checked = validated(UserInput, given).password
        assert checked is not None
        user = await _find_user(accounts, application, login)
        await accounts.users.set_password(user, checked)
        await accounts.sessions.end_all(user)
        return user

    _print({"changed": _user_facts(with_accounts(data, change))["id"]}, as_json)


async def _find_user(accounts: Accounts, application: int | None, name: str) -> User:
    app_id = await application_id(accounts, application)
    for field in ("login", "email"):
        user = await accounts.users.by(app_id, field, name)
        if user is not None:
            return user
    raise RequestError(404, {"base": [f"there is no user {name}: see 'ringmesh user list'"]})


def _password_or_ask(password: str | None, login: str) -> str:
    if password is not None:
        return password
    if sys.stdin.isatty():
        question = f"Password for {login}"
        return str(typer.prompt(question, hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def _application_facts(application: Application) -> dict[str, Any]:
    return {
        "id": application.id,
        "name": application.name,
        "auth_key": application.auth_key,
        "secret": application.secret,
    }


def _user_facts(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "application_id": user.application_id,
        "login": user.login,
        "email": user.email,
        "full_name": user.full_name,
        "is_guest": user.is_guest,
    }


def _print(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(f"{name:<16}{'' if value is None else printable(value)}")
