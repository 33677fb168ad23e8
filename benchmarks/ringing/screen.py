"""When windows appear on an X server."""

from __future__ import annotations

import asyncio
import time

import xcffib
import xcffib.xproto

LIMIT = 10.0


class Screen:
    """Tells when a window appears, by the clock of this process."""

    def __init__(self, display: str) -> None:
        self._x = xcffib.connect(display=display)
        root = self._x.get_setup().roots[0].root
        mask = xcffib.xproto.EventMask.SubstructureNotify
        self._x.core.ChangeWindowAttributesChecked(root, xcffib.xproto.CW.EventMask, [mask]).check()
        self._mapped: asyncio.Queue[float] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self._x.get_file_descriptor(), self._read)

    def _read(self) -> None:
        while (event := self._x.poll_for_event()) is not None:
            if isinstance(event, xcffib.xproto.MapNotifyEvent):
                self._mapped.put_nowait(time.perf_counter())

    async def next_window(self) -> float:
        """When the next window appears."""
        return await asyncio.wait_for(self._mapped.get(), LIMIT)

    def forget(self) -> None:
        """Windows that have appeared so far are of no interest."""
        while not self._mapped.empty():
            self._mapped.get_nowait()

    def close(self) -> None:
        """Watch no more."""
        asyncio.get_running_loop().remove_reader(self._x.get_file_descriptor())
        self._x.disconnect()
