"""The client's end of a stream, against our server's end and against hostile frames."""

from __future__ import annotations

import pytest

from ringmesh.errors import InvalidStateError
from ringmesh.protocol.element import read
from ringmesh.protocol.jid import JID
from ringmesh.protocol.stanza_check import CheckedStanza
from ringmesh.protocol.stream import (
    Acknowledged,
    AuthenticationFailed,
    Bound,
    CarbonsChanged,
    ClientStream,
    Closed,
    FrameRefused,
    IqAnswered,
    MessageReceived,
    PresenceChanged,
    SendFrame,
)
from tests.protocol.conversation import DOMAIN, RESOURCE, Joined

MESSAGE = '<message xmlns="jabber:client" to="4001-777@chat.local.test" type="headline" id="a"/>'
JOHN = JID("4002-777", DOMAIN, RESOURCE)


def joined(password: str = "s3cret", **options: object) -> Joined:
    """A client that has tried to log in at a server."""
    pair = Joined(ClientStream(DOMAIN, **options))  # type: ignore[arg-type]
    pair.from_client(pair.client.open("4002-777", password))
    return pair


def test_login() -> None:
    """Client and server reach the bound state together, with carbons on and presence sent."""
    pair = joined()
    assert pair.client_events == [Bound(JOHN)]
    assert pair.client.jid == pair.server.jid == JOHN
    assert pair.server_events == [Bound(JOHN), CarbonsChanged(True, True), PresenceChanged(True)]


def test_requested_resource() -> None:
    """A client may choose its resource."""
    assert joined(resource="my-laptop").client_events == [
        Bound(JID("4002-777", DOMAIN, "my-laptop"))
    ]


def test_wrong_password_and_another_try() -> None:
    """A refused login is told, and other credentials can be tried on the same stream."""
    pair = joined("wrong")
    assert pair.client_events == [AuthenticationFailed("not-authorized")]
    pair.from_client(pair.client.authenticate("4002-777", "s3cret"))
    assert pair.client_events[1:] == [Bound(JOHN)]


def test_server_without_plain() -> None:
    """A server that offers no mechanism of ours is told to the owner as a failed login."""
    client = ClientStream(DOMAIN)
    client.open("a", "b")
    features = (
        "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><mechanisms"
        " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>X-OTHER</mechanism></mechanisms>"
        "</stream:features>"
    )
    assert client.receive(features) == (AuthenticationFailed("invalid-mechanism"),)


def test_messages_both_ways() -> None:
    """Stanzas go through in both directions."""
    pair = joined()
    pair.from_client(pair.client.send(MESSAGE))
    event = pair.server_events[-1]
    assert isinstance(event, CheckedStanza)
    assert event.frame.decode() == MESSAGE
    pair.from_server((SendFrame(MESSAGE),))
    assert pair.client_events[-1] == MessageReceived(read(MESSAGE))


def test_ping() -> None:
    """The client's ping is answered, and so is one from the server."""
    pair = joined()
    pair.from_client(pair.client.ping("p1"))
    event = pair.client_events[-1]
    assert isinstance(event, IqAnswered)
    assert (event.iq_id, event.iq.get("type")) == ("p1", "result")
    ping = (
        '<iq type="get" id="x" from="chat.local.test" to="a@b"><ping xmlns="urn:xmpp:ping"/></iq>'
    )
    assert pair.client.receive(ping) == (
        SendFrame('<iq xmlns="jabber:client" type="result" id="x" to="chat.local.test"/>'),
    )
    (answer,) = pair.client.receive('<iq type="set" id="y"><query xmlns="jabber:iq:roster"/></iq>')
    assert isinstance(answer, SendFrame)
    assert "service-unavailable" in answer.frame


def test_acknowledgements() -> None:
    """With acknowledgements on, the owner hears which stanzas the server has handled."""
    pair = joined(stream_management=True)
    pair.from_client(pair.client.send(MESSAGE))
    acknowledged = [event for event in pair.client_events if isinstance(event, Acknowledged)]
    assert acknowledged[-1].frames[-1] == MESSAGE
    assert pair.client.unacknowledged == ()
    pair.client.send(MESSAGE)  # and the connection is lost
    assert pair.client.unacknowledged == (MESSAGE,)
    assert pair.client.receive('<r xmlns="urn:xmpp:sm:3"/>') == (
        SendFrame('<a xmlns="urn:xmpp:sm:3" h="1"/>'),  # the answer to the carbons request
    )


