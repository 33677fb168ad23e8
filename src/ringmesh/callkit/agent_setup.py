"""Where the agent keeps what it needs, and how the desktop is told to start it.

Files are those of the XDG Base Directory and Autostart specifications, systemd.service(5) and the
D-Bus specification. The password lies in a file that its user alone can read.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self

from ringmesh.callkit.session_bus import check_application_id
from ringmesh.errors import ConfigurationError, InvalidStateError

UNIT = "ringmesh-agent.service"
AUTOSTART = "ringmesh-agent.desktop"

_MARK = "# Written by 'ringmesh agent install'; 'ringmesh agent uninstall' removes it."
_SYSTEMCTL_TIMEOUT = 30.0


class Starter(StrEnum):
    """What starts the agent at log-in."""

    SYSTEMD = "systemd"
    AUTOSTART = "autostart"


def _base(variable: str, *default: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home().joinpath(*default)


def settings_file() -> Path:
    """Where the agent's settings are."""
    return _base("XDG_CONFIG_HOME", ".config") / "ringmesh" / "agent.json"


def unit_file() -> Path:
    """The systemd user unit."""
    return _base("XDG_CONFIG_HOME", ".config") / "systemd" / "user" / UNIT


def autostart_file() -> Path:
    """The entry for desktops without systemd."""
    return _base("XDG_CONFIG_HOME", ".config") / "autostart" / AUTOSTART


def service_file(application: str) -> Path:
    """How the bus starts an application."""
    folder = _base("XDG_DATA_HOME", ".local", "share") / "dbus-1" / "services"
    return folder / f"{application}.service"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What the agent needs to know.

    Attributes:
        application: id of the application that answers calls.
        ringtone: a sound file; None for a tone of our own.
    """

    server: str
    login: str
    password: str = field(repr=False)
    application: str
    ringtone: str | None = None

    def __post_init__(self) -> None:
        check_application_id(self.application)
        if self.ringtone is not None and not Path(self.ringtone).is_file():
            raise ConfigurationError(f"there is no ring tone {self.ringtone}")

    @classmethod
    def load(cls) -> Self:
        """Raises `ConfigurationError` when there are none, or others could read the password."""
        path = settings_file()
        try:
            if path.stat().st_mode & 0o077:
                raise ConfigurationError(
                    f"others can read the password in {path}: run chmod 600 {path}"
                )
            values = json.loads(path.read_text())
            if not all(
                isinstance(values[name], str) for name in values if values[name] is not None
            ):
                raise TypeError("settings are text")
            return cls(**values)
        except FileNotFoundError:
            raise ConfigurationError(
                "the agent has no settings: run 'ringmesh agent install' first"
            ) from None
        except (OSError, ValueError, TypeError) as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(
                f"{path} cannot be used ({type(error).__name__}): run 'ringmesh agent install'"
            ) from error

    def save(self) -> Path:
        """Write them for this user alone; returns where."""
        path = settings_file()
        _write(path, json.dumps(asdict(self), indent=2) + "\n", mode=0o600)
        return path


def install(settings: AgentSettings, starter: Starter | None, command: str | None) -> list[Path]:
    """Write everything that is needed; again with the same arguments it changes nothing.

    Args:
        starter: None takes systemd where a user session of it runs.
        command: what starts the application; None if it brings its own D-Bus service file.

    Returns the files. Raises `ConfigurationError` or `InvalidStateError` when that is impossible.
    """
    written = [settings.save()]
    if command is not None:
        path = service_file(settings.application)
        if path.exists() and _MARK not in path.read_text():
            raise ConfigurationError(
                f"{path} belongs to the application: leave the command out, or remove the file"
            )
        _write(path, _service_text(settings.application, command))
        written.append(path)
    if starter is None:
        starter = Starter.SYSTEMD if systemd_runs() else Starter.AUTOSTART
    by_systemd = starter is Starter.SYSTEMD
    chosen, other = unit_file(), autostart_file()
    if not by_systemd:
        chosen, other = other, chosen
    _write(chosen, _unit_text() if by_systemd else _autostart_text())
    written.append(chosen)
    other.unlink(missing_ok=True)
    return written


def uninstall() -> list[Path]:
    """Remove what `install` wrote; returns the files that were there."""
    candidates = [unit_file(), autostart_file(), settings_file()]
    services = service_file("x.y").parent
    if services.is_dir():
        candidates += [
            path for path in services.glob("*.service") if _MARK in path.read_text(errors="replace")
        ]
    removed = [path for path in candidates if path.exists()]
    for path in removed:
        path.unlink()
    return removed


def systemd_runs() -> bool:
    """Whether this user has a systemd session."""
    if not Path("/run/systemd/system").is_dir():
        return False
    try:
        systemctl("show-environment")
    except InvalidStateError:
        return False
    return True


def systemctl(*arguments: str) -> None:
    """Run ``systemctl --user``. Raises `InvalidStateError` when it fails."""
    try:
        result = subprocess.run(
            ["systemctl", "--user", *arguments],
            capture_output=True,
            text=True,
            timeout=_SYSTEMCTL_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InvalidStateError(f"systemctl --user {arguments[0]}: {error}") from error
    if result.returncode:
        raise InvalidStateError(f"systemctl --user {arguments[0]}: {result.stderr.strip()}")


def agent_command() -> list[str]:
    """What starts the agent. Raises `ConfigurationError` when the program cannot be found."""
    beside = Path(sys.executable).with_name("ringmesh")
    program = str(beside) if beside.exists() else shutil.which("ringmesh")
    if program is None:
        raise ConfigurationError("the program ringmesh is not on the PATH")
    return [program, "agent"]


def _unit_text() -> str:
    words = " ".join(f'"{_escape(word).replace("%", "%%")}"' for word in agent_command())
    return f"""{_MARK}
[Unit]
Description=Ringmesh agent: rings while the application is closed
PartOf=graphical-session.target
After=graphical-session.target

[Service]
ExecStart={words}
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2 7

[Install]
WantedBy=graphical-session.target
"""


def _autostart_text() -> str:
    words = " ".join(f'"{_escape(word).replace("%", "%%")}"' for word in agent_command())
    return f"""{_MARK}
[Desktop Entry]
Type=Application
Name=Ringmesh agent
Comment=Rings while the application is closed
Exec={words}
NoDisplay=true
"""


def _service_text(application: str, command: str) -> str:
    if not command.strip() or not command.isprintable():
        raise ConfigurationError("the command that starts the application must be one line")
    return f"{_MARK}\n[D-BUS Service]\nName={application}\nExec={command}\n"


def _escape(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"')


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace a file as a whole, so that nobody reads half of it."""
    partial = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "w") as file:
            file.write(text)
        partial.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}") from error
