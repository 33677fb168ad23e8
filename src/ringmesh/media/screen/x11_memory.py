"""Memory that is shared with the X server (MIT-SHM), into which it writes pictures."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Any

import numpy as np
import xcffib
import xcffib.shm
from xcffib import xproto

from ringmesh.errors import NotSupportedError
from ringmesh.media.frames import Pixels
from ringmesh.media.screen.x11_display import X_ERRORS, X11Display

_ALL_PLANES = 0xFFFFFFFF
_PRIVATE, _CREATE_0600, _REMOVE = 0, 0o1600, 0
_FAILED = ctypes.c_void_p(-1).value


class SharedMemory:
    """A System V segment that we and the X server see. It grows as pictures need it."""

    def __init__(self, display: X11Display) -> None:
        """Raises `NotSupportedError` when the X server is on another machine."""
        if not display.has_extension("MIT-SHM"):
            raise NotSupportedError("the X server cannot share memory (MIT-SHM)")
        self._display = display
        self._extension = display.connection(xcffib.shm.key)
        self._libc = _libc()
        self._segment = 0
        self._address: int | None = None
        self._size = 0
        self._allocate(display.screen.width_in_pixels * display.screen.height_in_pixels * 4)

    def get_image(self, drawable: int, left: int, top: int, width: int, height: int) -> Pixels:
        """A part of a drawable of 24 or 32 bits depth, BGRX, valid until the next call.

        Raises one of `X_ERRORS`, for instance when the drawable has just become smaller.
        """
        if width * height * 4 > self._size:
            self._free()
            self._allocate(width * height * 4)
        self._extension.GetImage(
            drawable, left, top, width, height, _ALL_PLANES,
            xproto.ImageFormat.ZPixmap, self._segment, 0,
        ).reply()  # fmt: skip
        assert self._address is not None
        memory = (ctypes.c_uint8 * (width * height * 4)).from_address(self._address)
        pixels: Pixels = np.frombuffer(memoryview(memory), np.uint8).reshape(height, width, 4)
        return pixels

    def close(self) -> None:
        """Release the memory: no picture of it may be in use. Idempotent."""
        self._free()

    def _allocate(self, size: int) -> None:
        number = self._libc.shmget(_PRIVATE, size, _CREATE_0600)
        address = self._libc.shmat(number, None, 0) if number >= 0 else _FAILED
        if address is None or address == _FAILED:
            raise NotSupportedError(f"no {size} bytes of shared memory for pictures of the screen")
        self._address, self._size = address, size
        try:
            self._segment = self._display.connection.generate_id()
            self._extension.Attach(self._segment, number, False, is_checked=True).check()
        except X_ERRORS as error:
            self._libc.shmdt(address)
            self._address, self._size = None, 0
            raise NotSupportedError(
                "the X server shares no memory: it runs on another machine"
            ) from error
        finally:
            # Marked now, it goes with the last process that uses it, even after a crash.
            self._libc.shmctl(number, _REMOVE, None)

    def _free(self) -> None:
        if self._address is not None:
            with suppress(*X_ERRORS):  # the X server may be gone
                self._extension.Detach(self._segment)
            self._libc.shmdt(self._address)
            self._address, self._size = None, 0


def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    libc.shmat.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
    libc.shmdt.argtypes = (ctypes.c_void_p,)
    libc.shmget.argtypes = (ctypes.c_int, ctypes.c_size_t, ctypes.c_int)
    return libc
