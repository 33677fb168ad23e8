"""A call by push: from the ``call`` signal to Chromium's notification on the screen.

No page is open. The server finds that, encrypts a push for the browser and posts it over HTTP/2; a
push service on this machine decrypts it, and DevTools hand it to the service worker, whose
notification goes over D-Bus to MATE's daemon under Xvfb. Only the way that a push takes through the
Internet is missing. All but browser and desktop shares this process.
"""

from __future__ import annotations

import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import ringmesh
from benchmarks.ringing.screen import Screen
from ringmesh.server.accounts.user_input import UserInput
from ringmesh.signals import Call, CallType, HangUp
from tests.callkit.desktop import Desktop
from tests.push.fake_push_service import FakePushService
from tests.push.provider import make_certificate
from tests.web.bell import Bell
from tests.web.page_driver import PASSWORD
from tests.web.test_desktop_notifications import at_home, chromium
from tests.web.test_notifications import push_server

SDP = "v=0\r\n" + "a=candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host\r\n" * 30


async def measure(rounds: int) -> list[float]:
    """Milliseconds of each call."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("push", "server", "desktop"):
            (folder / part).mkdir()
        async with (
            FakePushService(make_certificate(folder / "push")) as service,
            push_server(folder / "server", service) as server,
            Desktop(folder / "desktop", quiet=True) as desktop,
        ):
            for login in ("alice", "bob"):
                user = UserInput(login=login, password=PASSWORD)
                await server.accounts.users.create(server.application.id, user)
            notifications = await desktop.mate()
            async with chromium(desktop) as context:
                bell = Bell(context, server.url, service)
                key = str(server.push.web_key(server.application.id))
                bob = await at_home(context, server.url, "bob", bell, key)
                await bob.page.close()
                screen = Screen(desktop.environment["DISPLAY"])
                async with ringmesh.connect(server.url, login="alice", password=PASSWORD) as me:
                    times = [
                        await _call(me, bob.user_id, bell, notifications, screen)
                        for _ in range(rounds)
                    ]
                screen.close()
    return times


async def _call(
    me: ringmesh.Connection, bob: int, bell: Bell, notifications: Any, screen: Screen
) -> float:
    base: dict[str, Any] = {
        "session_id": str(uuid.uuid4()),
        "call_type": CallType.AUDIO_CALL,
        "caller_id": me.id,
        "opponents_ids": (bob,),
    }
    screen.forget()
    begun = time.perf_counter()
    me.chat.send_signal(bob, Call(**base, sdp=SDP))
    await bell.deliver("startCall", base["session_id"])
    took = await screen.next_window() - begun
    await notifications.shows(1)
    me.chat.send_signal(bob, HangUp(**base))
    await bell.deliver("endCall", base["session_id"])
    await notifications.shows(0)
    return took * 1000
