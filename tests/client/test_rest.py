"""The REST client: errors, limits and the session that is restored once."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ringmesh import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    CubeSession,
    InvalidStateError,
    ProtocolError,
    RequestError,
    RestClient,
)
from ringmesh.client.rest import MAX_RESPONSE, sign
from tests.client.conftest import SignIn
from tests.client.tcp_server import serving

SESSION = CubeSession(token="t0", application_id=1, user_id=7)


def answer(status: int, body: object) -> bytes:
    """An HTTP response."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(content), content)


EXPIRED = answer(401, {"errors": {"base": ["Required session does not exist"]}})


def client(url: str, **options: object) -> RestClient:
    """A client with a session."""
    rest = RestClient(url, app_id=1, auth_key="key", **options)  # type: ignore[arg-type]
    rest.session = SESSION
    return rest


def test_signature() -> None:
    """The signature of a known request (computed independently)."""
    body = {
        "application_id": 777,
        "auth_key": "AK",
        "nonce": "12345",
        "timestamp": "1700000000",
        "user": {"login": "bob", "password": "s3cret"},
    }
    assert sign(body, "app-secret") == "b75d2719f7fd6e01597b6232e6a135890613ef9c"


async def test_expired_token_is_restored(sign_in: SignIn) -> None:
    """When the token is no longer good, a new session is made and the request repeated."""
    me = await sign_in()
    before = me.rest.session
    assert before is not None
    me.rest.session = replace(before, token="0" * 40)
    assert (await me.users.get(me.id)).id == me.id
    assert me.rest.session.user_id == me.id
    assert me.rest.session.token not in (before.token, "0" * 40)


async def test_restored_once_for_all() -> None:
    """The application's own `on_session_restore` is asked, and the request sent once more."""
    asked = 0
    async with serving(EXPIRED, answer(200, {"ice_servers": []})) as url:
        rest = client(url)

        async def restore() -> CubeSession:
            nonlocal asked
            asked += 1
            return replace(SESSION, token=f"t{asked}")

        rest.on_session_restore = restore
        assert await rest.ice_servers() == ()
        await rest.restore_session(SESSION)  # somebody else finds the same session expired
        await rest.aclose()
    assert asked == 1
    assert rest.session is not None
    assert rest.session.token == "t1"


async def test_restored_in_vain() -> None:
    """If the new session is refused too, that is the end of it."""
    async with serving(EXPIRED) as url:
        rest = client(url)

        async def restore() -> CubeSession:
            return replace(SESSION, token="t1")

        rest.on_session_restore = restore
        with pytest.raises(AuthenticationError):
            await rest.ice_servers()
        await rest.aclose()


async def test_nothing_to_restore_with() -> None:
    """Without a way to restore, an expired session is an authentication error."""
    async with serving(EXPIRED) as url:
        rest = client(url)
        with pytest.raises(AuthenticationError):
            await rest.ice_servers()
        await rest.aclose()


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (answer(200, b"<html>"), ProtocolError),
        (answer(200, []), ProtocolError),
        (answer(200, {"ice_servers": [{"urls": 5}]}), ProtocolError),
        (answer(200, {"ice_servers": [{}] * 1000}), ProtocolError),
        (answer(403, b"<html>"), RequestError),
        (answer(500, {"errors": ["trouble"]}), RequestError),
        (answer(401, {"errors": {"base": ["Unauthorized"]}}), AuthenticationError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", ConnectionFailedError),
        (b"gibberish\r\n\r\n", ConnectionFailedError),
        (answer(200, b" " * (MAX_RESPONSE + 1)), ProtocolError),
    ],
)
async def test_answers_that_are_not_the_wanted_one(response: bytes, error: type[Exception]) -> None:
    """Each becomes an error of the documented tree, and nothing hangs."""
    async with serving(response) as url:
        rest = client(url, timeout=1.0)
        with pytest.raises(error) as caught:
            await rest.ice_servers()
        assert type(caught.value).__mro__.index(error) <= 1
        await rest.aclose()


async def test_errors_by_field() -> None:
    """A refused request carries the texts of each field."""
    refusal = answer(422, {"errors": {"login": ["has already been taken"], "base": ["no"]}})
    async with serving(refusal) as url:
        rest = client(url)
        with pytest.raises(RequestError) as caught:
            await rest.ice_servers()
        await rest.aclose()
    assert caught.value.status == 422
    assert caught.value.errors == {"login": ("has already been taken",), "base": ("no",)}
    assert str(caught.value) == "login has already been taken; no (HTTP 422)"


async def test_silence_times_out() -> None:
    """A server that says nothing is given up after `timeout` seconds."""
    async with serving(b"") as url:
        rest = client(url, timeout=0.2)
        with pytest.raises(ConnectionFailedError):
            await rest.ice_servers()
        await rest.aclose()


async def test_a_session_comes_first() -> None:
    """Requests need a session; an address needs a scheme."""
    rest = RestClient("http://localhost:1", app_id=1, auth_key="key")
    with pytest.raises(InvalidStateError):
        await rest.ice_servers()
    await rest.delete_session()  # nothing to delete
    await rest.aclose()
    with pytest.raises(ConfigurationError):
        RestClient("localhost:1", app_id=1, auth_key="key")


def test_secrets_are_not_shown() -> None:
    """A session can be logged without its token."""
    assert "t0" not in repr(SESSION)
