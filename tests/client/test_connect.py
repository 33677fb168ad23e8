"""Signing in: `connect`, its errors, and what leaving it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

import ringmesh
from ringmesh import (
    AuthenticationError,
    CallType,
    ConfigurationError,
    ConnectionFailedError,
    CubeChatConnectionState,
    EndReason,
    ProtocolError,
    RequestError,
    RTCConfig,
)
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from tests.client.calling import Phone, over
from tests.client.conftest import PASSWORD, SignIn
from tests.client.tcp_server import serving

Login = Callable[[], str]


async def test_who_we_are(sign_in: SignIn, login: Login) -> None:
    """The connection knows its user, and the chat is ready."""
    name = login()
    me = await sign_in(name)
    assert me.user.login == name
    session = me.calls.create_call_session(CallType.AUDIO_CALL, [me.id + 1])
    assert me.user.id == me.id == session.current_user_id == session.caller_id
    assert me.chat.state is CubeChatConnectionState.READY
    assert me.chat.is_authenticated()


async def test_looking_users_up(sign_in: SignIn) -> None:
    """Users are found by login and ids; who does not exist is a 404."""
    me, other = await sign_in(), await sign_in()
    assert other.user.login is not None
    assert (await me.users.get_by_login(other.user.login)).id == other.id
    assert (await me.users.get(other.id)).login == other.user.login
    found = await me.users.get_all_by_ids([other.id, me.id, 987_654_321])
    assert [user.id for user in found] == sorted([me.id, other.id])
    with pytest.raises(RequestError) as refused:
        await me.users.get_by_login("nobody at all")
    assert refused.value.status == 404


async def test_signing_up(sign_in: SignIn, login: Login, server: Server) -> None:
    """A new user can sign in; a login that is taken names the field."""
    me = await sign_in()
    name = login()
    user = await me.users.sign_up(name, "another password", full_name="New Person")
    assert (user.login, user.name) == (name, "New Person")
    with pytest.raises(RequestError) as refused:
        await me.users.sign_up(name, "x")
    assert refused.value.status == 422
    assert list(refused.value.errors) == ["login"]
    assert (await me.users.search("New Pers"))[0].id == user.id
    async with ringmesh.connect(server.url, login=name, password="another password") as they:
        assert they.id == user.id


async def test_wrong_password(sign_in: SignIn, login: Login, server: Server) -> None:
    """Refused at once, with an error that says so."""
    name = login()
    await sign_in(name)
    with pytest.raises(AuthenticationError, match="refused"):
        async with ringmesh.connect(server.url, login=name, password="wrong"):
            pytest.fail("signed in with a wrong password")


async def test_guest(server: Server) -> None:
    """A guest needs no account."""
    async with ringmesh.connect(server.url, guest="Passer-by") as me:
        assert me.user.is_guest
        assert me.user.full_name == "Passer-by"


async def test_token_of_another_session(sign_in: SignIn, server: Server) -> None:
    """A token signs in as its user, and is still good afterwards."""
    me = await sign_in()
    assert me.rest.session is not None
    async with ringmesh.connect(server.url, token=me.rest.session.token) as same:
        assert same.id == me.id
    assert (await me.users.get(me.id)).id == me.id


async def test_unknown_token(server: Server) -> None:
    """A token that the server does not know is refused."""
    with pytest.raises(AuthenticationError):
        async with ringmesh.connect(server.url, token="0" * 40):
            pytest.fail("signed in with an unknown token")


async def test_explicit_endpoints(login: Login, server: Server) -> None:
    """Endpoints may be given instead of the URL; nothing else is needed."""
    endpoints = await ringmesh.discover(server.url)
    async with ringmesh.connect(endpoints=endpoints, login=login(), password=PASSWORD) as me:
        assert me.chat.is_authenticated()


async def test_signed_requests(tmp_path: Path) -> None:
    """A server that demands signatures accepts ours, and refuses the unsigned and the wrong."""
    settings = load_settings(port=0, require_signature=True)
    async with Server(tmp_path, settings) as server:
        endpoints = await ringmesh.discover(server.url)
        secret = (await server.accounts.applications.list())[0].secret
        signed = {"endpoints": endpoints, "login": "anna", "password": PASSWORD}
        async with ringmesh.connect(**signed, auth_secret=secret) as me:
            assert me.user.login == "anna"
        for wrong in (None, "not the secret"):
            with pytest.raises((AuthenticationError, RequestError)):
                async with ringmesh.connect(**signed, auth_secret=wrong):
                    pytest.fail("signed in without a right signature")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"login": "a", "password": "b", "guest": "c"},
        {"login": "a"},
        {"guest": "a", "password": "b"},
    ],
)
async def test_unclear_credentials(arguments: dict[str, str]) -> None:
    """Exactly one way to sign in, complete; anything else is the program's mistake."""
    with pytest.raises(ConfigurationError):
        async with ringmesh.connect("http://localhost:1", **arguments):
            pytest.fail("signed in")


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "", None])
async def test_no_url(url: str | None) -> None:
    """What is no URL of a server is said to be none."""
    with pytest.raises(ConfigurationError):
        async with ringmesh.connect(url, guest="a"):
            pytest.fail("signed in")


