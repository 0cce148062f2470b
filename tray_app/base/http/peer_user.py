"""Whose program is at the other end of a TCP connection on this computer, by the kernel's own list of connections.

A TCP socket, unlike a Unix one, cannot be asked for its peer. The list can: the peer's end is a row of its own, with
its user. Only a row that is there, belongs to a socket that is still open, and is ours counts; all else is another
user's. Where the list does not hold even our own connections it says nothing, and `peers_of` tells that.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Final

from tray_app.base.log import LOG
from tray_app.core.message import msg

End = tuple[str, int]
"""An address, as the socket tells it, and a port."""
IsOwn = Callable[[End, End], bool]
"""(peer's end, our end): whether the peer's socket is open and is this user's."""

TRIES: Final = 3
"""A row can be missing from one reading while other connections come and go; it is not missing from three."""
ROOT: Final = 0
CANNOT_TELL: Final = msg("This system does not tell whose the connections to the page and the sign-in are")


def peers_of(family: socket.AddressFamily) -> IsOwn | None:
    """How to tell whose connections of this family are; None where the kernel does not tell.

    Found out by a connection between two sockets of ours. Raises OSError where not even that can be had.
    """
    is_own = _is_own_on_windows if sys.platform == "win32" else _is_own_on_posix
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listening.bind(("::1" if family is socket.AF_INET6 else "127.0.0.1", 0))
        listening.listen(1)
        client = stack.enter_context(socket.create_connection(listening.getsockname()[:2], timeout=5))
        return is_own if is_own(client.getsockname()[:2], listening.getsockname()[:2]) else None


@cache
def _is_wsl_relay() -> bool:
    """Whether root is the relay of Windows' Linux (WSL), which brings the connections of browsers in Windows."""
    try:
        kernel = Path("/proc/version").read_text()
    except OSError:
        return False
    if "microsoft" not in kernel.lower():
        return False
    LOG.info("This is WSL: connections that root makes count as ours, since its relay brings the browser's as root")
    return True


def _is_own_on_posix(peer: End, ours: End) -> bool:
    """Whether the row's user is ours; root counts where it is WSL's relay."""
    owner = _owner_on_macos if sys.platform == "darwin" else _owner_on_linux
    for _ in range(TRIES):
        found = owner(peer, ours)
        if found is not None:
            return found == _our_uid() or (found == ROOT and _is_wsl_relay())
    return False


def _our_uid() -> int:
    if sys.platform == "win32":
        return -1
    else:  # noqa: RET505 - so that the types of both platforms can be checked
        return os.geteuid()


# -- Linux


_AF_NETLINK, _SOCK_DIAG, _ANY = 16, 4, 0xFFFFFFFF
_DIAG_REQUEST = struct.Struct("=IHHII BBBBI 4s16s16sIII")  # nlmsghdr, inet_diag_req_v2 (linux/inet_diag.h)


def _owner_by_netlink(peer: End, ours: End) -> int | None:
    """The same from the kernel's table by its key, in microseconds; the list in /proc takes milliseconds."""
    (source, sport), (target, dport) = _packed(peer), _packed(ours)
    family = socket.AF_INET6 if len(source) == 16 else socket.AF_INET
    ends = struct.pack(">HH", sport, dport), source.ljust(16, b"\0"), target.ljust(16, b"\0")
    request = _DIAG_REQUEST.pack(_DIAG_REQUEST.size, 20, 1, 0, 0, family, 6, 0, 0, _ANY, *ends, 0, _ANY, _ANY)
    try:
        with socket.socket(_AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as asking:
            asking.settimeout(1)
            asking.sendto(request, (0, 0))
            answer, sender = asking.recvfrom(4096)
    except OSError:  # a kernel without it, or a sandbox that forbids it
        return None
    if sender[0] != 0 or len(answer) < 88 or answer[4:6] != request[4:6]:  # not the kernel, or an error
        return None
    if (answer[20:24], answer[24:40], answer[40:56]) != ends:  # a listener at the peer's port
        return None
    uid, inode = struct.unpack_from("=II", answer, 80)
    return int(uid) if inode else None


def _owner_on_linux(peer: End, ours: End) -> int | None:
    if (owner := _owner_by_netlink(peer, ours)) is not None:
        return owner
    tables = (("/proc/net/tcp", False), ("/proc/net/tcp6", True))
    for table, mapped in tables[":" in peer[0] :]:
        try:
            text = Path(table).read_bytes()
        except OSError:  # hidden, or a kernel without IPv6
            continue
        if (owner := owner_in_proc(text, proc_end(peer, mapped=mapped), proc_end(ours, mapped=mapped))) is not None:
            return owner
    return None


def proc_end(end: End, *, mapped: bool) -> bytes:
    """The end as `/proc/net/tcp` writes it: words of the machine's byte order in hex. `mapped`: as tcp6 does."""
    address = ipaddress.ip_address(end[0])
    packed = address.packed
    if mapped:
        packed, _ = _mapped((packed, 0))
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return ("".join(f"{word:08X}" for word in words) + f":{end[1]:04X}").encode()


def owner_in_proc(table: bytes, peer: bytes, ours: bytes) -> int | None:
    """The uid of the open socket from `peer` to `ours`; None where there is none.

    A closed one has the inode 0, and the uid 0, which would be root's.
    """
    at = table.find(b": %b %b " % (peer, ours))
    if at < 0:
        return None
    # local rem st tx:rx tr:when retrnsmt uid timeout inode
    fields = table[at + 2 : at + 400].partition(b"\n")[0].split()
    return int(fields[6]) if len(fields) > 8 and fields[8] != b"0" else None


# -- macOS

_SOCKET, _INPCB = 0x001, 0x010  # kinds of records: XSO_SOCKET, XSO_INPCB
_IPV4 = 0x1  # INP_IPV4 of inp_vflag


def _owner_on_macos(peer: End, ours: End) -> int | None:
    import ctypes

    libc = ctypes.CDLL(None)
    name, size = b"net.inet.tcp.pcblist_n", ctypes.c_size_t(0)
    if libc.sysctlbyname(name, None, ctypes.byref(size), None, ctypes.c_size_t(0)):
        return None
    size.value += size.value // 8  # for those that come meanwhile
    buffer = ctypes.create_string_buffer(size.value)
    if libc.sysctlbyname(name, buffer, ctypes.byref(size), None, ctypes.c_size_t(0)):
        return None
    return owner_in_pcblist(buffer.raw[: size.value], peer, ours)


def owner_in_pcblist(table: bytes, peer: End, ours: End) -> int | None:
    """The uid of the socket from `peer` to `ours` in macOS's list (XNU, bsd/netinet/in_pcb.h: xinpcb_n, xsocket_n)."""
    wanted = (_packed(peer), _packed(ours))
    at, found = struct.unpack_from("=I", table)[0], False
    while at + 8 <= len(table):
        length, kind = struct.unpack_from("=II", table, at)
        if length < 8 or at + length > len(table):
            break
        record = table[at : at + length]
        if kind == _INPCB and length >= 80:
            foreign_port, local_port = struct.unpack_from(">HH", record, 16)
            first = 12 if record[44] & _IPV4 else 0  # an IPv4 address is the last of four words
            found = wanted == ((record[64 + first : 80], local_port), (record[48 + first : 64], foreign_port))
        elif kind == _SOCKET and found and length >= 72:
            return int(struct.unpack_from("=I", record, 64)[0])
        at += (length + 7) // 8 * 8
    return None


def _packed(end: End) -> tuple[bytes, int]:
    return ipaddress.ip_address(end[0]).packed, end[1]


# -- Windows

_ROW = struct.Struct("=I4sI4sII")  # MIB_TCPROW_OWNER_PID
_ROW6 = struct.Struct("=16sII16sIIII")  # MIB_TCP6ROW_OWNER_PID


def _is_own_on_windows(peer: End, ours: End) -> bool:
    if sys.platform != "win32":
        return False
    else:  # noqa: RET505 - so that the types of both platforms can be checked
        from tray_app.base.http import windows_tcp_table

        for _ in range(TRIES):
            for table, is_ipv6 in ((windows_tcp_table.read(2), False), (windows_tcp_table.read(23), True)):
                if (pid := pid_in_table(table, peer, ours, is_ipv6=is_ipv6)) is not None:
                    return windows_tcp_table.is_of_this_user(pid)
        return False


def pid_in_table(table: bytes, peer: End, ours: End, *, is_ipv6: bool) -> int | None:
    """The process of the socket from `peer` to `ours` in what GetExtendedTcpTable gives; None where there is none.

    A closed connection has the process 0.
    """
    wanted = (_packed(peer), _packed(ours))
    if is_ipv6:
        wanted = (_mapped(wanted[0]), _mapped(wanted[1]))
    row = _ROW6 if is_ipv6 else _ROW
    (count,) = struct.unpack_from("=I", table)
    for fields in row.iter_unpack(table[4 : 4 + count * row.size]):
        if is_ipv6:
            local, _, local_port, remote, _, remote_port, _, pid = fields
        else:
            _, local, local_port, remote, remote_port, pid = fields
        if wanted == ((local, _port(local_port)), (remote, _port(remote_port))):
            return pid or None
    return None


def _port(field: int) -> int:
    """A port as Windows keeps it: two bytes in the network's order, then two of anything."""
    return int.from_bytes(struct.pack("=I", field)[:2], "big")


def _mapped(end: tuple[bytes, int]) -> tuple[bytes, int]:
    packed, port = end
    return (packed if len(packed) == 16 else bytes(10) + b"\xff\xff" + packed), port
