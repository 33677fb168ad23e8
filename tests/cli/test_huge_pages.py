"""Huge pages for what a server made at its start."""

from __future__ import annotations

import subprocess
import sys

from ringmesh.cli.huge_pages import huge_pages

MiB = 1024 * 1024

MAPS = """\
00100000-00700000 rw-p 00000000 00:00 0                                  [heap]
00800000-00900000 rw-p 00000000 00:00 0
00a00000-00c00000 rw-p 00000000 00:00 0
01000000-02000000 r--p 00000000 00:00 0
02000000-03000000 rw-s 00000000 00:01 77                                 /dev/zero (deleted)
03000000-04000000 rw-p 00000000 fe:00 4711                               /usr/lib/a library.so
04000000-05000000 rw-p 00000000 00:00 0                                  [stack]
05000000-06000000 r-xp 00000000 fe:00 4711                               /usr/bin/python3
"""

IN_A_PROCESS = """
import re
from pathlib import Path
from ringmesh.cli.huge_pages import collapse_memory

kept = [bytes([number]) * 1000 for number in range(200)] * 2 + [bytes(range(256)) * 65536]
copied = [bytes(bytearray(each)) for each in kept]
collapsed = collapse_memory()
huge = re.search(r"AnonHugePages: +([0-9]+) kB", Path("/proc/self/smaps_rollup").read_text())
assert kept == copied
assert 0 <= collapsed <= int(huge[1]) * 1024, (collapsed, huge[1])
"""


def test_huge_pages_lie_in_private_memory_of_no_file() -> None:
    """Whole huge pages of heap and anonymous memory are found, and nothing else."""
    assert [at // MiB for at in huge_pages(MAPS, 2 * MiB)] == [2, 4, 10]
    assert list(huge_pages(MAPS, 8 * MiB)) == []


def test_memory_is_the_same_on_huge_pages() -> None:
    """What is said to be on huge pages is, and what lay there has not changed. A system that has
    none changes nothing."""
    subprocess.run([sys.executable, "-c", IN_A_PROCESS], check=True)
