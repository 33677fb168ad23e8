"""The server's end of a stream, as conversations with the frames that SDKs send."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmesh.errors import ConfigurationError
from ringmesh.protocol.jid import JID
from ringmesh.protocol.stanza_check import CheckedStanza
from ringmesh.protocol.stream import Bound, Closed, SendFrame, ServerStream
from tests.protocol.conversation import (
    CONVERSATIONS,
    DOMAIN,
    LOGIN,
    RESOURCE,
    bound_server,
    new_server,
    play,
    receive,
)
from tests.protocol.stanzas import mutations

CLOSE = '<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>'
OPEN_AND_MECHANISMS = LOGIN[: LOGIN.index("C: <auth")]


@pytest.mark.parametrize("script", sorted(CONVERSATIONS.glob("*.txt")), ids=lambda path: path.stem)
def test_conversation(script: Path) -> None:
    """The machine says and reports exactly what the script has."""
    play(new_server(), script.read_text())


def test_retry_after_a_wrong_password() -> None:
    """After a refused login the stream stays open for another attempt."""
    play(
        new_server(),
        OPEN_AND_MECHANISMS
        + """
        C: <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>ADEtMgB4</auth>
        ! AuthenticationRequested 1-2 x
        > refuse
        S: <failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>
        """
        + LOGIN[LOGIN.index("C: <auth") :],
    )


@pytest.mark.parametrize(
    ("auth", "condition"),
    [
        ('mechanism="SCRAM-SHA-1">biws', "invalid-mechanism"),
        (">ADQwMDItNzc3AHMzY3JldA==", "invalid-mechanism"),
        ('mechanism="PLAIN">%%%', "incorrect-encoding"),
        ('mechanism="PLAIN">/////w==', "incorrect-encoding"),
        ('mechanism="PLAIN">', "malformed-request"),
        ('mechanism="PLAIN">Ym9i', "malformed-request"),
        ('mechanism="PLAIN">AGJvYgA=', "malformed-request"),
        ('mechanism="PLAIN">AGIgYgBwdw==', "not-authorized"),
        ('mechanism="PLAIN">MQAyAHB3', "invalid-authzid"),
    ],
)
def test_malformed_authentication(auth: str, condition: str) -> None:
    """A request that is no PLAIN login is refused with its condition, and the stream goes on."""
    server = new_server()
    play(server, OPEN_AND_MECHANISMS)
    (answer,) = server.receive(f'<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" {auth}</auth>')
    assert answer == SendFrame(
        f'<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><{condition}/></failure>'
    )
    play(server, LOGIN[LOGIN.index("C: <auth") :])


def test_login_answer_after_the_end() -> None:
    """An answer of the password check that comes after the stream ended changes nothing."""
    server = new_server()
    play(server, LOGIN[: LOGIN.index("> accept")])
    server.close()
    assert not server.authentication_succeeded()
    assert not server.authentication_failed()
    assert not server.receive(CLOSE)


@pytest.mark.parametrize(
    "frame",
    [
        '<message to="1-1@x"/>',
        "<presence/>",
        '<iq type="get" id="1"><ping xmlns="urn:xmpp:ping"/></iq>',
    ],
)
@pytest.mark.parametrize("after", ["", "C: <auth", "> accept", "C: <iq"])
def test_nothing_before_the_login(frame: str, after: str) -> None:
    """A stanza before the device is bound ends the stream, or is refused; it is never routed."""
    server = new_server()
    play(server, LOGIN[: LOGIN.index(after)] if after else "")
    events = server.receive(frame)
    assert not isinstance(events, CheckedStanza)
    if after == "C: <iq" and frame.startswith("<iq"):
        assert isinstance(events[0], SendFrame)
        assert 'type="error"' in events[0].frame
    else:
        assert events[-1] == Closed("not-authorized", events[-1].detail)  # type: ignore[union-attr]


@pytest.mark.parametrize("out_of_turn", ["C: <auth", "> accept", "C: <iq"])
def test_open_out_of_turn(out_of_turn: str) -> None:
    """A stream header that comes out of turn ends the stream."""
    server = new_server()
    play(server, LOGIN[: LOGIN.index(out_of_turn)])
    events = server.receive('<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" version="1.0"/>')
    assert isinstance(events[-1], Closed)
    assert events[-1].condition == "policy-violation"


def test_message_of_a_bound_stream() -> None:
    """A message comes out checked, for the router, in the client's own bytes."""
    server = bound_server()
    frame = b'<message to="4001-777@chat.local.test" type="headline" id="a" xmlns="jabber:client"/>'
    message = server.receive(frame)
    assert isinstance(message, CheckedStanza)
    assert message.frame == frame
    assert message.attributes["to"] == "4001-777@chat.local.test"


