"""What can befall a host of a laboratory: a bad wire, a cut, a move, a strict firewall."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.netlab.plumbing import (
    LabError,
    ip_batch,
    nft,
    read_json,
    shell,
    started_at,
    write_json,
)
from tests.netlab.units import bits, fraction, seconds
from tests.netlab.wire import wire_rules

ROOT = Path(__file__).parents[2]
DEFAULT_TCP_PORTS = [80, 443]
ONLY_TCP = """
table netdev %s {
  chain only_tcp {
    type filter hook ingress device "p-%s" priority 0; policy drop;
    ether type arp accept
    ip protocol icmp accept
    tcp dport { %s } accept
  }
}
"""


class Troubles:
    """The part of a `Lab` that makes life hard. Knows the laboratory's state."""

    dir: Path
    state: Any

    def _st(self, host):
        if host not in self.state["hosts"]:
            raise LabError(
                "no host {!r}; there are: {}".format(host, " ".join(self.state["hosts"]))
            )
        return self.state["hosts"][host]

    def _ifs(self, h):
        return f"{h}.host", "{}.{}".format(h, self.state["hosts"][h]["at"])

    def impair(
        self,
        host,
        loss=None,
        delay=None,
        jitter=None,
        rate=None,
        burst=None,
        queue=None,
        reorder=False,
        direction="both",
        seed=1,
    ):
        """Make the host's wire bad; replaces any earlier setting of that direction.

        loss 0.05 or "5%"; delay/jitter 0.1 or "100ms", ONE WAY (both directions: the round
        trip grows by twice the delay); rate 1e6 or "1mbit"; burst: mean number of packets
        lost in a row; queue: how much the rate limiter buffers, default 300 ms; reorder: let
        jitter overtake; direction "up" (leaving the host), "down" or "both"; the same seed
        gives the same losses.
        """
        if direction not in ("up", "down", "both"):
            raise LabError("direction is up, down or both")
        p = {}
        if loss is not None:
            p["loss"] = fraction(loss)
        for k, v in (("delay", delay), ("jitter", jitter), ("queue", queue)):
            if v is not None:
                p[k] = seconds(v)
        if rate is not None:
            p["rate"] = bits(rate)
        if burst is not None:
            p["burst"] = float(burst)
        if reorder:
            p["reorder"] = True
        if not p:
            raise LabError("impair what? give loss, delay, jitter or rate (or clear)")
        with self._locked():
            st = self._st(host)
            now = st["impair"] or {"up": {}, "down": {}, "seed": seed}
            for d in ("up", "down"):
                if direction in (d, "both"):
                    now[d] = p
            now["seed"] = seed
            st["impair"] = now
            self._wire(host)

    def clear(self, host):
        """Undo impair()."""
        with self._locked():
            self._st(host)["impair"] = None
            self._wire(host)

    def stats(self, host):
        """Counters of an impaired wire (None when unimpaired), at most 0.5 s old."""
        self._st(host)
        return read_json(self.dir / ("stat-" + host))

    def _wire(self, h):
        """Make the wire process of a host agree with state["impair"]."""
        st = self.state["hosts"][h]
        cfg_path, stat_path = (self.dir / (k + h) for k in ("wire-", "stat-"))
        running = st["wire"] and started_at(st["wire"]["pid"]) == st["wire"]["start"]
        host_if, net_if = self._ifs(h)
        if not st["impair"]:
            if running:
                self._kill([st["wire"]["pid"]], grace=5)
            if st["wire"]:  # also repairs a wire whose process was killed
                self._tc(wire_rules(host_if, net_if, False) + wire_rules(host_if, net_if, True))
            st["wire"] = None
            for p in (cfg_path, stat_path):
                with contextlib.suppress(FileNotFoundError):
                    p.unlink()
            return
        gen = time.monotonic_ns()
        write_json(
            cfg_path,
            dict(
                st["impair"],
                gen=gen,
                ns=self.ns("wire"),
                host_if=host_if,
                net_if=net_if,
                stat=stat_path,
                log=self.dir / "wire.log",
            ),
        )
        if running:
            os.kill(st["wire"]["pid"], signal.SIGHUP)
        else:
            r = shell([sys.executable, "-m", "tests.netlab.wire", cfg_path], cwd=ROOT)
            pid = int(r.stdout or 0)
            st["wire"] = {"pid": pid, "start": started_at(pid)}
        end = time.monotonic() + 3
        while (read_json(stat_path) or {}).get("gen") != gen:
            if time.monotonic() > end:
                raise LabError(f"the wire process of {h} does not answer; see {self.dir}/wire.log")
            time.sleep(0.005)

    def _tc(self, lines):
        shell(
            ["tc", "-n", self.ns("wire"), "-force", "-batch", "-"],
            "\n".join(lines) + "\n",
            check=False,
        )

    def cut(self, host, silent=False):
        """Pull the plug.  The host sees its link go down; with silent=True it keeps its link
        and packets vanish further on (a dead access point or provider)."""
        with self._locked():
            st = self._st(host)
            host_if, net_if = self._ifs(host)
            ip_batch(self.ns("wire"), f"link set {net_if if silent else host_if} down")
            st["cut"] = "silent" if silent else "link"

    def heal(self, host):
        """Undo cut(); the address is the same as before."""
        with self._locked():
            st = self._st(host)
            ip_batch(self.ns("wire"), *[f"link set {d} up" for d in self._ifs(host)])
            st["cut"] = None

    def readdress(self, host, to=None, gap=0.0):
        """Move the host to its other network (home <-> mobile): link down, old address gone,
        `gap` seconds without network, then a new address, gateway and public address."""
        with self._locked():
            st = self._st(host)
            if not st["mobile"]:
                raise LabError(f"{host} has only one network")
            to = to or ("home" if st["at"] == "mobile" else "mobile")
            if to not in ("home", "mobile"):
                raise LabError(f"a host can move to home or mobile, not {to!r}")
            wire, (host_if, old_if) = self.ns("wire"), self._ifs(host)
            ip_batch(wire, f"link set {host_if} down")
            ip_batch(self.ns(host), "addr flush dev eth0")
            if not st["impair"]:
                self._tc(wire_rules(host_if, old_if, False))
            st["at"] = to
            _, new_if = self._ifs(host)
            if st["impair"]:
                self._wire(host)
            else:
                self._tc(wire_rules(host_if, new_if, True))
            time.sleep(seconds(gap))
            ip_batch(
                wire, f"link set {host_if} up", f"link set {old_if} up", f"link set {new_if} up"
            )
            self._address(host)
            st["cut"] = None
        return self.addr(host)

    def block_udp(self, host, tcp_ports=None, off=False):
        """The network the host is in NOW lets out only TCP to these ports, and ping; all else
        is dropped silently, also towards neighbours on the same switch."""
        with self._locked():
            st = self._st(host)
            ns = self.ns(st[st["at"]]["ns"])
            table = f"nlblk_{host}"
            text = f"table netdev {table}\ndelete table netdev {table}\n"
            ports = None
            if not off:
                ports = [int(p) for p in (tcp_ports or DEFAULT_TCP_PORTS)]
                text += ONLY_TCP % (table, host, ", ".join(map(str, ports)))
            nft(ns, text)
            st["blocked"][st["at"]] = ports