def test_acknowledgements_refused() -> None:
    """Where the server does not know acknowledgements, sending goes on without."""
    pair = joined()
    client = ClientStream(DOMAIN, stream_management=True)
    relay = Joined(client)
    relay.from_client(client.open("4002-777", "s3cret"))
    client.receive('<failed xmlns="urn:xmpp:sm:3"/>')
    assert client.unacknowledged == ()
    assert client.send(MESSAGE) == (SendFrame(MESSAGE),)
    assert pair.client.send(MESSAGE) == (SendFrame(MESSAGE),)


def test_closing() -> None:
    """Either side's goodbye is answered and ends both machines."""
    pair = joined()
    pair.from_client(pair.client.close())
    assert (pair.client_events[-1], pair.server_events[-1]) == (Closed(), Closed())
    pair = joined()
    pair.from_server(pair.server.close("system-shutdown"))
    assert pair.client_events[-1] == Closed("system-shutdown")
    assert pair.client.close() == ()
    assert pair.client.receive(MESSAGE) == ()


def test_order_of_calls() -> None:
    """Calls that the state does not allow are refused."""
    client = ClientStream(DOMAIN)
    assert client.close() == ()
    with pytest.raises(InvalidStateError):
        client.send(MESSAGE)
    with pytest.raises(InvalidStateError):
        client.authenticate("a", "b")
    client.open("a", "b")
    with pytest.raises(InvalidStateError):
        client.open("a", "b")
    with pytest.raises(InvalidStateError):
        client.ping("p")


@pytest.mark.parametrize("frame", ["<message", "x", b"\xff", "<a/><b/>", "<!DOCTYPE a><a/>"])
def test_unreadable_frame_is_dropped(frame: str | bytes) -> None:
    """A frame that cannot be read is reported, and does not end the stream."""
    pair = joined()
    (event,) = pair.client.receive(frame)
    assert isinstance(event, FrameRefused)
    pair.from_server((SendFrame(MESSAGE),))
    assert pair.client_events[-1] == MessageReceived(read(MESSAGE))


@pytest.mark.parametrize(
    "frame",
    [
        " ",
        "<what xmlns='urn:example:new'/>",
        "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        "<a xmlns='urn:xmpp:sm:3' h='1'/>",
        "<r xmlns='urn:xmpp:sm:3'/>",
        "<presence/>",
        "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
        "<features xmlns='http://etherx.jabber.org/streams'/>",
    ],
)
def test_what_comes_out_of_turn_is_ignored(frame: str) -> None:
    """Frames that mean nothing in this state change nothing."""
    pair = joined()
    assert pair.client.receive(frame) == ()
    assert pair.client.send(MESSAGE) == (SendFrame(MESSAGE),)


@pytest.mark.parametrize(
    "answer",
    [
        "<iq type='error' id='bind'/>",
        "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>@</jid>"
        "</bind></iq>",
    ],
)
def test_no_address(answer: str) -> None:
    """Without an address there is no stream: the owner hears that it ended."""
    client = ClientStream(DOMAIN)
    client.open("a", "b")
    stream = "xmlns:stream='http://etherx.jabber.org/streams'"
    client.receive(
        f"<stream:features {stream}><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
        "<mechanism>PLAIN</mechanism></mechanisms></stream:features>"
    )
    client.receive("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    client.receive(f"<stream:features {stream}><bind/></stream:features>")
    events = client.receive(answer)
    assert isinstance(events[-1], Closed)
    assert events[-1].condition == "undefined-condition"


def test_stream_error_tells_why() -> None:
    """The condition of the server's stream error reaches the owner."""
    error = (
        "<stream:error xmlns:stream='http://etherx.jabber.org/streams'><text"
        " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>{}</stream:error>"
    )
    conflict = "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
    assert joined().client.receive(error.format(conflict))[-1] == Closed("conflict")
    assert joined().client.receive(error.format(""))[-1] == Closed("undefined-condition")
