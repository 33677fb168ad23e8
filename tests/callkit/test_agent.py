"""The agent on real desktops: real notification daemons, real clicks, an application started."""

from __future__ import annotations

import pytest

import ringmesh
from tests.callkit.conftest import Home
from tests.callkit.desktop import LIMIT


async def ring(me: ringmesh.Connection, home: Home) -> ringmesh.P2PSession:
    """Call Bob."""
    session = me.calls.create_call_session(ringmesh.CallType.AUDIO_CALL, [home.ids["bob"]])
    await session.start_call()
    return session


@pytest.mark.parametrize("daemon", ["dunst", "mate"])
async def test_accept_starts_the_application_into_the_call(home: Home, daemon: str) -> None:
    """A click on Accept starts the closed application, and media flows in the call."""
    shown = await getattr(home.desktop, daemon)()
    await home.agent()
    async with home.person("alice") as alice:
        session = await ring(alice, home)
        await session.wait_for(ringmesh.UserRinging, timeout=LIMIT)
        await shown.shows(1)
        await shown.press("Accept")
        await session.wait_for(ringmesh.ConnectedToUser, timeout=LIMIT)
        await shown.shows(0)
        await home.writes("connected")
        await session.hang_up()
        await home.writes("ended")
    assert home.diary.read_text().count("started") == 1


@pytest.mark.parametrize("daemon", ["dunst", "mate"])
async def test_decline_reaches_the_caller(home: Home, daemon: str) -> None:
    """A click on Decline declines, and the application stays closed."""
    shown = await getattr(home.desktop, daemon)()
    await home.agent()
    async with home.person("alice") as alice:
        session = await ring(alice, home)
        await shown.shows(1)
        await shown.press("Decline")
        event = await session.wait_for(ringmesh.CallRejectedByUser, timeout=LIMIT)
        assert event.user_id == home.ids["bob"]
        await shown.shows(0)
    assert not home.diary.exists()
