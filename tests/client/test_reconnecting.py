"""The chat connection comes back, calls survive it, and it knows when to stop trying."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

import ringmesh
from ringmesh import (
    AuthenticationError,
    Connection,
    CubeChatConnection,
    CubeChatConnectionSettings,
    CubeChatConnectionState,
    EndReason,
    InvalidStateError,
    LegState,
    SessionState,
)
from ringmesh.client.reconnect import ExponentialBackoff
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from tests.client.calling import Phone, all_meet, eventually, over
from tests.client.conftest import PASSWORD, SignIn
from tests.interop.people import LIMIT

READY = CubeChatConnectionState.READY
RECONNECTING = CubeChatConnectionState.RECONNECTING
QUICK = CubeChatConnectionSettings(reconnection_timeout=100)


async def reaches(chat: CubeChatConnection, *states: CubeChatConnectionState) -> None:
    """Wait until it has been in these states, one after another."""
    wanted = list(states)
    async with asyncio.timeout(LIMIT):
        async for state in chat.connection_state_stream:
            if state is wanted[0]:
                wanted.pop(0)
            if not wanted:
                return


class Service:
    """A server that can go away and come back at the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = AsyncExitStack()
        self._port = 0
        self.url = ""

    async def start(self) -> None:
        """Come (back)."""
        settings = load_settings(port=self._port)
        server = await self._stack.enter_async_context(Server(self._folder, settings))
        self.url = server.url
        self._port = urlsplit(server.url).port or 0

    async def stop(self) -> None:
        """Go away."""
        await self._stack.aclose()

    async def sign_in(self, stack: AsyncExitStack, login: str, **options: object) -> Connection:
        """Somebody signs in here."""
        settings = {"chat": QUICK, **options}
        connecting = ringmesh.connect(self.url, login=login, password=PASSWORD, **settings)  # type: ignore[arg-type]
        return await stack.enter_async_context(connecting)


@pytest_asyncio.fixture(loop_scope="session")
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """A server of the test's own."""
    running = Service(tmp_path)
    await running.start()
    yield running
    await running.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def people(service: Service) -> AsyncIterator[AsyncExitStack]:
    """Where people sign in to; they leave before the server does."""
    async with AsyncExitStack() as stack:
        yield stack


async def test_a_call_survives_the_loss_of_the_chat(
    service: Service, people: AsyncExitStack
) -> None:
    """While the server is away the call goes on, and afterwards it can be ended as usual."""
    alice = Phone(await service.sign_in(people, "alice"), 1)
    bob = Phone(await service.sign_in(people, "bob"), 2)
    outgoing, incoming = await alice.calls(bob), await bob.answers()
    await all_meet({alice: outgoing, bob: incoming})

    await service.stop()
    for phone in (alice, bob):
        await reaches(phone.me.chat, RECONNECTING)
        assert not phone.me.chat.is_authenticated()
    await all_meet({alice: outgoing, bob: incoming})
    assert outgoing.state is incoming.state is SessionState.CONNECTED
    await service.start()
    for phone in (alice, bob):
        await reaches(phone.me.chat, READY)
    await outgoing.hang_up()
    assert await over(incoming) == [EndReason.REMOTE_HUNG_UP]


async def test_dialling_goes_on_after_the_chat_is_back(
    service: Service, people: AsyncExitStack
) -> None:
    """A call begun while the chat was down rings with its next repeat."""
    rtc = ringmesh.RTCConfig(dialing_time_interval=3.0)
    alice = Phone(await service.sign_in(people, "alice", rtc=rtc), 1)
    bob = Phone(await service.sign_in(people, "bob"), 2)
    await service.stop()
    await reaches(alice.me.chat, RECONNECTING)
    outgoing = await alice.calls(bob)
    await eventually(lambda: outgoing.connection_state_for_user(bob.id) is LegState.DIALLING)
    await service.start()
    incoming = await bob.answers()
    await all_meet({alice: outgoing, bob: incoming})


