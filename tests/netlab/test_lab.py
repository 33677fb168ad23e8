"""The laboratory itself: a network that lies would prove nothing about calls."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.netlab.lab import SCENARIOS, Lab
from tests.netlab.plumbing import NETNS
from tests.netlab.truth import check

SERVER = "203.0.113.10"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_lab_tells_the_truth(scenario: str) -> None:
    """NATs map and filter, and networks block, as the scenario promises."""
    with Lab(scenario) as lab:
        assert [text for ok, text in check(lab) if not ok] == []


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Two hosts behind ordinary routers."""
    with Lab("cone") as lab:
        yield lab


@pytest.fixture
def ask(lab: Lab) -> Callable[..., float | None]:
    """Ask a UDP echo on the server from a host: seconds until the answer, or None."""
    with lab.inside("server"):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((SERVER, 7))

    def serve() -> None:
        while True:
            server.sendto(*server.recvfrom(2048))

    threading.Thread(target=serve, daemon=True).start()

    def ask(host: str, timeout: float = 1.0) -> float | None:
        with lab.inside(host), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(timeout)
            begun = time.monotonic()
            try:
                client.sendto(b"?", (SERVER, 7))
                client.recv(99)
            except OSError:
                return None
            return time.monotonic() - begun

    return ask


def test_trouble_comes_and_goes(lab: Lab, ask: Callable[..., float | None]) -> None:
    """Delay, loss, cuts and a block on UDP begin and end when told, for one host alone."""
    assert ask("a") is not None
    lab.impair("a", delay="80ms")
    delayed = ask("a")
    assert delayed is not None
    assert delayed > 0.16  # both directions
    lab.impair("a", loss="100%", direction="down")
    assert ask("a", 0.4) is None
    assert ask("b") is not None
    lab.clear("a")
    for silent in (False, True):
        lab.cut("a", silent=silent)
        assert ask("a", 0.4) is None
        lab.heal("a")
        assert any(ask("a") for _ in range(5))
    lab.block_udp("a")
    assert ask("a", 0.4) is None
    lab.block_udp("a", off=True)
    assert ask("a") is not None


def test_moving_to_another_network(lab: Lab, ask: Callable[..., float | None]) -> None:
    """A host that moves has other addresses, inside and outside, and gets back to the first."""
    before = lab.addr("a"), lab.public_addr("a")
    lab.readdress("a", gap=0.2)
    assert lab.addr("a") != before[0]
    assert lab.public_addr("a") != before[1]
    assert any(ask("a") for _ in range(5))
    lab.readdress("a")
    assert (lab.addr("a"), lab.public_addr("a")) == before
    assert any(ask("a") for _ in range(5))


def test_nothing_is_left_behind() -> None:
    """The end of a laboratory ends its processes and removes its namespaces."""
    with Lab("cone") as lab:
        process = lab.popen("a", ["sleep", "60"])
        names = list(lab.state["namespaces"])
    assert process.poll() is not None
    assert not [name for name in names if (NETNS / name).exists()]
