"""The agent on real desktops: real notification daemons, real clicks, an application started."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import ringmesh
from ringmesh.server.app import Server
from ringmesh.server.settings import load_settings
from tests.callkit.conftest import Home
from tests.callkit.desktop import LIMIT, ringmesh_command, until


async def ring(me: ringmesh.Connection, home: Home) -> ringmesh.P2PSession:
    """Call Bob."""
    session = me.calls.create_call_session(ringmesh.CallType.AUDIO_CALL, [home.ids["bob"]])
    await session.start_call()
    return session


def resident(process: Path) -> int:
    """Memory of a process, in kB."""
    return int((process / "status").read_text().split("VmRSS:")[1].split()[0])


@pytest.mark.parametrize("daemon", ["dunst", "mate"])
async def test_accept_starts_the_application_into_the_call(home: Home, daemon: str) -> None:
    """A click on Accept starts the closed application, and media flows in the call. It needs no
    repeat of the call: there is none for a minute."""
    shown = await getattr(home.desktop, daemon)()
    await home.agent()
    rarely = ringmesh.RTCConfig(dialing_time_interval=60)
    async with home.person("alice", rtc=rarely) as alice:
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


async def test_another_device_takes_the_call(home: Home) -> None:
    """The agent neither answers nor is busy: two callers ring, and Bob's other device takes one."""
    dunst = await home.desktop.dunst()
    await home.agent()
    async with (
        home.person("bob") as bob,
        home.person("alice") as alice,
        home.person("carol") as carol,
    ):
        taken = bob.calls.wait_for(ringmesh.ReceiveNewSession, timeout=LIMIT)
        first = await ring(alice, home)
        there = (await taken).session
        await dunst.shows(1)
        second = await ring(carol, home)
        await dunst.shows(2)
        await there.accept_call()
        await first.wait_for(ringmesh.ConnectedToUser, timeout=LIMIT)
        await dunst.shows(1)
        assert second.state is ringmesh.SessionState.PENDING
        await second.hang_up()
        await dunst.shows(0)
        await first.hang_up()
    assert not home.diary.exists()


async def test_the_daemon_dies_while_it_rings(home: Home) -> None:
    """A new notification daemon shows the call that the old one showed, and its buttons work."""
    dunst = await home.desktop.dunst()
    await home.agent()
    async with home.person("alice") as alice:
        session = await ring(alice, home)
        await dunst.shows(1)
        await dunst.program.stop(9)
        mate = await home.desktop.mate()
        await mate.shows(1)
        await mate.press("Decline")
        await session.wait_for(ringmesh.CallRejectedByUser, timeout=LIMIT)


async def test_an_application_that_cannot_start(home: Home) -> None:
    """Accept with an application that the bus cannot start rings on, and says so."""
    dunst = await home.desktop.dunst()
    await home.install("--exec", "/nonexistent")
    agent = await home.desktop.start(*ringmesh_command("agent"))
    await agent.says("waiting for calls")
    async with home.person("alice") as alice:
        session = await ring(alice, home)
        await dunst.shows(1)
        await dunst.press("Accept")
        await agent.says("cannot be started")
        await dunst.shows(1)
        await dunst.press("Decline")
        await session.wait_for(ringmesh.CallRejectedByUser, timeout=LIMIT)


async def test_the_caller_gives_up_while_the_application_starts(home: Home) -> None:
    """An application that is there too late does not answer a call that is over."""
    dunst = await home.desktop.dunst()
    go = home.desktop.folder / "go"
    slow = f"while ! test -e {go}; do sleep 0.1; done; exec {home.application()}"
    code, output = await home.install("--exec", f"/bin/sh -c '{slow}'")
    assert code == 0, output
    agent = await home.desktop.start(*ringmesh_command("agent"))
    await agent.says("waiting for calls")
    async with home.person("alice") as alice:
        session = await ring(alice, home)
        await dunst.shows(1)
        await dunst.press("Accept")
        await dunst.shows(0)
        await session.hang_up()
        await agent.says("rings no more: remote-hung-up")
        go.touch()
        await home.writes("ready")
        await ring(alice, home)
        await home.writes("incoming")
    assert "accepted" not in home.diary.read_text()


