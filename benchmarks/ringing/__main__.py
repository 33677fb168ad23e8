"""How long until a call is seen: ``python -m benchmarks.ringing [--rounds N] [--browser]``.

The way of a call: a ``call`` signal is written by the caller's chat connection, crosses a server,
reaches the agent of a closed application, and dunst maps a window under Xvfb. Beside it, in turn,
the floor: one bare ``Notify`` call over D-Bus, as notify-send makes it, to the same daemon. Both
end when the X server reports the window (MapNotify). Linux; needs Xvfb, dbus-daemon and dunst.
With ``--browser`` it is Chromium that rings for a closed page, by Web Push (`browser.py`); needs
Chromium, the built page and MATE's notification daemon.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from dbus_fast import Message, Variant

import ringmesh
from benchmarks.ringing import browser
from benchmarks.ringing.screen import Screen
from benchmarks.server import serving
from ringmesh.signals import Call, CallType, HangUp
from tests.callkit.desktop import NOTIFICATIONS, Desktop, Dunst, ringmesh_command

AIM = 300.0
SDP = "v=0\r\n" + "a=candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host\r\n" * 30


async def bare(desktop: Desktop, dunst: Dunst, screen: Screen) -> float:
    """One Notify call to a window, in ms."""
    body = ["bench", 0, "call-start", "alice", "Incoming audio call"]
    body += [["accept", "Accept"], {"urgency": Variant("y", 2)}, 0]
    message = Message(
        destination=NOTIFICATIONS,
        path="/org/freedesktop/Notifications",
        interface=NOTIFICATIONS,
        member="Notify",
        signature="susssasa{sv}i",
        body=body,
    )
    begun = time.perf_counter()
    await desktop.bus.call(message)
    took = await screen.next_window() - begun
    await desktop.run("dunstctl", "close-all")
    await dunst.shows(0)
    return took * 1000


async def call(me: ringmesh.Connection, bob: int, dunst: Dunst, screen: Screen) -> float:
    """A call signal to a window, in ms."""
    base = {
        "session_id": str(uuid.uuid4()),
        "call_type": CallType.AUDIO_CALL,
        "caller_id": me.id,
        "opponents_ids": (bob,),
    }
    begun = time.perf_counter()
    me.chat.send_signal(bob, Call(**base, sdp=SDP))
    took = await screen.next_window() - begun
    me.chat.send_signal(bob, HangUp(**base))
    await dunst.shows(0)
    return took * 1000


async def measure(rounds: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "desktop").mkdir()
        async with serving(path / "data") as url, Desktop(path / "desktop", quiet=True) as desktop:
            async with ringmesh.connect(url, login="bob", password="bob-demo") as bob:
                bob_id = bob.id
            dunst = await desktop.dunst()
            screen = Screen(desktop.environment["DISPLAY"])
            desktop.environment["RINGMESH_PASSWORD"] = "bob-demo"
            await desktop.ringmesh(
                *("agent", "install", "--server", url, "--login", "bob"),
                *("--application", "org.example.Bench", "--start-by", "autostart"),
            )
            agent = await desktop.start(*ringmesh_command("agent"))
            await agent.says("waiting for calls")
            async with ringmesh.connect(url, login="alice", password="alice-demo") as alice:
                floors, calls = [], []
                for _ in range(rounds + 1):
                    floors.append(await bare(desktop, dunst, screen))
                    calls.append(await call(alice, bob_id, dunst, screen))
            screen.close()
    return report(floors[1:], calls[1:], calls[0])


def report(floors: list[float], calls: list[float], first: float) -> int:
    """Print the table; the exit code says whether the aim is met."""
    print(f"{'to a window on the screen':34} {'median':>8} {'p95':>8} {'worst':>8}  ms")
    rows = {"bare D-Bus Notify": floors, "call signal, by server and agent": calls}
    for name, times in rows.items():
        p95 = statistics.quantiles(times, n=20, method="inclusive")[-1]
        print(f"{name:34} {statistics.median(times):8.1f} {p95:8.1f} {max(times):8.1f}")
    ratio = statistics.median(calls) / statistics.median(floors)
    worst = max(*calls, first)
    print(f"ratio of medians {ratio:.1f}; first call of an agent {first:.1f} ms", end="; ")
    print(f"aim under {AIM:.0f} ms: {'met' if worst < AIM else 'MISSED'}")
    return 0 if worst < AIM else 1


def report_browser(times: list[float]) -> int:
    """The same for the browser."""
    first, *others = times
    p95 = statistics.quantiles(others, n=20, method="inclusive")[-1]
    print(f"{'to a window on the screen':34} {'median':>8} {'p95':>8} {'worst':>8}  ms")
    name = "call signal, by push and Chromium"
    print(f"{name:34} {statistics.median(others):8.1f} {p95:8.1f} {max(others):8.1f}")
    print(f"first call {first:.1f} ms", end="; ")
    print(f"aim under {AIM:.0f} ms: {'met' if max(times) < AIM else 'MISSED'}")
    return 0 if max(times) < AIM else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--browser", action="store_true", help="a closed page instead of an agent")
    options = parser.parse_args()
    if options.browser:
        sys.exit(report_browser(asyncio.run(browser.measure(options.rounds + 1))))
    sys.exit(asyncio.run(measure(options.rounds)))


if __name__ == "__main__":
    main()