def test_last_activity() -> None:
    """The owner's answer to a question for a user's last activity names that user."""
    server = bound_server()
    jid = JID.parse("4001-777@chat.local.test")
    assert server.last_activity("u:lastActivity", jid, 0) == (
        SendFrame(
            '<iq xmlns="jabber:client" type="result" id="u:lastActivity"'
            ' from="4001-777@chat.local.test"><query xmlns="jabber:iq:last" seconds="0"/></iq>'
        ),
    )
    (unknown,) = server.last_activity("z", jid, None)
    assert isinstance(unknown, SendFrame)
    assert "item-not-found" in unknown.frame


def test_acknowledgements_before_binding() -> None:
    """Asked for too early, acknowledgements are refused and the login goes on."""
    server = new_server()
    play(server, LOGIN[: LOGIN.index("C: <iq")])
    (answer,) = server.receive('<enable xmlns="urn:xmpp:sm:3" resume="true"/>')
    assert isinstance(answer, SendFrame)
    assert answer.frame.startswith('<failed xmlns="urn:xmpp:sm:3"><unexpected-request')
    play(server, LOGIN[LOGIN.index("C: <iq") :])


@pytest.mark.parametrize("resource", ["", "\x7f", "x" * 1024])
def test_unusable_resource(resource: str) -> None:
    """A device that asks for no usable resource gets the one we made: an error would hang SDKs."""
    server = new_server()
    play(server, LOGIN[: LOGIN.index("C: <iq")])
    server.receive(
        '<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind">'
        f"<resource>{resource}</resource></bind></iq>"
    )
    assert server.jid is not None
    assert server.jid.resource == RESOURCE


def test_short_resource_of_ours() -> None:
    """Resources that we hand out must be long: SDKs look for their own inside other addresses."""
    with pytest.raises(ConfigurationError):
        ServerStream(DOMAIN, "s", "short")


@pytest.mark.parametrize("frame", [b"<message", b"\xff", b"<a/><b/>", "<a>\ud800</a>"])
def test_unreadable_frame_ends_the_stream(frame: bytes | str) -> None:
    """What is not one element ends the stream, with the reason told."""
    events = bound_server().receive(frame)
    assert [type(event) for event in events] == [SendFrame, SendFrame, Closed]
    assert isinstance(events[0], SendFrame)
    assert "<not-well-formed " in events[0].frame


_FRAMES = [
    line.removeprefix("C: ")
    for script in CONVERSATIONS.glob("*.txt")
    for line in script.read_text().splitlines()
    if line.startswith("C: ")
]


@given(
    st.sampled_from(["", LOGIN]),
    st.lists(st.sampled_from([*_FRAMES, "accept", "refuse"]) | mutations(), max_size=12),
)
def test_any_order_of_frames(start: str, steps: list[str | bytes]) -> None:
    """Whatever a client sends, in any order, is answered; nothing is routed without a login."""
    server = new_server()
    play(server, start)
    bound = start == LOGIN
    for step in steps:
        if step == "accept":
            events = server.authentication_succeeded()
        elif step == "refuse":
            events = server.authentication_failed()
        else:
            events = receive(server, step)
        bound = bound or any(isinstance(event, Bound) for event in events)
        assert bound or not any(isinstance(event, CheckedStanza) for event in events)


def test_size_in_memory() -> None:
    """An idle stream costs a few hundred bytes, of which most are its address."""
    server = bound_server()
    assert sys.getsizeof(server) <= 104
    assert not hasattr(server, "__dict__")


def test_password_stays_out_of_logs() -> None:
    """The event that carries a password does not show it."""
    server = new_server()
    play(server, OPEN_AND_MECHANISMS)
    (event,) = server.receive(
        '<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">'
        "ADQwMDItNzc3AHMzY3JldA==</auth>"
    )
    assert "s3cret" not in f"{event!r} {event}"
