"""Windows: which process has the other end of a loopback connection, and whether it is this user's.

`GetExtendedTcpTable` names the process of each connection; its token names the user. Tried under Wine only.
"""

import sys

assert sys.platform == "win32"  # noqa: S101 - how type checkers are told

import ctypes
import socket
from ctypes import wintypes

Address = tuple[str, int]
OWNER_PID_CONNECTIONS = 4  # TCP_TABLE_OWNER_PID_CONNECTIONS
QUERY_LIMITED_INFORMATION, TOKEN_QUERY, TOKEN_USER = 0x1000, 8, 1

_iphlpapi = ctypes.WinDLL("iphlpapi", use_last_error=True)
_advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel32.OpenProcess.restype = wintypes.HANDLE
_kernel32.GetCurrentProcess.restype = wintypes.HANDLE
_kernel32.CloseHandle.argtypes = [wintypes.HANDLE]
_advapi32.OpenProcessToken.argtypes = [wintypes.HANDLE, wintypes.DWORD, wintypes.LPVOID]
_advapi32.GetTokenInformation.argtypes = [
    wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD, wintypes.LPVOID
]  # fmt: skip
_advapi32.EqualSid.argtypes = [wintypes.LPVOID, wintypes.LPVOID]


class _Row4(ctypes.Structure):
    """MIB_TCPROW_OWNER_PID."""

    _fields_ = tuple(
        (name, wintypes.DWORD) for name in ("state", "local", "local_port", "remote", "remote_port", "pid")
    )


class _Row6(ctypes.Structure):
    """MIB_TCP6ROW_OWNER_PID."""

    _fields_ = (
        ("local", ctypes.c_ubyte * 16),
        ("local_scope", wintypes.DWORD),
        ("local_port", wintypes.DWORD),
        ("remote", ctypes.c_ubyte * 16),
        ("remote_scope", wintypes.DWORD),
        ("remote_port", wintypes.DWORD),
        ("state", wintypes.DWORD),
        ("pid", wintypes.DWORD),
    )


def process_at(peer: Address, own: Address) -> int | None:
    """The process that has the socket at `peer` that is connected to `own`; None where the system names none."""
    is_v6 = ":" in peer[0]
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    wanted = tuple((socket.inet_pton(family, host), port) for host, port in (peer, own))
    for row in _rows(family, _Row6 if is_v6 else _Row4):
        if tuple(_end(row, side) for side in ("local", "remote")) == wanted:
            return int(row.pid)
    return None


def is_own_process(pid: int) -> bool:
    """Whether the process runs as this user."""
    process = _kernel32.OpenProcess(QUERY_LIMITED_INFORMATION, False, pid)
    if not process:
        return False
    try:
        theirs, ours = _user_of(process), _user_of(_kernel32.GetCurrentProcess())
        return theirs is not None and ours is not None and bool(_advapi32.EqualSid(theirs[0], ours[0]))
    finally:
        _kernel32.CloseHandle(process)


def _rows(family: int, row: type[ctypes.Structure]) -> list[ctypes.Structure]:
    size = wintypes.DWORD()
    _iphlpapi.GetExtendedTcpTable(None, ctypes.byref(size), 0, family, OWNER_PID_CONNECTIONS, 0)
    table = ctypes.create_string_buffer(size.value + 4096)  # connections come meanwhile
    size.value = len(table)
    if _iphlpapi.GetExtendedTcpTable(table, ctypes.byref(size), 0, family, OWNER_PID_CONNECTIONS, 0):
        return []
    count = wintypes.DWORD.from_buffer(table).value
    return list((row * count).from_buffer(table, ctypes.sizeof(wintypes.DWORD)))


def _end(row: ctypes.Structure, side: str) -> tuple[bytes, int]:
    address = getattr(row, side)
    packed = address.to_bytes(4, "little") if isinstance(address, int) else bytes(address)
    return packed, socket.ntohs(getattr(row, f"{side}_port") & 0xFFFF)


def _user_of(process: int) -> ctypes.Array[ctypes.c_void_p] | None:
    """A TOKEN_USER, which begins with a pointer to the user's SID."""
    token = wintypes.HANDLE()
    if not _advapi32.OpenProcessToken(process, TOKEN_QUERY, ctypes.byref(token)):
        return None
    try:
        size = wintypes.DWORD()
        _advapi32.GetTokenInformation(token, TOKEN_USER, None, 0, ctypes.byref(size))
        user = (ctypes.c_void_p * (size.value // ctypes.sizeof(ctypes.c_void_p) + 1))()
        size.value = ctypes.sizeof(user)
        return user if _advapi32.GetTokenInformation(token, TOKEN_USER, user, size, ctypes.byref(size)) else None
    finally:
        _kernel32.CloseHandle(token)
