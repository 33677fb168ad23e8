"""Clients over TCP and TLS: this server beside ejabberd. README.md says what is measured."""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import ssl
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.signalling.servers import (
    DOMAIN,
    EJABBERD_CONFIGURATION,
    ejabberd,
    ejabberd_is_installed,
    ringmesh,
)
from ringmesh.server.certificates import self_signed

RINGMESH_PORT = 18093
EJABBERD_PORT = 15223
DELAY = 0.05
"""Seconds that bytes travel in each direction while logins are timed."""
AT_ONCE = 20
BEST_ROUND_TRIPS = 5
"""TLS 1.3, stream, login, stream again, bind: what the protocols ask for after TCP's own."""

_HEADER = (
    f"<stream:stream xmlns='jabber:client' version='1.0' to='{DOMAIN}'"
    " xmlns:stream='http://etherx.jabber.org/streams'>"
)
_BIND = '<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>'


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its process, its port for TLS, and what its users log in with."""

    name: str
    pid: int
    port: int
    first: int
    passwords: list[str]


@dataclass(frozen=True, slots=True)
class Figures:
    """Kilobytes per idle client, of all and of the second half, and round trips per login."""

    memory: float
    memory_later: float
    round_trips: float


async def measure(server: Server, clients: int) -> Figures:
    """Time some logins over a slow line, then hold many clients."""
    async with _slow_line(server.port) as port:
        times = []
        for index in range(5):
            writer, seconds = await _log_in(server, index, port)
            times.append(seconds)
            writer.close()
    await asyncio.sleep(1)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(index: int) -> asyncio.StreamWriter:
        async with gate:
            return (await _log_in(server, index, server.port))[0]

    resident = [_resident_kb(server.pid)]
    writers: list[asyncio.StreamWriter] = []
    half = clients // 2
    for some in (range(half), range(half, 2 * half)):
        writers += await asyncio.gather(*map(one, some))
        await asyncio.sleep(2)
        resident.append(_resident_kb(server.pid))
    none, first, both = resident
    for writer in writers:
        writer.transport.abort()
    return Figures(
        memory=(both - none) / (2 * half),
        memory_later=(both - first) / half,
        round_trips=statistics.median(times) / (2 * DELAY),
    )


async def _log_in(server: Server, index: int, port: int) -> tuple[asyncio.StreamWriter, float]:
    """A client that is online, and how long that took after TCP was connected."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begun = time.monotonic()
    await writer.start_tls(_TRUSTING)
    plain = f"\0{server.first + index}-1\0{server.passwords[index]}".encode()
    steps = (
        (_HEADER, b"</stream:features>"),
        ('<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">'
         f"{base64.b64encode(plain).decode()}</auth>", b"<success"),
        (_HEADER, b"</stream:features>"),
        (_BIND, b"</iq>"),
    )  # fmt: skip
    async with asyncio.timeout(60):
        for said, awaited in steps:
            writer.write(said.encode())
            heard = b""
            while awaited not in heard:
                data = await reader.read(65_536)
                if not data:
                    raise ConnectionError(f"{server.name} closed after {heard!r}")
                heard += data
    return writer, time.monotonic() - begun


@asynccontextmanager
async def _slow_line(target: int) -> AsyncIterator[int]:
    """A proxy that delivers everything later; yields its port."""
    tasks: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                loop.call_later(DELAY, writer.write, data)
        loop.call_later(DELAY, writer.close)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", target)
        for ends in ((reader, there_writer), (there_reader, writer)):
            tasks.add(loop.create_task(carry(*ends)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _resident_kb(pid: int) -> int:
    """Resident memory of a process and its descendants."""
    status = Path(f"/proc/{pid}/status").read_text()
    own = int(status.partition("VmRSS:")[2].split()[0]) if "VmRSS:" in status else 0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(_resident_kb(int(child)) for child in children)


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_TRUSTING = _trusting()


def _servers(folder: Path, users: int, stack: ExitStack) -> Iterator[Server]:
    settings = {
        "RINGMESH_XMPPS_PORT": str(RINGMESH_PORT),
        "RINGMESH_CHAT_SELF_SIGNED": "true",
        "RINGMESH_LOG_LEVEL": "warning",
    }
    target = stack.enter_context(ringmesh(folder / "ringmesh", users, settings))
    first = int(target.options[target.options.index("--first") + 1])
    tokens = (folder / "ringmesh" / "tokens").read_text().split()
    yield Server("ringmesh", target.pid, RINGMESH_PORT, first, tokens)
    if ejabberd_is_installed():
        configuration = _ejabberd_configuration(folder)
        target = stack.enter_context(ejabberd(folder / "ejabberd", users, configuration))
        yield Server("ejabberd", target.pid, EJABBERD_PORT, 1, ["pw"] * users)


def _ejabberd_configuration(folder: Path) -> Path:
    """The configuration of the other benchmark, and a port for TLS."""
    self_signed(folder, (DOMAIN,))
    pem = folder / "ejabberd.pem"
    pem.write_bytes(
        (folder / "self-signed.pem").read_bytes() + (folder / "self-signed.key").read_bytes()
    )
    listener = (
        f'listen:\n  - port: {EJABBERD_PORT}\n    ip: "127.0.0.1"\n    backlog: 4096\n'
        "    module: ejabberd_c2s\n    tls: true\n    access: c2s\n"
    )
    text = EJABBERD_CONFIGURATION.read_text().replace("listen:\n", listener, 1)
    configuration = folder / "ejabberd.yml"
    configuration.write_text(f'{text}certfiles: ["{pem}"]\n')
    return configuration


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    clients = parser.parse_args().clients
    table = Table("server", "KB per idle client", "of the second half", "round trips per login")
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for server in _servers(Path(folder), clients, stack):
            figures = found[server.name] = asyncio.run(measure(server, clients))
            table.add_row(
                server.name,
                f"{figures.memory:.1f}",
                f"{figures.memory_later:.1f}",
                f"{figures.round_trips:.1f}",
            )
    console = Console()
    console.print(table)
    ours = found["ringmesh"]
    console.print(f"round trips: {ours.round_trips / BEST_ROUND_TRIPS:.2f} of the least (aim 1.5)")
    if "ejabberd" in found:
        theirs = found["ejabberd"]
        console.print(
            f"memory: {ours.memory_later / theirs.memory_later:.2f} of ejabberd's for clients of "
            f"the second half (aim 0.5), {ours.memory / theirs.memory:.2f} for all"
        )


if __name__ == "__main__":
    main()
