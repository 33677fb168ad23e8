"""The memory of a long-lived process on huge pages, where the system has them (Linux from 6.1)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

_MADV_COLLAPSE = 25  # <linux/mman.h>; Python's mmap names it from 3.13 on
_MAPS = Path("/proc/self/maps")
_SIZE = Path("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")


def collapse_memory() -> int:
    """Put what the process has allocated on huge pages; the bytes that are there now.

    A server that is not busy finds its caches and its TLB used by others with each stanza. What it
    touches then lies all over what start-up made: thousands of pages, or a few dozen huge ones.
    """
    try:
        size, maps = int(_SIZE.read_text()), _MAPS.read_text()
    except OSError:
        return 0
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return sum(size for page in huge_pages(maps, size) if not advise(page, size, _MADV_COLLAPSE))


def huge_pages(maps: str, size: int) -> Iterator[int]:
    """The addresses at which a huge page of so many bytes fits into private memory of no file.

    Args:
        maps: in the format of ``/proc/PID/maps``, see proc_pid_maps(5).
    """
    for line in maps.splitlines():
        addresses, permissions, _offset, _device, _inode, *name = line.split()
        if permissions == "rw-p" and name in ([], ["[heap]"]):
            start, end = (int(address, 16) for address in addresses.split("-"))
            yield from range(-(-start // size) * size, end - size + 1, size)
