"""``/calls/ticket``: what a browser may do with the ticket of a push, and with none."""

from __future__ import annotations

import time

import pytest

from ringmesh.server.push.tickets import Tickets
from ringmesh.server.push.webpush import new_vapid_key
from tests.push.host import World
from tests.push.values import SESSION


def issue(key: str, user_id: int, session_id: str = SESSION, application_id: int = 1) -> str:
    """A ticket for the next minute."""
    now = int(time.time())
    return Tickets(key).issue(application_id, user_id, session_id, now=now, expires_at=now + 60)


async def test_the_ticket_of_a_push_opens_a_session(running: World) -> None:
    """What the browser decrypts lets it act as its user, and as nobody else."""
    ada, bob = await running.person("ada"), await running.person("bob")
    browser = await running.browser()
    await bob.subscribe_browser(browser)
    await ada.post([bob.id])
    await running.settled(1)
    (received,) = running.web.received
    body = {"session_id": SESSION, "ticket": received.content["ticket"]}
    response = await running.api.post("/calls/ticket/session", body)
    assert response.status_code == 201
    session = response.json()["session"]
    assert session["user"]["id"] == bob.id
    token = {"CB-Token": session["token"]}
    again = await running.api.get("/session", headers=token)
    assert again.json()["session"]["user_id"] == bob.id


async def test_declining(running: World, key: str) -> None:
    """The answer is the SDKs' empty object; whom to tell is checked."""
    bob = await running.person("bob")
    body = {"session_id": SESSION, "ticket": issue(key, bob.id), "recipient_ids": [1]}
    response = await running.api.post("/calls/ticket/reject", body)
    assert (response.status_code, response.json()) == (200, {})
    for wrong in ([], [0], ["x"], list(range(1, 30))):
        response = await running.api.post("/calls/ticket/reject", body | {"recipient_ids": wrong})
        assert response.status_code == 422, wrong


@pytest.mark.parametrize("path", ["session", "reject"])
async def test_tickets_that_are_none(running: World, key: str, path: str) -> None:
    """Forged, too old, for another call, of another application: each is 401 and opens nothing."""
    bob = await running.person("bob")
    old = Tickets(key).issue(1, bob.id, SESSION, now=0, expires_at=60)
    for ticket in (
        "",
        "nonsense",
        old,
        issue(new_vapid_key(), bob.id),
        issue(key, bob.id, "another call"),
        issue(key, bob.id, application_id=2),
        issue(key, bob.id)[:-2],
    ):
        body = {"session_id": SESSION, "ticket": ticket, "recipient_ids": [1]}
        response = await running.api.post(f"/calls/ticket/{path}", body)
        assert response.status_code == 401, ticket
        assert "not good" in response.text


async def test_a_user_who_is_gone(running: World, key: str) -> None:
    """A ticket does not outlive its user."""
    body = {"session_id": SESSION, "ticket": issue(key, 999_999)}
    assert (await running.api.post("/calls/ticket/session", body)).status_code == 401
