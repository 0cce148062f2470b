"""Linux: routes and the clock, from the kernel itself. No daemon, no polling: two descriptors that the loop reads."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator

from tray_app.adapters.platform.event_source import Later

AF_NETLINK, NETLINK_ROUTE = 16, 0
RTMGRP_IPV4_ROUTE = 0x40
RTMGRP_IPV6_ROUTE = 0x400
RTM_NEWROUTE = 24
"""man 7 rtnetlink. Link messages are left out: a wireless card sends one for each scan."""

CLOCK_REALTIME = 0
TFD_NONBLOCK, TFD_CLOEXEC = 0o4000, 0o2000000
TFD_TIMER_ABSTIME = 1
TFD_TIMER_CANCEL_ON_SET = 2
FAR = 2**40
"""Seconds since 1970, effectively never: the timer exists to be cancelled when the clock is set."""


class Routes:
    """Reports new routes: there is a network, or a different one."""

    async def start(self, happened: Callable[[str], Awaitable[None]]) -> None:
        """Reports "network" once the routes have settled. Raises OSError where the kernel has no netlink."""
        self._later = Later(lambda: _told(happened, "network"))
        self._socket = socket.socket(AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
        self._socket.setblocking(False)
        try:
            self._socket.bind((0, RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE))
        except OSError:
            self._socket.close()
            raise
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    async def close(self) -> None:
        """Closes the socket."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._later.cancel()
        self._socket.close()

    def _read(self) -> None:
        try:
            messages = self._socket.recv(65_536)
        except BlockingIOError:
            return
        except OSError:  # ENOBUFS: more changes than were read, so there was one
            self._later.again()
            return
        if RTM_NEWROUTE in set(_kinds(messages)):
            self._later.again()


class ClockSet:
    """Reports that the clock was set; newer kernels do so after each suspend as well (timerfd_create(2))."""

    _SPECIFICATION = struct.Struct("=qqqq")
    """struct itimerspec on every 64-bit Linux: no interval, then when."""

    async def start(self, happened: Callable[[str], Awaitable[None]]) -> None:
        """Reports "clock". Raises OSError where there is no such timer."""
        self._later = Later(lambda: _told(happened, "clock"))
        self._libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(self._libc, "timerfd_create") or ctypes.sizeof(ctypes.c_long) != 8:
            raise OSError("there is no timerfd here")
        self._descriptor = self._checked(self._libc.timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC))
        try:
            self._arm()
        except OSError:
            os.close(self._descriptor)
            raise
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    async def close(self) -> None:
        """Closes the timer."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        self._later.cancel()
        os.close(self._descriptor)

    def _read(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return
        except OSError:  # ECANCELED: the clock was set
            self._arm()
            self._later.again()

    def _arm(self) -> None:
        when = self._SPECIFICATION.pack(0, 0, FAR, 0)
        flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
        self._checked(self._libc.timerfd_settime(self._descriptor, flags, when, None))

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result


async def _told(happened: Callable[[str], Awaitable[None]], kind: str) -> None:
    await happened(kind)


def _kinds(messages: bytes) -> Iterator[int]:
    """The type of each netlink message (struct nlmsghdr: length, type, ...)."""
    at = 0
    while at + 16 <= len(messages):
        length, kind = struct.unpack_from("=IH", messages, at)
        yield kind
        at += max(16, (length + 3) & ~3)