async def test_giving_up(service: Service, people: AsyncExitStack) -> None:
    """After `total_reconnections` failures in a row it stops, says why, and can log in again."""
    settings = replace(QUICK, total_reconnections=2)
    me = await service.sign_in(people, "alice", chat=settings)
    await service.stop()
    await reaches(me.chat, CubeChatConnectionState.FORCE_CLOSED)
    assert isinstance(me.chat.error, ringmesh.ConnectionFailedError)
    with pytest.raises(ringmesh.ConnectionFailedError):
        await me.chat.login()
    await service.start()
    await me.chat.login()
    assert me.chat.state is READY
    assert me.chat.error is None


async def test_expired_token_is_renewed(sign_in: SignIn) -> None:
    """When the chat refuses the token, a new one is fetched once and used."""
    me = await sign_in()
    assert me.rest.session is not None
    me.rest.session = replace(me.rest.session, token="0" * 40)
    await me.chat.relogin()
    await reaches(me.chat, RECONNECTING, READY)
    assert me.rest.session.token != "0" * 40


async def test_refused_credentials_are_not_repeated(sign_in: SignIn) -> None:
    """If the new token is refused as well it stops, in a state that says so."""
    me = await sign_in()
    good = me.rest.session
    assert good is not None
    asked = 0

    async def restore() -> ringmesh.CubeSession:
        nonlocal asked
        asked += 1
        return replace(good, token=f"{asked:040}")

    me.rest.on_session_restore = restore
    me.rest.session = replace(good, token="0" * 40)
    await me.chat.relogin()
    await reaches(me.chat, CubeChatConnectionState.AUTHENTICATION_FAILURE)
    assert asked == 1
    assert isinstance(me.chat.error, AuthenticationError)
    me.rest.session = good
    await me.chat.login()
    assert me.chat.is_authenticated()


async def test_logging_out_and_in(sign_in: SignIn) -> None:
    """`logout` closes in order, `login` opens again, `destroy` is for good."""
    me = await sign_in()
    seen: list[CubeChatConnectionState] = []

    async def watch() -> None:
        seen.extend([state async for state in me.chat.connection_state_stream])

    watching = asyncio.ensure_future(watch())
    await asyncio.sleep(0)
    await me.chat.login()  # connected already
    await me.chat.logout()
    assert not me.chat.is_authenticated()
    await me.chat.login()
    await me.chat.destroy()
    await asyncio.wait_for(watching, LIMIT)
    states = CubeChatConnectionState
    assert seen == [states.READY, states.CLOSED, states.CONNECTING, states.READY, states.CLOSED]
    with pytest.raises(InvalidStateError):
        await me.chat.login()


async def test_first_attempt_that_fails(service: Service, people: AsyncExitStack) -> None:
    """`login` reports a failure instead of trying on in the background."""
    me = await service.sign_in(people, "alice")
    await me.chat.logout()
    await service.stop()
    with pytest.raises(ringmesh.ConnectionFailedError):
        await me.chat.login()
    assert me.chat.state is CubeChatConnectionState.CLOSED
    await service.start()


async def test_relogin_during_a_call(sign_in: SignIn) -> None:
    """A new chat connection does not disturb a call."""
    alice, bob = Phone(await sign_in(), 1), Phone(await sign_in(), 2)
    outgoing, incoming = await alice.calls(bob), await bob.answers()
    await all_meet({alice: outgoing, bob: incoming})
    await alice.me.chat.relogin()
    await reaches(alice.me.chat, READY)
    await all_meet({alice: outgoing, bob: incoming})
    await outgoing.hang_up()
    assert await over(incoming) == [EndReason.REMOTE_HUNG_UP]


def test_backoff() -> None:
    """Pauses double up to the longest, are shortened by up to half, and end after `attempts`."""
    longest = ExponentialBackoff(first=0.25, maximum=5.0, attempts=8, random=lambda: 0.0)
    assert [longest.delay(attempt) for attempt in range(1, 10)] == [
        *(0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0),
        None,
    ]
    shortest = ExponentialBackoff(first=0.25, maximum=5.0, random=lambda: 1.0)
    assert shortest.delay(3) == 0.5
    assert shortest.delay(10_000) == 2.5
