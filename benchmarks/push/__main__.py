"""Pushes: from an event to the provider's socket, and what they cost those who talk meanwhile.

README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from benchmarks.push.poster import Poster, server_seconds
from benchmarks.server import serving
from benchmarks.signalling.__main__ import build as build_xload
from benchmarks.signalling.servers import DOMAIN, populate
from ringmesh.server.data_folder import open_push
from ringmesh.server.push.keys import save_table
from ringmesh.server.store.schema import subscriptions, users

PORT = 18097
PAIRS = 50
SIGNAL_RATE = 500
CROWD = 10_000
AIM_MS = 50.0
LIMIT = 120.0  # seconds


class SinkProcess:
    """The provider."""

    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, Any]) -> None:
        self._process = process
        self.url: str = ready["url"]
        self.account: dict[str, Any] = ready["account"]
        self.ca: str = ready["ca"]

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator[SinkProcess]:
        """Run it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.push.sink",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24,
        )  # fmt: skip
        assert process.stdout
        assert process.stdin
        try:
            yield cls(process, json.loads(await process.stdout.readline()))
        finally:
            process.stdin.close()
            await process.wait()

    async def arrivals(self) -> dict[str, float]:
        """What came since the last time: number -> when."""
        assert self._process.stdout
        assert self._process.stdin
        self._process.stdin.write(b"\n")
        got: dict[str, float] = json.loads(await self._process.stdout.readline())
        return got


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data folder with people who talk and people with phones."""

    folder: Path
    first: int
    crowd: list[int]
    token: str


async def prepare(folder: Path, sink: SinkProcess) -> Prepared:
    """Users with sessions, as many again with phones, and the provider's keys."""
    first = await populate(folder, 2 * PAIRS)
    start = first + 2 * PAIRS
    crowd = list(range(start, start + CROWD))
    store = open_push(folder)
    people = [
        {"id": n, "application_id": 1, "login": f"crowd{n}", "is_guest": False, "created_at": 0,
         "updated_at": 0}
        for n in crowd
    ]  # fmt: skip
    phones = [
        {"application_id": 1, "user_id": n, "channel": "gcm", "platform": "android",
         "udid": f"phone{n}", "environment": "production", "token": f"token{n}", "created_at": 0}
        for n in crowd
    ]  # fmt: skip

    def fill(connection: Any) -> None:
        connection.execute(insert(users), people)
        connection.execute(insert(subscriptions), phones)

    await store._writer.write(fill)
    await store.close()
    (folder / "account.json").write_text(json.dumps(sink.account))
    table = {"service_account_file": "account.json", "url": sink.url, "ca_file": sink.ca}
    save_table(folder, 1, "fcm", table)
    token = (folder / "tokens").read_text().splitlines()[0]
    return Prepared(folder, first, crowd, token)


async def at_rate(
    rate: float, seconds: float, one: Callable[[int], Awaitable[None]], seed: int
) -> None:
    """Start so many a second, at random, whether the ones before have ended or not."""
    chance = random.Random(seed)
    began, due, number = time.monotonic(), 0.0, 0
    tasks: list[asyncio.Task[None]] = []
    while due < seconds:
        await asyncio.sleep(max(0.0, began + due - time.monotonic()))
        tasks.append(asyncio.ensure_future(one(number)))
        number += 1
        due += chance.expovariate(rate)
    await asyncio.gather(*tasks)