async def test_restarts_while_it_rings(home: Home) -> None:
    """An agent that comes back rings for a call that still rings, and declines what was declined;
    what happened while the application was closed is told when it starts."""
    dunst = await home.desktop.dunst()
    agent = await home.agent()
    async with home.person("alice") as alice:
        session = await ring(alice, home)
        await dunst.shows(1)
        await agent.stop(9)
        await home.desktop.run("dunstctl", "close-all")
        agent = await home.desktop.start(*ringmesh_command("agent"))
        await dunst.shows(1)
        await dunst.press("Decline")
        await session.wait_for(ringmesh.CallRejectedByUser, timeout=LIMIT)
        assert await agent.stop() == 0

        await home.desktop.start(*shlex.split(home.application()))
        await home.writes("ready")
        diary = home.diary.read_text()
        assert "missed alice" in diary
        assert "declined alice" in diary


async def test_an_application_that_runs_rings_itself(home: Home) -> None:
    """While the application runs the agent leaves the ringing to it; one call rings once."""
    dunst = await home.desktop.dunst()
    agent = await home.agent()
    application = await home.desktop.start(*shlex.split(home.application()))
    await home.writes("ready")
    async with home.person("alice") as alice:
        session = await ring(alice, home)
        await home.writes("incoming User")
        await agent.says("rings in the application")
        assert await dunst.count() == 0
        await session.hang_up()
        await home.writes("ended")
        assert await application.ends() == 0


async def test_the_agent_is_small_and_ends_in_order(home: Home) -> None:
    """No media library is loaded, memory stays small, a second agent is refused, and SIGTERM takes
    what is shown away."""
    dunst = await home.desktop.dunst()
    agent = await home.agent()
    process = Path(f"/proc/{agent.process.pid}")
    async with home.person("alice") as alice:
        maps = (process / "maps").read_text()
        assert not [name for name in ("numpy", "miniaudio") if name in maps]
        idle = resident(process)
        await ring(alice, home)
        await dunst.shows(1)
        maps = (process / "maps").read_text()
        assert not [name for name in ("webrtc", "wrtc", "/av/") if name in maps]
        print(f"resident: {idle} kB, {resident(process)} kB when it rings")
        assert idle < 70_000
        assert resident(process) < 90_000
        code, output = await home.desktop.ringmesh("agent")
        assert code == 1
        assert "runs already" in output
        code, output = await home.desktop.ringmesh("agent", "status")
        assert (code, "running" in output) == (0, True), output
        assert "bob-demo" not in output
        assert await agent.stop() == 0
        await dunst.shows(0)
        assert "Traceback" not in agent.output()


async def test_the_desktop_session_ends(home: Home) -> None:
    """Without its D-Bus session the agent ends, with one clear line, even while it rings."""
    dunst = await home.desktop.dunst()
    agent = await home.agent()
    async with home.person("alice") as alice:
        await ring(alice, home)
        await dunst.shows(1)
        await home.desktop.session.stop()
        assert await agent.ends() == 1
        assert "ringmesh: the D-Bus session ended" in agent.output()
        assert "Traceback" not in agent.output()


async def test_the_server_comes_back(home: Home, tmp_path: Path) -> None:
    """The agent outlives a restart of the server and rings again; before and after, it does not
    keep the server from pushing to Bob's phone."""
    async with home.person("bob") as bob:
        await bob.push.create_subscription(
            ringmesh.CreateSubscriptionParameters(
                channel="gcm", platform="android", udid="phone", push_token="token"
            )
        )
    dunst = await home.desktop.dunst()
    agent = await home.agent()
    port = int(home.server.url.rpartition(":")[2])

    async def rings_everywhere(server: Server) -> None:
        before = len(await server.push.log(None, 100))

        async def pushed() -> bool:
            return len(await server.push.log(None, 100)) > before

        async with home.person("alice") as alice:
            session = await ring(alice, home)
            await dunst.shows(1)
            await until(pushed, lambda: "a push")
            await session.hang_up()
            await dunst.shows(0)

    await rings_everywhere(home.server)
    await home.server.stop()
    await agent.says("reconnecting")
    async with Server(tmp_path / "server", load_settings(port=port)) as again:
        await agent.says("state=ready", times=2)
        await rings_everywhere(again)


async def test_a_cancelled_call_leaves_the_screen_and_is_silent(home: Home) -> None:
    """The ring tone plays while it rings, on the sound server of the desktop. When the caller gives
    up both end, and the application stays closed."""
    dunst = await home.desktop.dunst()
    async with home.desktop.sound() as streams:
        await home.agent()
        async with home.person("alice") as alice:
            session = await ring(alice, home)
            await dunst.shows(1)
            await until(lambda: streams(1), lambda: "a tone")
            await session.hang_up()
            await dunst.shows(0)
            await until(lambda: streams(0), lambda: "silence")
    assert not home.diary.exists()
