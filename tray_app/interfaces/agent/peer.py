"""Whose program is at the other end of a socket, by what the kernel says of it. Next to nothing is imported."""

import _socket  # what `socket` is built on; that costs 3 ms more, which `lamplighter token` does not have
import os
import sys

LOCAL_PEERCRED, XUCRED = (0, 1), 76
"""macOS: level and option, and the size of the struct, which begins with version and uid."""


def is_own(connected: _socket.socket) -> bool:
    """Whether the other end runs as this user; of a listening one: whether it did when it began to listen."""
    getuid = getattr(os, "getuid", None)  # there is none on Windows, nor such a socket
    if sys.platform.startswith("linux"):
        found = connected.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)  # pid, uid, gid
    else:
        found = connected.getsockopt(*LOCAL_PEERCRED, XUCRED)
    return getuid is not None and int.from_bytes(found[4:8], sys.byteorder) == getuid()
