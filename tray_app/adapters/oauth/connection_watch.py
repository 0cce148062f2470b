"""Watches the connection during a request: when this machine changes networks, no error reports the dead connection.

A laptop that has come into another network has another address. What was asked from the one before is never answered,
and each second of waiting is one less in which a provider that rotates takes the old token once more.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

LOOK_AGAIN: Final = 1.0
"""Seconds between two checks, only while a response is pending."""
_NOT_OURS: Final = frozenset({errno.EADDRNOTAVAIL, 10049})
"""The second is what Windows calls it (WSAEADDRNOTAVAIL)."""
Address = tuple[Any, ...]


@asynccontextmanager
async def until_moved(deadline: asyncio.Timeout) -> AsyncIterator[dict[str, Any]]:
    """Expires the deadline when this machine has moved to another network. Yields extensions for httpx's request."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def look(ours: Address, theirs: Address, *, before: bool = False) -> None:
        nonlocal timer
        now = has_moved(ours, theirs)
        if now and (before or ":" not in ours[0]):  # one of IPv6 is not there for a second while it is made sure of
            deadline.reschedule(loop.time())
        else:
            timer = loop.call_later(LOOK_AGAIN, lambda: look(ours, theirs, before=now))

    async def trace(event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            stream = info["return_value"]
            ours, theirs = stream.get_extra_info("client_addr"), stream.get_extra_info("server_addr")
            if ours and theirs:  # else it is cut off already
                look(ours, theirs)

    try:
        yield {"trace": trace}
    finally:
        if timer is not None:
            timer.cancel()


def has_moved(ours: Address, theirs: Address) -> bool:
    """Whether `theirs` would be reached now, but no longer from `ours`.

    While there is no way at all the old one may come back, with its address and with the answer: that is waited for.
    """
    try:
        with _trial(ours) as trial:
            trial.bind((ours[0], 0))
    except OSError as error:
        if error.errno not in _NOT_OURS:
            return False
    else:
        return False
    try:
        with _trial(theirs) as trial:
            trial.connect(theirs[:2])  # sends nothing: it looks up the way
    except OSError:
        return False
    return True


def _trial(address: Address) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