async def test_nobody_there() -> None:
    """A server that does not answer is a failed connection."""
    async with serving(b"") as url:
        pass  # now nobody listens there any more
    with pytest.raises(ConnectionFailedError, match="cannot reach"):
        async with ringmesh.connect(url, guest="a"):
            pytest.fail("signed in")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<htm>",
        b'HTTP/1.1 200 OK\r\ncontent-length: 25\r\n\r\n{"application_id": [1, 2]}',
    ],
)
async def test_something_else_is_there(answer: bytes) -> None:
    """A web server that is no Ringmesh server is recognised as such."""
    async with serving(answer) as url:
        with pytest.raises(ProtocolError):
            await ringmesh.discover(url)


async def test_leaving_hangs_up(sign_in: SignIn, server: Server, login: Login) -> None:
    """Leaving `connect` ends running calls for the others, the chat and the REST session."""
    alice = Phone(await sign_in(), 1)
    async with ringmesh.connect(server.url, login=login(), password=PASSWORD) as me:
        bob = Phone(me, 2)
        incoming = await bob.calls(alice)
        outgoing = await alice.answers()
        session = me.rest.session
    assert await over(incoming, outgoing) == [EndReason.HUNG_UP, EndReason.REMOTE_HUNG_UP]
    assert me.chat.state is CubeChatConnectionState.CLOSED
    assert session is not None
    with pytest.raises(AuthenticationError):
        async with ringmesh.connect(server.url, token=session.token):
            pytest.fail("the token is still good")
    with pytest.raises(ringmesh.InvalidStateError):
        me.calls.create_call_session(CallType.VIDEO_CALL, [alice.id])


async def test_leaving_waits_for_callbacks(server: Server, sign_in: SignIn, login: Login) -> None:
    """A coroutine callback that is under way may finish."""
    alice = Phone(await sign_in(), 1)
    finished: list[str] = []

    async def slow(_session: object) -> None:
        await asyncio.sleep(0.05)
        finished.append("slow")

    async with ringmesh.connect(server.url, login=login(), password=PASSWORD) as me:
        me.calls.on_session_closed = slow
        await Phone(me, 2).calls(alice)
    assert finished == ["slow"]


async def test_ice_servers_from_configuration(sign_in: SignIn) -> None:
    """Servers given in the configuration are used instead of the Ringmesh server's."""
    unreachable = ringmesh.IceServer(("stun:127.0.0.1:9",))
    rtc = RTCConfig(ice_servers=(unreachable,))
    alice, bob = Phone(await sign_in(rtc=rtc), 1), Phone(await sign_in(rtc=rtc), 2)
    outgoing = await alice.calls(bob)
    await bob.answers()
    await alice.meets(outgoing, [bob])
