"""Each SDK's way of speaking REST, replayed byte by byte, and what is left out of it."""

from __future__ import annotations

import pytest

from tests.server.api_client import Api, errors_of
from tests.server.dialogue import FOLDER, read, speak

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.http")))
async def test_dialogue(api: Api, name: str) -> None:
    """The conversation goes as its script says, from the first request to the last."""
    application = api.application
    values = {"application_id": str(application.id), "auth_key": application.auth_key}
    exchanges = read(name)
    assert len(exchanges) > 10
    for exchange in exchanges:
        await speak(exchange, api.server.url, values, application.secret)


OUT_OF_SCOPE = [
    "GET /chat/Dialog",
    "POST /chat/Dialog",
    "PUT /chat/Dialog/5356c64ab35c12bd3b108a41",
    "POST /chat/Dialog/5356c64ab35c12bd3b108a41/subscribe",
    "GET /chat/Message?chat_dialog_id=5356c64ab35c12bd3b108a41",
    "GET /chat/Message/unread",
    "POST /chat/Message",
    "POST /blobs",
    "GET /blobs/1",
    "POST /blobs/1/complete",
    "POST /address_book",
    "GET /address_book/registered_users",
    "POST /meetings",
    "GET /meetings/5f1/recordings",
    "POST /whiteboards",
    "GET /whiteboards",
    "GET /data/Thing",
    "POST /data/Thing/multi",
]


@pytest.mark.parametrize("call", OUT_OF_SCOPE)
async def test_documented_calls_out_of_scope(api: Api, call: str) -> None:
    """Documented calls that have nothing to do with calling people are not found, with or without
    ``.json`` and a session, whatever they send."""
    method, path = call.split()
    plain, _, query = path.partition("?")
    me = await api.as_user("alice")
    body = {"content": b"--x\r\n\r\n", "headers": {"Content-Type": "multipart/form-data"}}
    for client in (api, me):
        for form in (plain, f"{plain}.json"):
            options = {} if method in ("GET", "DELETE") else body
            response = await client.request(method, f"{form}?{query}".rstrip("?"), **options)
            assert response.status_code == 404
            assert set(errors_of(response)) == {"base"}
            assert "CB-Token-ExpirationDate" in response.headers
