"""Namespaces, commands and files: what the laboratory is made of."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

RUN = Path("/run/netlab")  # one folder per lab: state.json and one config/stat file per wire
NETNS = Path("/run/netns")


class LabError(Exception):
    """Something the user can act on; the command line prints it without a traceback."""


_libc = ctypes.CDLL(None, use_errno=True)


def set_namespace(fd):
    if _libc.setns(fd, 0x40000000):  # CLONE_NEWNET; os.setns exists only from 3.12
        err = ctypes.get_errno()
        raise OSError(err, "setns: " + os.strerror(err))


@contextlib.contextmanager
def in_namespace(ns):
    """Put the *current thread* into a network namespace for the length of the block."""
    old = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        new = os.open("/run/netns/" + ns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            set_namespace(new)
            try:
                yield
            finally:
                set_namespace(old)
        finally:
            os.close(new)
    finally:
        os.close(old)


def shell(cmd, text=None, check=True, cwd=None):
    r = subprocess.run(cmd, input=text, cwd=cwd, text=True, capture_output=True)
    if check and r.returncode:
        why = (r.stderr.strip() or r.stdout.strip()).split("\n")
        raise LabError("{} failed: {}".format(" ".join(cmd), "\n  ".join(why[:4])))
    return r


def ip_batch(ns, *lines):
    shell(["ip"] + (["-n", ns] if ns else []) + ["-batch", "-"], "\n".join(lines) + "\n")


def nft(ns, text):
    shell(["ip", "netns", "exec", ns, "nft", "-f", "-"], text)


def sysctl(key, value):
    path = Path("/proc/sys/net") / key
    if path.exists():
        path.write_text(value)


def offload_off(*devs):
    """Real packets on the wire: no segmentation offload, complete checksums."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for dev in devs:
            for cmd in (0x1F, 0x24, 0x2C, 0x17):  # STSO SGSO SGRO STXCSUM
                buf = ctypes.create_string_buffer(struct.pack("II", cmd, 0))
                req = struct.pack("16sP", dev.encode(), ctypes.addressof(buf)) + bytes(16)
                with contextlib.suppress(OSError):
                    fcntl.ioctl(s, 0x8946, req)  # SIOCETHTOOL


def started_at(pid):
    """Start time of a process, so that a reused pid is never mistaken for ours."""
    try:
        rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if rest[0] == "Z" else int(rest[19])


def write_json(path, obj):
    """Write a file so that readers see the old one or the new one, never half of it."""
    tmp = Path(f"{path}.{os.getpid()}.{threading.get_ident()}")
    tmp.write_text(json.dumps(obj, indent=1, default=str))
    tmp.replace(path)


def read_json(path):
    """What a file holds; None when there is no such file."""
    try:
        return json.loads(Path(path).read_text())
    except (FileNotFoundError, ValueError):
        return None


@contextlib.contextmanager
def machine_lock():
    """Labs share /run/netlab and /etc/netns; only one process at a time adds or removes there."""
    fd = os.open("/run", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def preflight():
    """Return a list of (ok, what, advice)."""
    out = [
        (os.geteuid() == 0, "running as root", "use sudo"),
        (sys.platform == "linux", "Linux", "network namespaces exist only on Linux"),
    ]
    for tool, pkg in (("ip", "iproute2"), ("tc", "iproute2"), ("nft", "nftables")):
        out.append((shutil.which(tool) is not None, f"command {tool}", "apt-get install " + pkg))
    return out


def require():
    bad = [f"  missing: {w} -> {a}" for ok, w, a in preflight() if not ok]
    if bad:
        raise LabError("netlab cannot run here:\n" + "\n".join(bad))
