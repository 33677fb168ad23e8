"""Whether the laboratory tells the truth: measures its networks from inside."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

from tests.netlab.lab import SERVER_IPS, Lab


def check(lab: Lab) -> list[tuple[bool, str]]:
    """Measure the lab from inside and compare it with what the scenario promises.
    Returns a list of (ok, text)."""
    out = []

    def say(ok, text):
        out.append((bool(ok), text))

    probes = [(SERVER_IPS[0], 30001), (SERVER_IPS[0], 30002), (SERVER_IPS[1], 30001)]
    stop = threading.Event()
    socks, tcps = [], []
    with lab.inside("server"):
        for a in probes:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(a)
            socks.append(s)
        for port in (443, 30003):
            t = socket.socket()
            t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                t.bind((SERVER_IPS[0], port))
                t.listen()
                tcps.append(t)
            except OSError:
                t.close()  # somebody serves there already: as good

    def echo():
        while not stop.is_set():
            for s in select.select(socks, [], [], 0.1)[0]:
                _data, who = s.recvfrom(2048)
                s.sendto("{}:{}".format(*who).encode(), who)

    threading.Thread(target=echo, daemon=True).start()

    def udp(host):
        with lab.inside(host):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((lab.addr(host), 0))
        return s

    def ask(s, dst, tries=3):
        for _ in range(tries):
            with contextlib.suppress(OSError):
                s.sendto(b"?", dst)
            if select.select([s], [], [], 0.4)[0]:
                with contextlib.suppress(OSError):
                    ip, port = s.recvfrom(2048)[0].decode().rsplit(":", 1)
                    return ip, int(port)
        return None

    def tcp(host, port):
        with lab.inside(host), socket.socket() as t:
            t.settimeout(1.0)
            try:
                t.connect((SERVER_IPS[0], port))
                return True
            except OSError:
                return False

    kinds, mapped, open_socks = {}, {}, {}
    try:
        for h in lab.hosts:
            st = lab.state["hosts"][h]
            net, ports = st[st["at"]], st["blocked"].get(st["at"])
            s = open_socks[h] = udp(h)
            seen = [ask(s, p) for p in probes]
            if ports:
                say(not any(seen), f"{h}: UDP to the server is blocked")
                say(
                    tcp(h, 443) == (443 in ports),
                    "{}: TCP 443 {}".format(h, "passes" if 443 in ports else "blocked"),
                )
                say(not tcp(h, 30003), f"{h}: TCP 30003 is blocked")
                kinds[h] = "blocked"
                continue
            local = s.getsockname()
            say(all(seen), f"{h}: UDP to the server works")
            say(tcp(h, 30003), f"{h}: TCP to the server works")
            if not all(seen):
                continue
            say(
                all(x[0] == net["wan"] for x in seen),
                "{}: seen as {} (own address {})".format(h, net["wan"], local[0]),
            )
            kind = (
                "public"
                if seen[0] == local
                else "symmetric"
                if len(set(seen)) == 3
                else "cone"
                if len(set(seen)) == 1 and seen[0][1] == local[1]
                else "odd"
            )
            kinds[h], mapped[h] = kind, seen[0]
            say(
                kind == net["kind"],
                f"{h}: mapping is {kind}; ports {local[1]} -> {[x[1] for x in seen]}",
            )
        # a private address must not answer from elsewhere
        for h in lab.hosts:
            for o in lab.hosts:
                if h != o and kinds.get(o) in ("cone", "symmetric"):
                    at = {lab.state["hosts"][x]["at"] for x in (h, o)}
                    same = lab.scenario == "lan" and at == {"home"} and kinds.get(h) != "blocked"
                    s, d = udp(h), udp(o)
                    s.sendto(b"x", d.getsockname())
                    got = bool(select.select([d], [], [], 0.3)[0])
                    say(
                        got == same,
                        "{} -> {}'s private address {}: {}".format(
                            h, o, lab.addr(o), "reached" if got else "not reached"
                        ),
                    )
        # filtering and hole punching, each pair
        live = [h for h in lab.hosts if h in mapped]
        for i, h in enumerate(live):
            for o in live[i + 1 :]:
                s, d = udp(h), udp(o)
                ms, md = ask(s, probes[0]), ask(d, probes[0])
                if not ms or not md:
                    continue
                # unsolicited first: must be filtered, and must not disturb the mapping
                d.sendto(b"early", ms)
                early = bool(select.select([s], [], [], 0.2)[0])
                if early:
                    s.recvfrom(2048)
                ok = {s: False, d: False}
                for _ in range(5):
                    s.sendto(b"punch", md)
                    d.sendto(b"punch", ms)
                    for r in select.select([s, d], [], [], 0.1)[0]:
                        r.recvfrom(2048)
                        ok[r] = True
                    if all(ok.values()):
                        break
                same = len({lab.public_addr(x) for x in (h, o)}) == 1  # hairpin: not promised
                if kinds[h] != "public" and not same:
                    say(not early, f"{h} filters unsolicited packets from {o}")
                pair = {kinds[h], kinds[o]}
                want = "symmetric" not in pair or "public" in pair
                if not same:
                    say(
                        all(ok.values()) == want,
                        "{} <-> {} hole punching {}".format(
                            h, o, "works" if all(ok.values()) else "impossible"
                        ),
                    )
    finally:
        stop.set()
        for t in tcps:
            t.close()
    return out
