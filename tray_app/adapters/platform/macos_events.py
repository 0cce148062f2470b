"""macOS: network and clock by notify(3), over a descriptor that the loop reads. Not verified on a real machine.

The end of sleep comes as a change of the network; a machine without one is found by the heartbeat.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from tray_app.adapters.platform.event_source import Later

NAMES: Final = {b"com.apple.system.config.network_change": "network", b"com.apple.system.clock_set": "clock"}
NOTIFY_REUSE: Final = 1


class Notifications:
    """Reports "network" and "clock"."""

    async def start(self, happened: Callable[[str], Awaitable[None]]) -> None:
        """Raises OSError where notify(3) is not available."""
        self._later = {kind: Later(partial(_told, happened, kind)) for kind in NAMES.values()}
        self._kinds: dict[int, str] = {}
        self._library = ctypes.CDLL(None)
        self._descriptor = -1
        for name, kind in NAMES.items():
            descriptor, token = ctypes.c_int(self._descriptor), ctypes.c_int()
            reuse = NOTIFY_REUSE if self._kinds else 0
            register = self._library.notify_register_file_descriptor
            status = register(name, ctypes.byref(descriptor), reuse, ctypes.byref(token))
            if status:
                raise OSError(f"notify(3) refuses with status {status}")
            self._descriptor = descriptor.value
            self._kinds[token.value] = kind
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    async def close(self) -> None:
        """Gives the tokens back; the descriptor closes with the last of them."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        for later in self._later.values():
            later.cancel()
        for token in self._kinds:
            self._library.notify_cancel(token)

    def _read(self) -> None:
        heard = os.read(self._descriptor, 4096)
        for (token,) in struct.iter_unpack("!i", heard[: len(heard) // 4 * 4]):
            if token in self._kinds:
                self._later[self._kinds[token]].again()


async def _told(happened: Callable[[str], Awaitable[None]], kind: str) -> None:
    await happened(kind)
