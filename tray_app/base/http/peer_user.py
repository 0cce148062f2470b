"""Whether the other end of a loopback connection belongs to this user, by the kernel's word.

Anybody on this computer can connect to 127.0.0.1, and `/proc/*/cmdline`, which holds the address that a browser was
started with, is everybody's. The kernel knows whose socket it is: `/proc/net/tcp` on Linux, `GetExtendedTcpTable` on
Windows. macOS has no documented way for a program without privileges.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tray_app.base.log import LOG

Address = tuple[str, int]
"""A numeric host and a port."""
_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
_READS: Final = 3
"""A table that changes while it is read may lack a row that was there all the time."""


class Owner(NamedTuple):
    """Whose socket it is."""

    uid: int
    inode: int
    """0 for a socket that nobody holds any more: Linux then shows the uid 0, whoever had it."""


class PeerCheck:
    """Tells this user's connections from others'. Whether the kernel answers is found out when it is made."""

    def __init__(self, family: int = socket.AF_INET) -> None:
        self.works = _sees_itself(family)
        """False where the kernel cannot tell whose a connection is; every connection then counts."""
        if not self.works:
            LOG.warning("this system does not tell whose a connection is: other users of it are not kept out by that")

    def admits(self, peer: Address, own: Address) -> bool:
        """Whether the connection from `peer` to `own` is this user's. One whose owner is not known is not."""
        return not self.works or _is_own(peer, own)


def _sees_itself(family: int) -> bool:
    """Whether a connection of our own is seen as ours."""
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    try:
        with socket.socket(family) as listening, socket.socket(family) as client:
            listening.bind((host, 0))
            listening.listen(1)
            client.settimeout(2.0)
            client.connect(listening.getsockname()[:2])
            return _is_own(client.getsockname()[:2], listening.getsockname()[:2])
    except OSError:
        return False


if sys.platform == "win32":

    def _is_own(peer: Address, own: Address) -> bool:
        from tray_app.base.http.peer_process import is_own_process, process_at

        process = process_at(peer, own)
        return process is not None and is_own_process(process)

elif sys.platform == "linux":

    def _is_own(peer: Address, own: Address) -> bool:
        for _ in range(_READS):
            owner = owner_of(peer, own, map(_read, _TABLES))
            if owner is not None:
                return owner.inode != 0 and (owner.uid == os.getuid() or (owner.uid == 0 and _is_wsl()))
        return False

else:

    def _is_own(_peer: Address, _own: Address) -> bool:
        return False


# -- Linux


def owner_of(peer: Address, own: Address, tables: Iterator[str]) -> Owner | None:
    """Who has the socket at `peer` that is connected to `own`, by the kernel's tables; None where no row tells."""
    wanted = {(_hex(peer, mapped=mapped), _hex(own, mapped=mapped)) for mapped in (False, True)}
    for table in tables:
        for line in table.splitlines()[1:]:
            cells = line.split()
            if len(cells) > 9 and (cells[1], cells[2]) in wanted:
                return Owner(int(cells[7]), int(cells[9]))
    return None


def _read(table: str) -> str:
    try:
        return Path(table).read_text("ascii")
    except OSError:  # without IPv6 there is no tcp6
        return ""


def _hex(address: Address, *, mapped: bool) -> str:
    """The address as the tables write it: words of 32 bits in the machine's order. `mapped`: IPv4 within IPv6."""
    host, port = address
    packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    if mapped and len(packed) == 4:
        packed = bytes(10) + b"\xff\xff" + packed
    words = (packed[start : start + 4] for start in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words) + f":{port:04X}"


def _is_wsl() -> bool:
    """Whether this is Linux under Windows, whose relay brings the connections of Windows' browsers as root."""
    try:
        release = Path("/proc/sys/kernel/osrelease").read_text("ascii")
    except OSError:
        return False
    if "microsoft" not in release.lower():
        return False
    LOG.info("a connection came through the relay of WSL, which is root's")
    return True
