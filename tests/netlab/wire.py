"""The impaired wire: loss, delay, jitter and rate for the cable of one host, in user space.

Not `tc netem`: many kernels of virtual machines are built without it. A wire runs as a process of
its own, ``python -m tests.netlab.wire CONFIG``, in the laboratory's namespace ``wire``, and only
while its host is impaired; otherwise the kernel forwards by itself.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time

from tests.netlab.plumbing import read_json, set_namespace, write_json


class Direction:
    """Loss, then a rate-limited tail-drop queue, then delay and jitter."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.heap, self.seq = [], 0
        self.free_at = self.last_due = self.wobble = self.wobble_at = 0.0
        self.bad = False
        self.stat = {
            "packets": 0,
            "bytes": 0,
            "lost": 0,
            "queue_dropped": 0,
            "sent": 0,
            "send_failed": 0,
        }
        self.set({})

    def set(self, p):
        self.loss, self.burst = p.get("loss", 0), max(1.0, p.get("burst", 1))
        self.delay, self.jitter = p.get("delay", 0), p.get("jitter", 0)
        self.rate, self.queue = p.get("rate"), p.get("queue", 0.3)
        self.reorder = p.get("reorder", False)

    def lose(self):
        if not self.loss:
            return False
        if self.burst <= 1 or self.loss >= 1:
            return self.rng.random() < self.loss
        # Gilbert model: mean burst length = burst, long-run loss = loss
        leave = 1 / self.burst
        enter = min(1.0, leave * self.loss / (1 - self.loss))
        self.bad = self.rng.random() >= leave if self.bad else self.rng.random() < enter
        return self.bad

    def push(self, pkt, now):
        st = self.stat
        st["packets"] += 1
        st["bytes"] += len(pkt)
        if pkt[12:14] != b"\x08\x06" and self.lose():  # never lose ARP
            st["lost"] += 1
            return
        due = now
        if self.rate:
            start = max(now, self.free_at)
            if start - now > self.queue:
                st["queue_dropped"] += 1
                return
            due = self.free_at = start + len(pkt) * 8 / self.rate
        due += self.delay
        if self.jitter:
            if now - self.wobble_at > 0.02:  # packets of one burst share their jitter
                self.wobble, self.wobble_at = self.rng.uniform(-self.jitter, self.jitter), now
            w = self.rng.uniform(-self.jitter, self.jitter) if self.reorder else self.wobble
            due = max(now, due + w)
        if not self.reorder:
            due = self.last_due = max(due, self.last_due)
        self.seq += 1
        heapq.heappush(self.heap, (due, self.seq, pkt))


def wire_rules(host_if, net_if, on):
    if not on:
        return [f"filter del dev {d} ingress" for d in (host_if, net_if)]
    return [
        f"filter add dev {a} ingress protocol all prio 1 u32 match u32 0 0 "
        f"action mirred egress redirect dev {b}"
        for a, b in ((host_if, net_if), (net_if, host_if))
    ]


def tap(dev):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    s.setsockopt(263, 23, 1)  # PACKET_IGNORE_OUTGOING
    s.setblocking(False)
    s.bind((dev, 3))  # ETH_P_ALL
    return s


def run(cfg_path):
    """Runs as its own process inside the lab's `wire` namespace."""
    cfg = read_json(cfg_path)
    fd = os.open("/run/netns/" + cfg["ns"], os.O_RDONLY)
    set_namespace(fd)
    os.close(fd)
    ready_r, ready_w = os.pipe()
    if os.fork():
        os.close(ready_w)
        sys.stdout.write(os.read(ready_r, 32).decode())
        sys.stdout.flush()
        os._exit(0)
    os.close(ready_r)
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for n in (0, 1):
        os.dup2(null, n)
    with contextlib.suppress(OSError):
        err = os.open(cfg["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(err, 2)
    try:  # 2 cores full of video encoders must not add jitter of their own
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        with contextlib.suppress(OSError):
            os.nice(-15)

    wake_r, wake_w = os.pipe()
    os.set_blocking(wake_r, False)
    os.set_blocking(wake_w, False)
    signal.set_wakeup_fd(wake_w)
    stop = []
    signal.signal(signal.SIGHUP, lambda *a: None)
    signal.signal(signal.SIGTERM, lambda *a: stop.append(1))

    host_if, net_if = cfg["host_if"], cfg["net_if"]
    up, down = Direction("{}-up".format(cfg["seed"])), Direction("{}-down".format(cfg["seed"]))

    def tc(lines):
        subprocess.run(
            ["tc", "-force", "-batch", "-"],
            input="\n".join(lines) + "\n",
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def flush(sock):
        with contextlib.suppress(OSError):
            while True:
                sock.recv(65536)

    def send(sock, d, pkt):
        try:
            sock.send(pkt)
            d.stat["sent"] += 1
        except OSError:  # the far end is down (a cut wire)
            d.stat["send_failed"] += 1

    def report():
        write_json(
            cfg["stat"],
            {
                "gen": cfg["gen"],
                "up": up.stat,
                "down": down.stat,
                "cpu_s": round(time.process_time(), 3),
            },
        )

    hs, ns = tap(host_if), tap(net_if)
    tc(wire_rules(host_if, net_if, False))  # up to here the kernel forwarded ...
    flush(hs)
    flush(ns)  # ... what we saw as well
    up.set(cfg["up"])
    down.set(cfg["down"])
    report()
    os.write(ready_w, str(os.getpid()).encode())
    os.close(ready_w)
    next_report = time.monotonic() + 0.5
    try:
        while not stop:
            now = time.monotonic()
            for d, out in ((up, ns), (down, hs)):
                while d.heap and d.heap[0][0] <= now:
                    send(out, d, heapq.heappop(d.heap)[2])
            if now >= next_report:
                report()
                next_report = now + 0.5
            wait = next_report - now
            for d in (up, down):
                if d.heap:
                    wait = min(wait, d.heap[0][0] - now)
            ready, _, _ = select.select([hs, ns, wake_r], [], [], max(0, wait))
            now = time.monotonic()
            for sock, d in ((hs, up), (ns, down)):
                if sock in ready:
                    try:
                        for _ in range(64):
                            d.push(sock.recv(65536), now)
                    except OSError as e:
                        if e.errno not in (errno.EAGAIN, errno.ENETDOWN):
                            raise
            if wake_r in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake_r, 512)
                new = read_json(cfg_path)
                if new and new["gen"] != cfg["gen"]:
                    if new["net_if"] != net_if:
                        net_if = new["net_if"]
                        ns.close()
                        ns = tap(net_if)
                    cfg = new
                    up.set(cfg["up"])
                    down.set(cfg["down"])
                    report()
    finally:
        hs.close()
        flush(ns)
        for d, dev in ((up, net_if), (down, host_if)):  # hand over what is still queued
            with contextlib.suppress(OSError), tap(dev) as out:
                while d.heap:
                    send(out, d, heapq.heappop(d.heap)[2])
        tc(wire_rules(host_if, net_if, True))
        report()


if __name__ == "__main__":
    run(sys.argv[1])
