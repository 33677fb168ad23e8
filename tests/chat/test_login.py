"""Opening a stream and logging in."""

from __future__ import annotations

import pytest
from websockets.exceptions import InvalidStatus

from ringmesh.errors import RequestError
from ringmesh.protocol.element import Element
from ringmesh.server.chat import ChatLimits
from tests.chat.host import DOMAIN, running, signal, user

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


async def test_a_stream_is_negotiated_as_the_sdks_expect() -> None:
    """Header and features come twice, PLAIN is offered, and the server makes the resource."""
    async with running() as host:
        host.passwords[1, 4002] = "secret"
        client = await host.client()
        assert client.websocket.subprotocol == "xmpp"
        mechanisms = (await client.open()).child("mechanisms", SASL)
        assert mechanisms is not None
        assert [each.text for each in mechanisms.children] == ["PLAIN"]
        assert (await client.authenticate("4002-1", "secret")).name == "success"
        await client.bind()
        bare, _, resource = client.jid.partition("/")
        assert bare == user(4002)
        assert len(resource) >= 12


async def test_a_device_gets_the_resource_it_asks_for() -> None:
    """Mobile SDKs name their device themselves."""
    async with running() as host:
        host.passwords[1, 1] = "secret"
        client = await host.client()
        await client.log_in("1-1", "secret", "flutter_0123456789")
        assert client.jid == f"1-1@{DOMAIN}/flutter_0123456789"


async def test_a_wrong_password_leaves_the_socket_open_for_the_right_one() -> None:
    """SDKs never reconnect by themselves after a refused login, so they must be able to retry."""
    async with running() as host:
        host.passwords[1, 1] = "secret"
        client = await host.client()
        await client.open()
        refusal = await client.authenticate("1-1", "guess")
        assert (refusal.name, [each.name for each in refusal.children]) == (
            "failure",
            ["not-authorized"],
        )
        assert (await client.authenticate("1-1", "secret")).name == "success"
        await client.bind()
        await client.ping()


@pytest.mark.parametrize(
    "name", ["1-2", "2-1", "x", "1", "1-", "-1", "01-1", "1-01", "1-1-1", "1-x"]
)
async def test_only_the_exact_name_of_a_user_logs_in(name: str) -> None:
    """Another user, another application or another spelling of a name is refused."""
    async with running() as host:
        host.passwords[1, 1] = "secret"
        client = await host.client()
        await client.open()
        assert (await client.authenticate(name, "secret")).name == "failure"


@pytest.mark.parametrize("error", [RequestError(429, {}), OSError("no database")])
async def test_a_login_that_cannot_be_checked_is_a_temporary_failure(error: Exception) -> None:
    """Rate limits and broken databases say nothing about the password."""
    async with running() as host:
        host.error = error
        client = await host.client()
        await client.open()
        refusal = await client.authenticate("1-1", "secret")
        assert [each.name for each in refusal.children] == ["temporary-auth-failure"]


async def test_stanzas_before_login_end_the_stream() -> None:
    """Nobody relays anything without having logged in."""
    async with running() as host:
        receiver = await host.online(2)
        client = await host.client()
        await client.open()
        await client.send(signal(user(2)))
        frames, _ = await client.end()
        assert "<not-authorized" in frames[0]
        await receiver.ping()


async def test_who_does_not_log_in_is_closed() -> None:
    """An idle stranger costs a socket, so there is a time limit; who is online stays."""
    async with running(ChatLimits(login_seconds=0.2, idle_seconds=0.2)) as host:
        stranger = await host.client()
        frames, code = await stranger.end()
        assert "<connection-timeout" in frames[0]
        assert code == 1008


async def test_a_user_has_a_bounded_number_of_devices() -> None:
    """The device too many is told so; the others stay."""
    async with running(ChatLimits(devices_per_user=2)) as host:
        devices = [await host.online(1) for _ in range(2)]
        third = await host.online(1)
        frames, _ = await third.end()
        assert "<resource-constraint" in frames[0]
        for device in devices:
            await device.ping()


async def test_an_address_has_a_bounded_number_of_connections() -> None:
    """Beyond the limit the upgrade is refused; a closed connection makes room again."""
    async with running(ChatLimits(connections_per_address=1)) as host:
        first = await host.online(1)
        with pytest.raises(InvalidStatus, match="429"):
            await host.client()
        first.cut()
        await host.until(lambda: host.chat.connection_count() == 0)
        await host.online(1)


async def test_carbons_are_agreed_on() -> None:
    """The SDK asks for carbons right after it is bound, with its full address as sender."""
    async with running() as host:
        client = await host.online(1)
        answer = await client.ask("set", Element("enable", "urn:xmpp:carbons:2"))
        assert answer.get("type") == "result"
