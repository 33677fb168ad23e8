"""What is logged, at any level, by us and by the libraries below."""

from __future__ import annotations

import base64
import logging

import pytest

import ringmesh
from ringmesh import CallType
from tests.client.calling import Phone, over, told
from tests.client.conftest import PASSWORD, SignIn


async def test_no_secret_is_logged(sign_in: SignIn, caplog: pytest.LogCaptureFixture) -> None:
    """A whole call at DEBUG, with a lost session in between, shows no password, token or SDP."""
    with caplog.at_level(logging.DEBUG):
        alice, bob = Phone(await sign_in(), 1), Phone(await sign_in(), 2)
        outgoing = await alice.calls(bob, call_type=CallType.AUDIO_CALL)
        incoming = await bob.answers()
        await told(incoming, ringmesh.ConnectedToUser)
        await alice.me.chat.relogin()
        await outgoing.hang_up()
        await over(incoming)
    assert outgoing.session_id in caplog.text
    for me in (alice.me, bob.me):
        assert me.rest.session is not None
        token = me.rest.session.token
        assert token not in caplog.text
        name = f"\0{me.id}-{me.rest.session.application_id}\0"
        assert base64.b64encode(f"{name}{token}".encode()).decode() not in caplog.text
    assert PASSWORD not in caplog.text
    assert "a=ice-pwd" not in caplog.text
    assert "<message" not in caplog.text


def test_nothing_is_configured() -> None:
    """The SDK has a handler that does nothing, so that applications decide about logging."""
    assert ringmesh.connect
    handlers = logging.getLogger("ringmesh").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)
