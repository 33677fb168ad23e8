"""``ringmesh calls``: the calls that one has missed."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from ringmesh.cli.account import (
    DEFAULT_SERVER,
    LoginOption,
    PasswordOption,
    ServerOption,
    password_or_ask,
)
from ringmesh.cli.data_folder import JsonOption
from ringmesh.cli.tables import print_rows


def missed_calls(
    login: LoginOption,
    server: ServerOption = DEFAULT_SERVER,
    password: PasswordOption = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100)] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the calls that you have missed, the newest first."""
    secret = password_or_ask(password, login)
    print_rows(asyncio.run(_missed_calls(server, login, secret, limit)), as_json)


async def _missed_calls(server: str, login: str, password: str, limit: int) -> list[dict[str, Any]]:
    from ringmesh.client.rest import RestClient
    from ringmesh.client.sign_in import discover
    from ringmesh.client.users import Users

    endpoints = await discover(server)
    rest = RestClient(endpoints.api_url, app_id=endpoints.app_id, auth_key=endpoints.auth_key)
    try:
        await rest.create_session({"login": login, "password": password})
        calls = await rest.missed_calls(limit)
        callers = await Users(rest).get_all_by_ids({call.caller_id for call in calls})
        names = {caller.id: caller.full_name or caller.login for caller in callers}
        await rest.delete_session()
    finally:
        await rest.aclose()
    return [
        {
            "time": call.called_at.astimezone().isoformat(timespec="seconds"),
            "caller": names.get(call.caller_id) or str(call.caller_id),
            "type": "audio" if call.call_type == 2 else "video",
            "rang": call.rang_seconds,
            "call": call.session_id,
        }
        for call in calls
    ]