def message(number: str) -> dict[str, Any]:
    """The start of a call, as it is posted."""
    return {
        "message": "Incoming Video call", "signal_type": "startCall",
        "session_id": f"call-{number}", "call_type": 1, "caller_id": 1,
        "caller_name": "Ada Lovelace", "call_opponents": "2,3",
        "ios_voip": 1, "n": number,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Passage:
    """Pushes on their way.

    Attributes:
        total: milliseconds from each request to the provider's socket.
        after: the same from the request's answer.
        cost: milliseconds of processor time that one took: the server, or the bare client.
    """

    total: list[float]
    after: list[float]
    cost: float


async def through_server(
    url: str, prepared: Prepared, sink: SinkProcess, rate: float, seconds: float
) -> Passage:
    """Post events at a rate, and wait until all are at the provider."""
    sent: dict[str, float] = {}
    answered: dict[str, float] = {}
    async with Poster(url, prepared.token) as poster:

        async def post(number: int) -> None:
            name = f"s{number}"
            text = base64.b64encode(json.dumps(message(name)).encode()).decode()
            callee = prepared.crowd[number % CROWD]
            sent[name] = time.monotonic()
            await poster.post({"message": text, "user": {"ids": [callee]}})
            answered[name] = time.monotonic()

        await post(999_999)
        await _all(sink, set(sent))
        sent.clear()
        before = server_seconds()
        await at_rate(rate, seconds, post, 1)
    arrivals = await _all(sink, set(sent))
    return Passage(
        total=[1000 * (arrivals[name] - moment) for name, moment in sent.items()],
        after=[1000 * (arrivals[name] - answered[name]) for name in sent],
        cost=1000 * (server_seconds() - before) / len(sent),
    )


async def floor(sink: SinkProcess, rate: float, seconds: float) -> Passage:
    """A bare client in place of the server."""
    sent: dict[str, float] = {}
    tls = ssl.create_default_context(cafile=sink.ca)
    async with httpx2.AsyncClient(http2=True, verify=tls, timeout=30) as http:

        async def post(number: int) -> None:
            name = f"f{number}"
            body = {
                "message": {"token": "t", "data": {k: str(v) for k, v in message(name).items()}}
            }
            sent[name] = time.monotonic()
            await http.post(f"{sink.url}/send", json=body)

        await post(999_999)
        await _all(sink, set(sent))
        sent.clear()
        before = time.process_time()
        await at_rate(rate, seconds, post, 2)
        cost = 1000 * (time.process_time() - before) / len(sent)
    arrivals = await _all(sink, set(sent))
    return Passage([1000 * (arrivals[name] - moment) for name, moment in sent.items()], [], cost)


async def _all(sink: SinkProcess, wanted: set[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    async with asyncio.timeout(LIMIT):
        while not wanted <= found.keys():
            found |= await sink.arrivals()
            await asyncio.sleep(0.1)
    return found


async def talk(
    xload: Path, prepared: Prepared, seconds: float, meanwhile: Callable[[], Awaitable[None]] | None
) -> dict[str, Any]:
    """What those who talk notice, while something else happens."""
    process = await asyncio.create_subprocess_exec(
        str(xload), "--port", str(PORT), "--path", "/chat", "--first", str(prepared.first),
        "--passwords", str(prepared.folder / "tokens"), "--user", "%d-1", "--domain", DOMAIN,
        "--mode", "pair", "--pairs", str(PAIRS), "--rate", str(SIGNAL_RATE),
        "--duration", str(seconds), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    if meanwhile is not None:
        await asyncio.sleep(1)
        await meanwhile()
    output, _ = await process.communicate()
    figures: dict[str, Any] = json.loads(output)
    return figures


async def crowd_event(url: str, prepared: Prepared) -> float:
    """One event for ten thousand; seconds until it was answered."""
    began = time.monotonic()
    text = base64.b64encode(b'{"message": "hello", "n": "crowd"}').decode()
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
        event = {"message": text, "user": {"ids": prepared.crowd}}
        headers = {"CB-Token": prepared.token}
        answer = await http.post("/events", json={"event": event}, headers=headers)
    assert answer.status_code == 201, answer.text
    return time.monotonic() - began


async def measure(options: argparse.Namespace, console: Console) -> int:
    """Everything, in one run."""
    os.environ["RINGMESH_PUSH_EVENTS_PER_MINUTE"] = "1000000"
    os.environ["RINGMESH_MAX_BODY_BYTES"] = "1000000"
    with tempfile.TemporaryDirectory(prefix="push-") as name:
        xload = build_xload(Path(name))
        async with SinkProcess.start() as sink:
            prepared = await prepare(Path(name), sink)
            async with serving(prepared.folder, PORT) as url:
                passage = await through_server(url, prepared, sink, options.rate, options.seconds)
                bare = await floor(sink, options.rate, options.seconds)
                quiet = await talk(xload, prepared, options.seconds, None)
                took: list[float] = []

                async def disturb() -> None:
                    took.append(await crowd_event(url, prepared))

                busy = await talk(xload, prepared, options.seconds, disturb)
    return report(console, options.rate, passage, bare, quiet, busy, took[0])


def report(
    console: Console,
    rate: float,
    passage: Passage,
    bare: Passage,
    quiet: dict[str, Any],
    busy: dict[str, Any],
    took: float,
) -> int:
    """The table; 1 if the aim was missed."""
    table = Table("", "p50 ms", "p95 ms", "p95 / floor")
    p95 = _p95(passage.after)
    for title, values in (
        ("request sent -> at the provider", passage.total),
        ("event accepted (answered) -> at the provider", passage.after),
        ("floor: bare HTTP/2 client -> at the provider", bare.total),
    ):
        ratio = _p95(values) / _p95(bare.total)
        table.add_row(
            title, f"{statistics.median(values):.1f}", f"{_p95(values):.1f}", f"{ratio:.1f}"
        )
    console.print(f"{rate:g} pushes a second, {len(passage.total)} of them")
    console.print(f"aim: p95 ≤ {AIM_MS:g} ms from the answer on")
    console.print(
        f"processor time for each: {passage.cost:.1f} ms of the server, "
        f"{bare.cost:.1f} ms of the bare client"
    )
    console.print(table)
    talk_table = Table("", "p50 ms", "p99 ms", "p99 / alone")
    for title, figures in (("alone", quiet), (f"with an event for {CROWD:,}", busy)):
        ratio = figures["p99_ms"] / quiet["p99_ms"]
        cells = (f"{figures['p50_ms']:.2f}", f"{figures['p99_ms']:.2f}", f"{ratio:.1f}")
        talk_table.add_row(title, *cells)
    console.print(f"{SIGNAL_RATE} signals a second; the event was answered after {took:.2f} s")
    console.print(talk_table)
    return 0 if p95 <= AIM_MS else 1


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description="Pushes beside a bare HTTP/2 client.")
    parser.add_argument("--rate", type=float, default=200, help="pushes a second")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    return asyncio.run(measure(parser.parse_args(), Console()))


if __name__ == "__main__":
    sys.exit(main())
