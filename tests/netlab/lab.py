"""A throw-away Internet on one Linux machine: hosts, NAT routers, a mobile network, a server.

Hosts, routers and the server are network namespaces joined by veth pairs. Nothing is connected to
the machine's own network: no packet can leave, and no interface, route, rule or sysctl outside the
laboratory is touched. Needs root, iproute2 and nftables.

::

    with Lab("symmetric") as lab:
        lab.popen("server", ["turnserver", ...])
        lab.run("a", ["python3", "client.py"], timeout=30)
        lab.cut("a"); lab.heal("a")

    server 203.0.113.10 and 203.0.113.11: two, so that HTTPS and TURN over TCP both own port 443
    a, b.. home: 192.168.1.2, 192.168.2.2 .. behind routers 198.51.100.11, .12 ..
           mobile: 100.64.1.2, 100.64.2.2 .. behind carrier NATs 192.0.2.11, .12 ..
           `lan`: all in 192.168.1.0/24;  `public`: the host itself has 198.51.100.11 ..
    core   the Internet: drops private addresses, as providers do
    wire   every host's cable runs through here

IPv4 only. No hairpinning. A cone router filters by address and port, as home routers do: the first
packet of the slower side is dropped. A lab of a killed test is left in `/run/netlab`;
`Lab(name=...).down()` takes it down.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.netlab.plumbing import (
    NETNS,
    RUN,
    LabError,
    in_namespace,
    ip_batch,
    machine_lock,
    nft,
    offload_off,
    read_json,
    require,
    shell,
    started_at,
    sysctl,
    write_json,
)
from tests.netlab.troubles import Troubles
from tests.netlab.wire import wire_rules

ETC_NETNS = Path("/etc/netns")
LETTERS = "abcdefgh"
SERVER_IPS = ["203.0.113.10", "203.0.113.11"]  # two, so TURN and HTTPS can both own 443
SERVER_GW = "203.0.113.1"
PRIVATE = "{ 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16 }"

SCENARIOS = {
    "lan": "all hosts on one switch, one ordinary home router in front of them",
    "public": "every host has a public address, no NAT",
    "cone": "each host behind its own router: port-preserving, endpoint-independent "
    "mapping, address+port-dependent filtering (a normal home router)",
    "symmetric": "each host behind its own router with endpoint-dependent mapping: a new "
    "random port per destination, so hole punching cannot work",
    "mixed": "host a behind a cone router, all others behind symmetric ones",
    "udp-blocked": "cone, but host a's network lets out only TCP 80 and 443 (and ping)",
}


_ROUTER_NFT = """
table ip nl {
  chain from_lan {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "lan0" accept
  }
  chain to_router {
    type filter hook input priority 0; policy drop;
    iifname { "lo", "lan0" } accept
    ct state established,related accept
    # policy must not be accept: an unsolicited packet that the router itself accepts
    # leaves a conntrack entry, the host's next packet to that peer then gets another
    # port, and hole punching fails at random on a router that should allow it.
  }
  chain nat_out {
    type nat hook postrouting priority 100;
    oifname "wan0" masquerade %s
  }
}
"""

_CORE_NFT = f"""
table ip nl {{
  chain no_private {{
    type filter hook prerouting priority -300; policy accept;
    ip saddr {PRIVATE} counter drop
    ip daddr {PRIVATE} counter drop
  }}
}}
"""


_serial = itertools.count()


class Lab(Troubles):
    """A running lab.  `with Lab("cone") as lab:` brings it up and takes it down again.

    Host names: "server", then "a", "b", ...  Routers and the Internet are namespaces too
    and can be used with run()/popen() for packet captures: "core", "wire", "nat-a", "mob-a".
    """

    def __init__(self, scenario="cone", hosts=2, name=None):
        if scenario not in SCENARIOS:
            raise LabError("no scenario {!r}; there are: {}".format(scenario, ", ".join(SCENARIOS)))
        if not 1 <= hosts <= len(LETTERS):
            raise LabError(f"hosts must be 1..{len(LETTERS)}")
        self.scenario, self.n = scenario, hosts
        self.name = name or f"t{os.getpid()}_{next(_serial)}"
        if not re.fullmatch(r"[a-z0-9][a-z0-9_]{0,15}", self.name):
            raise LabError("lab name must match [a-z0-9_]{1,16}")
        self.dir = RUN / self.name
        self.state = None
        self._procs = []

    @staticmethod
    def running():
        """Names of the laboratories on this machine."""
        return sorted(path.parent.name for path in RUN.glob("*/state.json"))

    def __enter__(self):
        return self.up()

    def __exit__(self, *exc):
        self.down()

    def ns(self, host):
        """Full name of a namespace, for `ip netns exec`."""
        full = f"nl-{self.name}-{host}"
        if self.state and full not in self.state["namespaces"]:
            raise LabError(
                "no host {!r} in this lab; there are: {}".format(
                    host, " ".join(n.split("-", 2)[2] for n in self.state["namespaces"])
                )
            )
        return full

    def _save(self):
        write_json(self.dir / "state.json", self.state)

    @contextlib.contextmanager
    def _locked(self):
        with (self.dir / "lock").open("w") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            fresh = read_json(self.dir / "state.json")
            if fresh is None:
                raise LabError(f"lab {self.name!r} is no longer up")
            self.state = fresh
            yield
            self._save()

    def up(self):
        require()
        with machine_lock():
            if read_json(self.dir / "state.json"):
                raise LabError(f"lab {self.name!r} is already up (netlab --lab {self.name} down)")
            self.dir.mkdir(parents=True, exist_ok=True)
            self.state = {
                "name": self.name,
                "scenario": self.scenario,
                "n": self.n,
                "pid": os.getpid(),
                "namespaces": [],
                "etc": [],
                "hosts": {},
            }
            self._save()
        try:
            self._build()
        except BaseException:
            self.down()
            raise
        return self

    def _netns(self, short):
        full = f"nl-{self.name}-{short}"
        if (NETNS / full).exists():
            raise LabError(
                f"namespace {full} already exists and is not recorded as ours; "
                f"look at it, then: ip netns del {full}"
            )
        self.state["namespaces"].append(full)  # recorded first, so a crash cannot leak it
        self._save()
        shell(["ip", "netns", "add", full])
        with in_namespace(full):
            for k in ("all", "default"):
                sysctl(f"ipv6/conf/{k}/disable_ipv6", "1")
                sysctl(f"ipv4/conf/{k}/rp_filter", "0")
        ip_batch(full, "link set lo up")
        return full

    def _build(self):
        core, _wire = self._netns("core"), self._netns("wire")
        with in_namespace(core):
            sysctl("ipv4/ip_forward", "1")
        bridges = {"dc": SERVER_GW, "isp": "198.51.100.1", "mob": "192.0.2.1"}
        lines = []
        for br, addr in bridges.items():
            lines += [
                f"link add {br} type bridge forward_delay 0 mcast_snooping 0",
                f"addr add {addr}/24 dev {br}",
                f"link set {br} up",
            ]
        ip_batch(core, *lines)
        nft(core, _CORE_NFT)

        names = list(LETTERS[: self.n])
        self._host(
            "server",
            {
                "ns": "core",
                "bridge": "dc",
                "ips": SERVER_IPS,
                "gw": SERVER_GW,
                "wan": SERVER_IPS[0],
                "kind": "public",
            },
            None,
        )
        for i, h in enumerate(names, 1):
            kind = {
                "lan": "cone",
                "mixed": "cone" if i == 1 else "symmetric",
                "udp-blocked": "cone",
            }.get(self.scenario, self.scenario)
            if kind == "public":
                home = {
                    "ns": "core",
                    "bridge": "isp",
                    "ips": [f"198.51.100.{10 + i}"],
                    "gw": "198.51.100.1",
                    "wan": f"198.51.100.{10 + i}",
                }
            else:
                net, host = (1, 1 + i) if self.scenario == "lan" else (i, 2)
                router = "nat-lan" if self.scenario == "lan" else "nat-" + h
                wan = f"198.51.100.{11 if self.scenario == 'lan' else 10 + i}"
                home = {
                    "ns": router,
                    "bridge": "lan0",
                    "ips": [f"192.168.{net}.{host}"],
                    "gw": f"192.168.{net}.1",
                    "wan": wan,
                }
                if not (self.scenario == "lan" and i > 1):
                    self._router(router, kind, home["gw"], wan, "isp", "198.51.100.1")
            home["kind"] = kind
            mob_kind = "symmetric" if kind == "symmetric" else "cone"
            mob = {
                "ns": "mob-" + h,
                "bridge": "lan0",
                "ips": [f"100.64.{i}.2"],
                "gw": f"100.64.{i}.1",
                "wan": f"192.0.2.{10 + i}",
                "kind": mob_kind,
            }
            self._router(mob["ns"], mob_kind, mob["gw"], mob["wan"], "mob", "192.0.2.1")
            self._host(h, home, mob)
        with machine_lock():
            self._names()
        self._save()
        if self.scenario == "udp-blocked":
            self.block_udp("a")

    def _router(self, short, kind, gw, wan, uplink, wan_gw):
        ns = self._netns(short)
        with in_namespace(ns):
            sysctl("ipv4/ip_forward", "1")
        ip_batch(
            None,
            "link add wan0 netns {} type veth peer name {} netns {}".format(
                ns, short, self.ns("core")
            ),
        )
        ip_batch(self.ns("core"), f"link set {short} master {uplink} up")
        ip_batch(
            ns,
            "link add lan0 type bridge forward_delay 0 mcast_snooping 0",
            f"addr add {gw}/24 dev lan0",
            "link set lan0 up",
            f"addr add {wan}/24 dev wan0",
            "link set wan0 up",
            f"route add default via {wan_gw}",
        )
        with in_namespace(ns):
            offload_off("wan0")
        nft(ns, _ROUTER_NFT % ("fully-random" if kind == "symmetric" else ""))

    def _host(self, h, home, mob):
        ns, wire = self._netns(h), self.ns("wire")
        ip_batch(None, f"link add {h}.host netns {wire} type veth peer name eth0 netns {ns}")
        devs = [f"{h}.host"]
        for where, net in (("home", home), ("mobile", mob)):
            if net:
                dev, router = f"{h}.{where}", self.ns(net["ns"])
                ip_batch(
                    None, f"link add {dev} netns {wire} type veth peer name p-{h} netns {router}"
                )
                ip_batch(router, "link set p-{} master {} up".format(h, net["bridge"]))
                with in_namespace(router):
                    offload_off("p-" + h)
                devs.append(dev)
        ip_batch(wire, *[f"link set {d} up" for d in devs])
        shell(
            ["tc", "-n", wire, "-batch", "-"],
            "\n".join(
                [f"qdisc add dev {d} clsact" for d in devs] + wire_rules(devs[0], devs[1], True)
            )
            + "\n",
        )
        with in_namespace(ns):
            offload_off("eth0")
        self.state["hosts"][h] = {
            "home": home,
            "mobile": mob,
            "at": "home",
            "cut": None,
            "impair": None,
            "wire": None,
            "blocked": {},
        }
        self._address(h)

    def _address(self, h):
        st = self.state["hosts"][h]
        net = st[st["at"]]
        ns = self.ns(h)
        ip_batch(
            ns,
            "addr flush dev eth0",
            "link set eth0 up",
            *[f"addr add {ip}/24 dev eth0" for ip in net["ips"]],
            "route replace default via {} dev eth0".format(net["gw"]),
        )
        ip_batch(ns, "neigh flush dev eth0")

    def _names(self):
        """<host>.lab resolves inside every host; any other name fails at once."""
        if not ETC_NETNS.is_dir():
            (RUN / "made-etc-netns").touch()
        table = f"127.0.0.1 localhost\n{SERVER_IPS[1]} turn.lab\n" + "".join(
            "{} {}.lab\n".format(st[st["at"]]["ips"][0], h)
            for h, st in self.state["hosts"].items()
            if st[st["at"]]["kind"] == "public" or self.scenario == "lan"
        )
        self.state["etc"] = ["/etc/netns/" + self.ns(h) for h in self.state["hosts"]]
        self._save()
        for d in self.state["etc"]:
            Path(d).mkdir(parents=True, exist_ok=True)
            (Path(d) / "hosts").write_text(table)
            (Path(d) / "resolv.conf").write_text(
                "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
            )

    def down(self):
        """Remove everything this lab created, and nothing else."""
        for p in self._procs:
            self.stop(p)
        self._procs = []
        state = read_json(self.dir / "state.json") or self.state
        if not state:
            return
        for st in state["hosts"].values():
            self._kill(
                [w["pid"] for w in [st.get("wire")] if w and started_at(w["pid"]) == w["start"]]
            )
        for ns in state["namespaces"]:
            if (NETNS / ns).exists():
                r = shell(["ip", "netns", "pids", ns], check=False)
                self._kill([int(p) for p in r.stdout.split() if int(p) != os.getpid()])
        for ns in reversed(state["namespaces"]):
            if (NETNS / ns).exists():
                shell(["ip", "netns", "del", ns], check=False)
        with machine_lock():
            for d in state["etc"]:
                shutil.rmtree(d, ignore_errors=True)
            shutil.rmtree(self.dir, ignore_errors=True)
            mark = RUN / "made-etc-netns"
            if not self.running() and mark.exists():
                with contextlib.suppress(OSError):  # somebody else's folder is in there now
                    ETC_NETNS.rmdir()
                mark.unlink()
            with contextlib.suppress(OSError):
                RUN.rmdir()
        self.state = None

    @staticmethod
    def _kill(pids, grace=2.0):
        """End processes that live inside our namespaces: TERM, then KILL."""
        alive = {p: started_at(p) for p in pids}
        for sig, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 2.0)):
            for p, started in alive.items():
                if started is not None and started_at(p) == started:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(p, sig)
            end = time.monotonic() + wait
            while time.monotonic() < end:
                alive = {p: s for p, s in alive.items() if s is not None and started_at(p) == s}
                if not alive:
                    return
                time.sleep(0.02)

    @property
    def hosts(self):
        return [h for h in self.state["hosts"] if h != "server"]

    def addr(self, host, index=0):
        """The host's own present address; addr("server", 1) is the server's second one."""
        st = self.state["hosts"][host]
        return st[st["at"]]["ips"][index]

    def public_addr(self, host):
        """The address the rest of the world sees for this host."""
        st = self.state["hosts"][host]
        return st[st["at"]]["wan"]

    def command(self, host, cmd):
        return ["ip", "netns", "exec", self.ns(host)] + [str(c) for c in cmd]

    def run(self, host, cmd, **kw):
        """subprocess.run() inside a host; text output is captured unless told otherwise."""
        kw.setdefault("text", True)
        if not {"stdout", "stderr", "capture_output"} & set(kw):
            kw["capture_output"] = True
        return subprocess.run(self.command(host, cmd), **kw)

    def popen(self, host, cmd, log=None, **kw):
        """subprocess.Popen() inside a host; ended by stop() or when the lab goes down."""
        if log:
            f = Path(log).open("ab")  # noqa: SIM115 -- closed below
            kw.setdefault("stdout", f)
            kw.setdefault("stderr", subprocess.STDOUT)
        p = subprocess.Popen(self.command(host, cmd), start_new_session=True, **kw)
        if log:
            f.close()
        self._procs.append(p)
        return p

    def stop(self, p, grace=3.0):
        for sig, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 3.0)):
            if p.poll() is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(p.pid, sig)
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(wait)
        if p in self._procs:
            self._procs.remove(p)
        return p.returncode

    def inside(self, host):
        """`with lab.inside("a"): s = socket.socket(...)` - the calling THREAD is in the host's
        network; a socket made there stays there.  Do not `await` inside the block; give an
        event loop its own thread.  Files (/etc/hosts) are not switched."""
        return in_namespace(self.ns(host))

    def wait_port(self, host, ip, port, timeout=10.0):
        """Wait until a TCP connection from `host` to ip:port succeeds."""
        end = time.monotonic() + timeout
        while True:
            with self.inside(host), socket.socket() as s:
                s.settimeout(0.5)
                try:
                    return s.connect((ip, port))
                except OSError:
                    if time.monotonic() > end:
                        raise LabError(f"{host} cannot reach {ip}:{port}") from None
            time.sleep(0.05)
