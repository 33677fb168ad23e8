"""Both ends of a stream that goes on over another connection (XEP-0198)."""

from __future__ import annotations

import pytest

from ringmesh.protocol.stream import (
    Acknowledged,
    Bound,
    CaughtUp,
    ClientStream,
    Resumed,
    ResumeRequested,
    SendFrame,
)
from ringmesh.protocol.stream_management import InboundCounter
from tests.protocol.conversation import DOMAIN, STREAM_ID, Joined, new_server

MESSAGE = '<message xmlns="jabber:client" to="4001-777@chat.local.test" id="m"/>'
SM = "urn:xmpp:sm:3"


def lost() -> ClientStream:
    """A client whose connection broke with two messages under way."""
    joined = Joined(ClientStream(DOMAIN, stream_management=True))
    joined.from_client(joined.client.open("4002-777", "s3cret"))
    joined.client.send(MESSAGE)
    joined.client.send(MESSAGE)
    assert joined.client.unacknowledged[-2:] == (MESSAGE, MESSAGE)
    return joined.client


def again(before: ClientStream) -> Joined:
    """The same client, logged in on a new connection; the server has been asked to resume."""
    client = ClientStream(DOMAIN, stream_management=True, resume=before.resumption)
    joined = Joined(client)
    joined.from_client(client.open("4002-777", "s3cret"))
    return joined


def test_going_on() -> None:
    """What the server has is acknowledged, the address is the old one, and waiting stanzas come
    before the client is told that it has caught up."""
    before = lost()
    joined = again(before)
    [asked] = [event for event in joined.server_events if isinstance(event, ResumeRequested)]
    assert (asked.stream_id, asked.handled) == (STREAM_ID, 1)
    jid = before.jid
    assert jid is not None
    handled = InboundCounter(3)  # carbons, presence and one of the messages
    joined.from_server(joined.server.resumed(STREAM_ID, jid, handled))
    assert joined.client.jid == joined.server.jid == jid
    told = joined.client_events[joined.client_events.index(Resumed(jid)) - 1]
    assert isinstance(told, Acknowledged)
    assert (len(told.frames), told.frames[-1]) == (3, MESSAGE)
    assert joined.client.unacknowledged == ()  # only carbons were asked for again
    joined.from_server((SendFrame(MESSAGE), SendFrame(f'<r xmlns="{SM}"/>')))
    assert joined.client_events[-1] == CaughtUp()
    joined.from_client(joined.client.send(MESSAGE))
    assert joined.client.unacknowledged == ()
    assert handled.handled == 5


def test_not_going_on() -> None:
    """After a refusal the client binds as if nothing had been."""
    joined = again(lost())
    joined.from_server(joined.server.resume_failed())
    assert any(isinstance(event, Bound) for event in joined.client_events)
    assert not any(isinstance(event, Acknowledged) for event in joined.client_events[:-2])
    assert joined.client.resumption is not None  # of the new stream


@pytest.mark.parametrize("h", ["", ' h="x"', ' h="9"', ' h="-1"'])
def test_a_server_that_counts_wrong(h: str) -> None:
    """A count that makes no sense acknowledges nothing, and the stream goes on."""
    joined = again(lost())
    joined.client.receive(f'<resumed xmlns="{SM}" previd="{STREAM_ID}"{h}/>')
    assert joined.client.jid is not None
    assert joined.client.send(MESSAGE)[0] == SendFrame(MESSAGE)


def test_only_where_it_was_granted() -> None:
    """Without an id from the server there is nothing to resume."""
    client = ClientStream(DOMAIN, stream_management=True)
    assert client.resumption is None


def test_out_of_turn() -> None:
    """Who asks before the login is over, or once bound, is refused."""
    server = new_server()
    [failed] = server.receive(f'<resume xmlns="{SM}" previd="{STREAM_ID}" h="0"/>')
    assert isinstance(failed, SendFrame)
    assert "item-not-found" in failed.frame
