"""The call kit in a running application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from dbus_fast import Message, MessageType

import ringmesh
from ringmesh.callkit import CallEvent, CallKit, CallState
from ringmesh.errors import ConfigurationError, InvalidStateError, NotSupportedError
from tests.callkit.conftest import Home
from tests.callkit.desktop import LIMIT, NOTIFICATIONS, Desktop, until
from tests.callkit.events import EVENT
from tests.callkit.phone import APPLICATION
from tests.callkit.test_agent import ring


@pytest_asyncio.fixture
async def here(desktop: Desktop, monkeypatch: pytest.MonkeyPatch) -> Desktop:
    """The desktop, with the test itself as an application in it."""
    for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_STATE_HOME", "PULSE_SERVER"):
        monkeypatch.setenv(name, desktop.environment[name])
    return desktop


@pytest_asyncio.fixture
async def kit(here: Desktop) -> AsyncIterator[CallKit]:
    """A call kit that nobody has set up."""
    async with CallKit(APPLICATION) as made:
        yield made


async def test_the_user_decides_in_a_notification(here: Desktop, kit: CallKit) -> None:
    """Accept and Decline come to their callbacks, once each, and every process knows."""
    dunst = await here.dunst()
    told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    await kit.init(
        on_call_incoming=lambda event: told.put_nowait(("incoming", event.session_id)),
        on_call_accepted=lambda event: told.put_nowait(("accepted", event.session_id)),
        on_call_rejected=lambda event: told.put_nowait(("rejected", event.session_id)),
    )
    for session_id, button, what in (
        ("first", "Accept", "accepted"),
        ("second", "Decline", "rejected"),
    ):
        event = EVENT.copy_with(session_id=session_id)
        assert await kit.show_call_notification(event)
        assert await told.get() == ("incoming", session_id)
        assert kit.get_call_state(session_id) is CallState.PENDING
        await dunst.shows(1)
        await dunst.press(button)
        assert await asyncio.wait_for(told.get(), LIMIT) == (what, session_id)
        await dunst.shows(0)
        assert CallKit(APPLICATION).get_call_state(session_id) == what
        assert not await kit.show_call_notification(event)
    assert told.empty()
    assert kit.get_last_call_id() == "second"
    assert kit.get_call_data("second") == EVENT.copy_with(session_id="second")


async def test_reports_take_the_notification_away(here: Desktop, kit: CallKit) -> None:
    """What was answered or ended in the application rings no more."""
    dunst = await here.dunst()
    await kit.init()
    for report, state in (
        (kit.report_call_accepted, CallState.ACCEPTED),
        (kit.report_call_ended, CallState.REJECTED),
    ):
        event = EVENT.copy_with(session_id=state)
        await kit.show_call_notification(event)
        await dunst.shows(1)
        await report(state)
        await dunst.shows(0)
        assert kit.get_call_state(state) is state


async def test_the_look_is_checked(kit: CallKit, tmp_path: Path) -> None:
    """A ring tone that is no file, a colour or an id that is none: the argument is named."""
    with pytest.raises(ConfigurationError, match="ring tone"):
        kit.update_config(ringtone=tmp_path / "nothing.wav")
    with pytest.raises(ConfigurationError, match="color"):
        kit.update_config(color="red")
    with pytest.raises(ConfigurationError, match="application id"):
        CallKit("../phone")


async def test_an_application_runs_once(kit: CallKit) -> None:
    """A second process of the same application is told so."""
    await kit.init()
    with pytest.raises(InvalidStateError, match="runs already"):
        await CallKit(APPLICATION).init()


async def test_the_token_stays(kit: CallKit) -> None:
    """The token is made once, told once, and the same ever after."""
    told: list[str] = []
    kit.on_token_refreshed = told.append
    await kit.init()
    assert told == [kit.get_token()]
    async with CallKit(f"{APPLICATION}.Other") as other:
        assert other.get_token() != kit.get_token()


async def test_without_a_desktop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a D-Bus session states work, and ringing says what is missing."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with CallKit(APPLICATION) as kit:
        await kit.init()
        kit.set_call_state("call", CallState.ACCEPTED)
        assert kit.get_call_state("call") is CallState.ACCEPTED
        with pytest.raises(NotSupportedError, match="D-Bus session"):
            await kit.show_call_notification(EVENT)


async def test_a_daemon_without_buttons(here: Desktop, kit: CallKit) -> None:
    """A daemon that has no buttons still rings, and the text says how to answer."""
    shown: list[list[Any]] = []

    def daemon(message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.member == "GetCapabilities":
            return Message.new_method_return(message, "as", [["body"]])
        if message.member == "Notify":
            shown.append(message.body)
            return Message.new_method_return(message, "u", [7])
        return Message.new_method_return(message)

    here.bus.add_message_handler(daemon)
    await here.bus.request_name(NOTIFICATIONS)
    await kit.init()
    await kit.show_call_notification(EVENT)
    (body,) = shown
    assert body[3] == "Alice"
    assert "open the application" in body[4]
    assert body[5] == []
    assert body[6]["category"].value == "call.incoming"
    assert body[6]["urgency"].value == 2


async def test_calls_of_a_client_follow_what_the_user_did(
    here: Desktop, kit: CallKit, home: Home
) -> None:
    """With `attach`: what was declined is declined, what was accepted is told, a further call is
    busy, and one that ended never rings again."""
    told: asyncio.Queue[CallEvent] = asyncio.Queue()
    await kit.init(on_call_accepted=told.put_nowait)
    async with home.person("bob") as bob, home.person("alice") as alice:
        kit.attach(bob.calls)
        declined = alice.calls.create_call_session(ringmesh.CallType.AUDIO_CALL, [home.ids["bob"]])
        kit.set_call_state(declined.session_id, CallState.REJECTED)
        await declined.start_call()
        answer = await declined.wait_for(ringmesh.CallRejectedByUser, timeout=LIMIT)
        assert answer.user_info == {}

        accepted = alice.calls.create_call_session(ringmesh.CallType.AUDIO_CALL, [home.ids["bob"]])
        kit.set_call_state(accepted.session_id, CallState.ACCEPTED)
        await accepted.start_call()
        event = await asyncio.wait_for(told.get(), LIMIT)
        await bob.calls.sessions[event.session_id].accept_call()
        await accepted.wait_for(ringmesh.ConnectedToUser, timeout=LIMIT)

        async with home.person("carol") as carol:
            second = await ring(carol, home)
            answer = await second.wait_for(ringmesh.CallRejectedByUser, timeout=LIMIT)
            assert answer.user_info["busy"] == "true"
        await accepted.hang_up()

        async def over() -> bool:
            return kit.get_call_state(accepted.session_id) is CallState.REJECTED

        await until(over)
