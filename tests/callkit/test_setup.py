"""``ringmesh agent install``, ``uninstall`` and ``status``, and an agent that cannot start."""

from __future__ import annotations

import stat
from pathlib import Path

from tests.callkit.conftest import Home
from tests.callkit.desktop import ringmesh_command
from tests.callkit.phone import APPLICATION


def files(home: Home) -> dict[str, str]:
    """Everything that is installed."""
    folders = (home.desktop.folder / "config", home.desktop.folder / "share")
    return {
        str(path.relative_to(home.desktop.folder)): path.read_text()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


async def test_install_and_uninstall(home: Home) -> None:
    """What is written is printed; again it changes nothing; uninstall leaves nothing."""
    before = files(home)
    code, output = await home.install("--exec", "/usr/bin/phone --answer")
    assert code == 0, output
    first = files(home)
    for path in first.keys() - before.keys():
        assert f"wrote {home.desktop.folder / path}" in output
    settings = home.desktop.folder / "config/ringmesh/agent.json"
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert "bob-demo" not in output
    service = first[f"share/dbus-1/services/{APPLICATION}.service"]
    assert f"Name={APPLICATION}\nExec=/usr/bin/phone --answer\n" in service

    await home.install("--exec", "/usr/bin/phone --answer")
    assert files(home) == first
    code, output = await home.desktop.ringmesh("agent", "status")
    assert (code, "not running" in output, "can be started" in output) == (1, True, True), output

    code, output = await home.desktop.ringmesh("agent", "uninstall")
    assert code == 0
    assert files(home) == before
    _, output = await home.desktop.ringmesh("agent", "uninstall")
    assert output == "nothing was installed\n"


async def test_an_applications_own_service_file_is_left_alone(home: Home) -> None:
    """A D-Bus service file that the application brought is neither replaced nor removed."""
    path = home.desktop.folder / f"share/dbus-1/services/{APPLICATION}.service"
    path.write_text("[D-BUS Service]\nName=x\nExec=/usr/bin/mine\n")
    code, output = await home.install("--exec", "/usr/bin/other")
    assert (code, "belongs to the application" in output) == (2, True)
    assert (await home.install())[0] == 0
    await home.desktop.ringmesh("agent", "uninstall")
    assert "mine" in path.read_text()


async def test_systemd_understands_the_unit(home: Home) -> None:
    """The unit that is written passes systemd's own check, as does the autostart entry's form."""
    code, output = await home.install("--start-by", "systemd")
    assert code == 1, output  # there is no systemd session here to start it
    assert "systemctl --user" in output
    unit = home.desktop.folder / "config/systemd/user/ringmesh-agent.service"
    code, output = await home.desktop.run("systemd-analyze", "verify", "--user", str(unit))
    assert (code, "ringmesh" in output) == (0, False), output
    code, output = await home.desktop.ringmesh("agent", "uninstall")
    assert (code, unit.exists()) == (0, False)


async def test_wrong_arguments_are_told_at_once(home: Home, tmp_path: Path) -> None:
    """A password, an id or a ring tone that is wrong: nothing is written."""
    before = files(home)
    code, _ = await home.install("--password", "wrong")
    assert code == 7
    assert (await home.install("--application", "phone"))[0] == 2
    assert (await home.install("--ringtone", str(tmp_path / "nothing.wav")))[0] == 2
    assert files(home) == before


async def test_an_agent_that_cannot_run_says_why(home: Home) -> None:
    """No settings, settings that others can read or that are broken, no D-Bus session, a refused
    password: each is one clear line and its exit code."""
    desktop = home.desktop

    async def ends(number: int, text: str) -> None:
        code, output = await desktop.run(*ringmesh_command("agent"))
        assert (code, text in output, "Traceback" in output) == (number, True, False), output

    await ends(2, "ringmesh agent install")
    await home.install()
    settings = desktop.folder / "config/ringmesh/agent.json"
    settings.chmod(0o644)
    await ends(2, "chmod 600")
    settings.chmod(0o600)
    whole = settings.read_text()
    for broken in ("{", whole.replace('"bob"', "5")):
        settings.write_text(broken)
        await ends(2, "ringmesh")
    settings.write_text(whole.replace("bob-demo", "changed"))
    await ends(7, "refused")
    settings.write_text(whole)
    desktop.environment["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/nonexistent"
    await ends(1, "no D-Bus session")
