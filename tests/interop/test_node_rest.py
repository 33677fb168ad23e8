"""The REST part of the unmodified npm SDK in Node against a whole server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from tests.node import run_script


async def run_rest(data_dir: Path) -> dict[str, Any]:
    """What the script got from a server of its own."""
    async with Server(data_dir, load_settings(port=0)) as server:
        return await run_script(
            "rest.cjs",
            {
                "application_id": server.application.id,
                "auth_key": server.application.auth_key,
                "api_url": server.url,
                "chat_domain": server.settings.chat_domain,
            },
        )


async def test_rest_surface(tmp_path: Path) -> None:
    """Sessions of all kinds, sign-up, log-in, searches, changes and deletion work as in the
    service that the SDK was made for; what is left out is refused in the form that it reads."""
    got = await run_rest(tmp_path)
    one, two = got["ids"]
    assert got["application"]["user_id"] == 0
    assert got["application"]["user"] is None
    assert got["taken"] == {"code": 422, "errors": {"login": ["has already been taken"]}}
    assert (got["login"]["id"], got["session"]["user_id"]) == (one, one)
    assert got["afterLogout"]["user_id"] == 0
    assert got["updateByNobody"]["code"] in (403, 404)
    assert got["wrongPassword"]["code"] == 401
    assert got["guest"]["user"]["is_guest"] is True
    assert got["byEmail"]["user_id"] == one
    assert got["withoutPassword"]["user_id"] == 0
    assert got["unknown"]["user"]["login"] == "node-three"
    assert set(got["provider"]["errors"]) == {"provider"}

    assert got["searches"] == {
        "in": [two, one],
        "equal": [one],
        "startWith": [one],
        "date": [one],
        "tags": [one],
        "external": [one],
        "offset": [two],
    }
    assert (got["page"]["limit"], got["page"]["skip"], got["page"]["total_entries"]) == (100, 0, 1)
    assert got["nothingToSearchBy"]["code"] == 422
    older = got["older"]
    assert {older[key] for key in ("id", "login", "email", "phone", "external")} == {one}
    assert older["name"] == older["tags"] == [one]
    assert older["filter"] == [two, one]
    assert older["filters"] == [two]
    assert got["missing"]["code"] == 404

    assert got["updated"]["full_name"] == "Númber One"
    assert got["updated"]["user_tags"] == "blue"
    assert got["password"] == one
    assert got["online"] == {"users": []}
    assert got["onlineCount"] == {"count": 0}
    assert got["reset"]["code"] == 422
    assert got["rejected"] == {}
    assert got["dialogs"]["code"] == 404
    assert set(got["dialogs"]["errors"]) == {"base"}


async def test_expired_session_is_renewed(tmp_path: Path) -> None:
    """The SDK's hook for ended sessions is called for a token that is worth nothing, and the
    request that met it is repeated; so it is when the user has been deleted."""
    got = await run_rest(tmp_path)
    one, _ = got["ids"]
    assert got["expired"] == 1
    assert got["afterExpiry"] == [one]
    assert got["expiredAgain"] == 2
    assert got["gone"] is None
