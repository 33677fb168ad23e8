"""``ringmesh serve``: run a server."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from ringmesh.cli.data_folder import DataOption, data_argument
from ringmesh.cli.exit_code import ExitCode
from ringmesh.cli.huge_pages import collapse_memory

if TYPE_CHECKING:
    from ringmesh.server.app import Server
    from ringmesh.server.settings import Settings

AUTO = "auto"
"""The word for the managed relay, where URLs may be given."""


def serve(
    data: DataOption,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on; 0.0.0.0 for all. (default: 127.0.0.1)",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=65535, help="Port; 0 for any free one. (default: 8080)"
        ),
    ] = None,
    turn: Annotated[
        list[str] | None,
        typer.Option(
            metavar="auto|URL",
            help="Relay for calls that find no direct way: auto runs the coturn of this machine, "
            "URL (repeatable) names one that runs already and shares --turn-secret.",
        ),
    ] = None,
    turn_secret: Annotated[
        str | None,
        typer.Option(
            metavar="SECRET",
            envvar="RINGMESH_TURN_SECRET",
            show_envvar=True,
            help="The static-auth-secret of the relay at --turn URL. Others on this machine can "
            "see options: prefer the environment variable.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings in TOML. (default: ringmesh.toml in DIR)"),
    ] = None,
) -> None:
    """Run a server: accounts, signalling and the page, on one port.

    The first start in an empty folder makes a database and an application, and says how to
    connect. Ctrl-C stops the server properly, a second Ctrl-C at once.
    """
    from ringmesh.server.logging import configure_logging
    from ringmesh.server.settings import CONFIG_FILE_NAME, load_settings

    if config is None and (data / CONFIG_FILE_NAME).is_file():
        config = data / CONFIG_FILE_NAME
    managed = turn == [AUTO]
    settings = load_settings(
        config,
        host=host,
        port=port,
        turn_managed=managed or None,
        turn_urls=None if managed or not turn else tuple(turn),
        turn_secret=turn_secret,
    )
    configure_logging(settings.log_format, settings.log_level)
    _allow_many_connections()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(data, settings))


async def _serve(data: Path, settings: Settings) -> None:
    from ringmesh.server.app import Server

    async with Server(data, settings) as server:
        stop = asyncio.Event()
        _stop_on_signals(stop)
        _refresh_on_signal(server)
        print(_welcome(server), flush=True)
        _collect_garbage_rarely()
        collapse_memory()
        await stop.wait()
        print("Stopping…", flush=True)


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    asked = False

    def handle(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(ExitCode.INTERRUPTED)
        asked = True
        loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def _refresh_on_signal(server: Server) -> None:
    """SIGHUP makes the server read its certificates again."""
    if sys.platform != "win32":
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, server.refresh_certificates)


def _welcome(server: Server) -> str:
    data = data_argument(server.data_dir)
    application = server.application
    lines = [
        f"Ringmesh is running at {server.url}",
        f"  application  {application.id}, auth key {application.auth_key}",
        f"  chat         {server.settings.chat_domain}{_native_ports(server)}",
        f"  data         {server.data_dir}",
        f"  relay        {_relay(server)}",
        "",
    ]
    if server.created:
        lines += [
            "The folder was empty: a first application was made. Next:",
            f"  ringmesh user add alice --password …{data}",
            f"  ringmesh answer --server {server.url} --login alice",
            "",
        ]
    if server.settings.host in ("127.0.0.1", "::1", "localhost"):
        lines.append("Only this machine can connect; for others add --host 0.0.0.0")
    return "\n".join([*lines, "Press Ctrl-C to stop."])


def _native_ports(server: Server) -> str:
    names = {"xmpp_port": "XMPP", "xmpps_port": "XMPP over TLS", "wss_port": "WSS"}
    ports = [f"{names[name]} on port {port}" for name, port in server.ports.items()]
    return f" ({', '.join(ports)})" if ports else ""


def _relay(server: Server) -> str:
    """What calls can use that find no direct way."""
    if server.relay is not None:
        return ", ".join(
            f"{result.url} {'works' if result.works else 'does NOT work: ' + result.detail}"
            for result in server.relay.results
        )
    urls = [url for entry in server.settings.ice_servers for url in entry.urls]
    relays = [url for url in (*urls, *server.settings.turn_urls) if url.startswith("turn")]
    return ", ".join(relays) or "none: calls between some networks will fail (--turn auto)"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def _collect_garbage_rarely() -> None:
    """What start-up made stays for good, and connections make few cycles: looking at thousands of
    them after every few hundred stanzas only costs time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _allow_many_connections() -> None:
    """Every client is a file descriptor; systems allow few unless asked."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
