"""The demo: a server, an answering bot, and a video call to it with a clip, all on this machine.

What runs is what you would run by hand; the commands are printed as they start. In a terminal the
server and the bot go on after that call, so that you can call the bot from the page.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "demo"
CLIP = FOLDER / "clip.webm"
PORT = int(os.environ.get("PORT", "8080"))
URL = f"http://localhost:{PORT}"
USERS = ("alice", "bob", "carol", "bot")
START_LIMIT = 60.0  # seconds


def say(text: str) -> None:
    """A line of our own, told apart from what the programs print."""
    print(f"\033[1m==> {text}\033[0m", flush=True)


def ringmesh(*arguments: str) -> list[str]:
    """The command line that runs ringmesh in this environment."""
    return [str(Path(sys.executable).with_name("ringmesh")), *arguments]


def run(*arguments: str, quiet: bool = False) -> int:
    """Show a ringmesh command, run it and return its exit code."""
    say("ringmesh " + shlex.join(arguments))
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run(
        ringmesh(*arguments), env=environment(), stdout=output, check=False
    ).returncode


def environment() -> dict[str, str]:
    """Where the demo's server is and who calls, so that the commands stay short."""
    return {**os.environ, "RINGMESH_SERVER": URL}


@contextlib.contextmanager
def background(name: str, *arguments: str, password: str | None = None) -> Iterator[Path]:
    """Run a ringmesh command beside the demo, its output in a log file; stop it at the end."""
    log = FOLDER / f"{name}.log"
    say(f"ringmesh {shlex.join(arguments)}  &   (log: {log.relative_to(ROOT)})")
    env = environment() | ({"RINGMESH_PASSWORD": password} if password else {})
    with log.open("w") as output:
        process = subprocess.Popen(ringmesh(*arguments), stdout=output, stderr=output, env=env)
    try:
        yield log
        if process.poll() is not None:
            sys.exit(f"{name} stopped early; its log says:\n{log.read_text()}")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)
            if process.poll() is None:
                process.kill()


def wait_for(what: str, log: Path, text: str | None = None) -> None:
    """Wait until the server answers or, with `text`, until a log has that text."""
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if text is not None and text in log.read_text():
            return
        if text is None:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{URL}/health", timeout=2).close()
                return
        time.sleep(0.1)
    sys.exit(f"{what} did not start in {START_LIMIT:g} s; its log says:\n{log.read_text()}")


def main() -> int:
    """Run the demo; the exit code is that of the call."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            sys.exit(f"port {PORT} is in use; choose another one: make demo PORT=9090")
    FOLDER.mkdir(exist_ok=True)
    data = str((FOLDER / "data").relative_to(ROOT))
    if not CLIP.exists():
        say("Making a clip to send")
        subprocess.run([sys.executable, ROOT / "samples/media/make_clip.py", CLIP], check=True)
    with background("server", "serve", "--data", data, "--port", str(PORT)) as log:
        wait_for("the server", log)
        existing = subprocess.run(
            ringmesh("user", "list", "--data", data, "--json"), capture_output=True, text=True
        ).stdout
        for login in USERS:
            if f'"{login}"' not in existing:
                password = f"{login}-demo"
                run("user", "add", login, "--password", password, "--data", data, quiet=True)
        people = ", ".join(f"{login} / {login}-demo" for login in USERS)
        say(f"The page is at {URL}. Four people can sign in: {people}")
        with background("bot", "answer", "--login", "bot", "--echo", password="bot-demo") as bot:
            wait_for("the bot", bot, "waiting for calls")
            recording = FOLDER / "recording.mkv"
            clip = str(CLIP.relative_to(ROOT))
            code = run(
                *("call", "bot", "--login", "alice", "--password", "alice-demo"),
                *("--send", clip, "--record", str(recording.relative_to(ROOT))),
                *("--duration", os.environ.get("SECONDS_TO_TALK", "10")),
            )
            if code == 0 and sys.stdout.isatty():
                invite()
            return code


def invite() -> None:
    """Say how to call the bot by hand, and wait until Ctrl-C."""
    say(f"Now you: open {URL}/?call=bot and enter as a guest, or sign in as alice / alice-demo.")
    say("The bot sends back what it sees and hears. Two tabs can call each other too.")
    say("Ctrl-C stops.")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
