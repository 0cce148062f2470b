"""Windows: sleep by the power manager, the network by its addresses. Not verified on a real machine.

Only windows get a message when the clock is set, so the heartbeat detects that.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tray_app.adapters.platform.event_source import Later

DEVICE_NOTIFY_CALLBACK: Final = 2
PBT_APMSUSPEND: Final = 0x4
PBT_APMRESUMEAUTOMATIC: Final = 0x12
AF_UNSPEC: Final = 0
_windll: Any = getattr(ctypes, "windll", None)
_WINFUNCTYPE: Any = getattr(ctypes, "WINFUNCTYPE", None)
"""Constants that exist on Windows only."""


class _Subscription(ctypes.Structure):
    """DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS."""

    _fields_ = (("callback", ctypes.c_void_p), ("context", ctypes.c_void_p))


class Power:
    """Reports "suspend" and "resume". Windows does not wait: requests running at "suspend" are cut off."""

    async def start(self, happened: Callable[[str], Awaitable[None]]) -> None:
        """Raises OSError where registering fails."""
        loop = asyncio.get_running_loop()
        kinds = {PBT_APMSUSPEND: "suspend", PBT_APMRESUMEAUTOMATIC: "resume"}

        def changed(_context: int, what: int, _setting: int) -> int:
            if what in kinds:
                asyncio.run_coroutine_threadsafe(_told(happened, kinds[what]), loop)
            return 0

        kind = _WINFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p)
        self._callback = kind(changed)
        subscription = _Subscription(ctypes.cast(self._callback, ctypes.c_void_p), None)
        self._handle = ctypes.c_void_p()
        register = _windll.powrprof.PowerRegisterSuspendResumeNotification
        status = register(DEVICE_NOTIFY_CALLBACK, ctypes.byref(subscription), ctypes.byref(self._handle))
        if status:
            raise OSError(f"the power manager refuses with {status}")

    async def close(self) -> None:
        """Unregisters."""
        _windll.powrprof.PowerUnregisterSuspendResumeNotification(self._handle)


class Addresses:
    """Reports "network" once the addresses of this machine have settled."""

    async def start(self, happened: Callable[[str], Awaitable[None]]) -> None:
        """Raises OSError where registering fails."""
        loop, later = asyncio.get_running_loop(), Later(lambda: _told(happened, "network"))
        self._later = later

        def changed(_context: int, _row: int, _kind: int) -> None:
            loop.call_soon_threadsafe(later.again)

        kind = _WINFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
        self._callback = kind(changed)
        self._handle = ctypes.c_void_p()
        register = _windll.iphlpapi.NotifyUnicastIpAddressChange
        status = register(AF_UNSPEC, self._callback, None, False, ctypes.byref(self._handle))
        if status:
            raise OSError(f"the network's addresses are not told: {status}")

    async def close(self) -> None:
        """Unregisters."""
        _windll.iphlpapi.CancelMibChangeNotify2(self._handle)
        self._later.cancel()


async def _told(happened: Callable[[str], Awaitable[None]], kind: str) -> None:
    await happened(kind)
