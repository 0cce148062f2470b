"""Windows' list of TCP connections with their processes, and whose a process is."""

import sys

assert sys.platform == "win32"  # noqa: S101 - how type checkers are told

import ctypes
from ctypes import wintypes

TCP_TABLE_OWNER_PID_ALL = 5
PROCESS_QUERY_LIMITED_INFORMATION = 0x1000
TOKEN_QUERY, TOKEN_USER = 8, 1
ERROR_INSUFFICIENT_BUFFER = 122

_advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
_iphlpapi = ctypes.WinDLL("iphlpapi")
_kernel32.GetCurrentProcess.restype = wintypes.HANDLE
_kernel32.OpenProcess.restype = wintypes.HANDLE
_kernel32.OpenProcess.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]
_kernel32.CloseHandle.argtypes = [wintypes.HANDLE]
_advapi32.OpenProcessToken.argtypes = [wintypes.HANDLE, wintypes.DWORD, wintypes.LPVOID]
_advapi32.GetTokenInformation.argtypes = [
    wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD, wintypes.LPVOID
]  # fmt: skip
_advapi32.EqualSid.argtypes = [wintypes.LPVOID, wintypes.LPVOID]
_iphlpapi.GetExtendedTcpTable.argtypes = [
    wintypes.LPVOID, wintypes.LPVOID, wintypes.BOOL, wintypes.ULONG, ctypes.c_int, wintypes.ULONG
]  # fmt: skip


def read(family: int) -> bytes:
    """All connections of the family: MIB_TCPTABLE_OWNER_PID or MIB_TCP6TABLE_OWNER_PID. Raises OSError."""
    size = wintypes.DWORD(16_384)
    while True:
        buffer = ctypes.create_string_buffer(size.value)
        status = _iphlpapi.GetExtendedTcpTable(buffer, ctypes.byref(size), False, family, TCP_TABLE_OWNER_PID_ALL, 0)
        if status == 0:
            return buffer.raw
        if status != ERROR_INSUFFICIENT_BUFFER:
            raise ctypes.WinError(status)
        size.value += 4_096  # for those that come meanwhile


def is_of_this_user(pid: int) -> bool:
    """Whether the process runs as this user; False for one that cannot be asked."""
    process = _kernel32.OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, False, pid)
    if not process:
        return False
    try:
        theirs, ours = _user(process), _user(_kernel32.GetCurrentProcess())
        return bool(_advapi32.EqualSid(theirs[0], ours[0]))  # TOKEN_USER begins with a pointer to the SID
    except OSError:
        return False
    finally:
        _kernel32.CloseHandle(process)


def _user(process: int | None) -> "ctypes.Array[ctypes.c_void_p]":
    token = wintypes.HANDLE()
    _checked(_advapi32.OpenProcessToken(process, TOKEN_QUERY, ctypes.byref(token)))
    try:
        size = wintypes.DWORD()
        _advapi32.GetTokenInformation(token, TOKEN_USER, None, 0, ctypes.byref(size))
        user = (ctypes.c_void_p * (size.value // ctypes.sizeof(ctypes.c_void_p) + 1))()
        size.value = ctypes.sizeof(user)
        _checked(_advapi32.GetTokenInformation(token, TOKEN_USER, user, size, ctypes.byref(size)))
        return user
    finally:
        _kernel32.CloseHandle(token)


def _checked(succeeded: int) -> None:
    if not succeeded:
        raise ctypes.WinError(ctypes.get_last_error())
