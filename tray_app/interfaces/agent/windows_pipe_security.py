"""Windows' access control for the agent's pipe: who may connect, and who owns it.

The kernel checks the pipe's access control list before it connects a client. The list has one entry, this user, who is
also the owner; nobody else can make a pipe with this owner, so one that an attacker made under our name is recognized.
Wine stores the list, but does not check it.
"""

import sys

assert sys.platform == "win32"  # noqa: S101 - how type checkers are told

import ctypes
from ctypes import wintypes

TOKEN_QUERY, TOKEN_USER = 8, 1
SDDL_REVISION, SE_KERNEL_OBJECT, OWNER_SECURITY_INFORMATION = 1, 6, 1
FOR_ONE = "O:{sid}D:P(A;;GA;;;{sid})"
"""SDDL: owned by the SID; a list that inherits nothing, and allows everything to this SID alone."""

_advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel32.GetCurrentProcess.restype = wintypes.HANDLE
_kernel32.CloseHandle.argtypes = [wintypes.HANDLE]
_kernel32.LocalFree.argtypes = [wintypes.LPVOID]
_advapi32.OpenProcessToken.argtypes = [wintypes.HANDLE, wintypes.DWORD, wintypes.LPVOID]
_advapi32.GetTokenInformation.argtypes = [
    wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD, wintypes.LPVOID
]  # fmt: skip
_advapi32.ConvertSidToStringSidW.argtypes = [wintypes.LPVOID, wintypes.LPVOID]
_advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW.argtypes = [
    wintypes.LPCWSTR, wintypes.DWORD, wintypes.LPVOID, wintypes.LPVOID
]  # fmt: skip
_advapi32.GetSecurityInfo.argtypes = [wintypes.HANDLE, ctypes.c_int, wintypes.DWORD, *[wintypes.LPVOID] * 5]


class SecurityAttributes(ctypes.Structure):
    """SECURITY_ATTRIBUTES for this user alone, to be used while it lives. Children do not inherit what it is for."""

    _fields_ = (("length", wintypes.DWORD), ("descriptor", wintypes.LPVOID), ("inherit", wintypes.BOOL))

    def __init__(self) -> None:
        """Raises OSError."""
        super().__init__(ctypes.sizeof(self), None, False)
        sddl, place = FOR_ONE.format(sid=own_sid()), ctypes.byref(self, type(self).descriptor.offset)
        _checked(_advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW(sddl, SDDL_REVISION, place, None))

    def __del__(self) -> None:
        _kernel32.LocalFree(self.descriptor)

    @property
    def address(self) -> int:
        """As Windows' functions take it."""
        return ctypes.addressof(self)


def own_sid() -> str:
    """The security identifier of this user, S-1-5-... Raises OSError."""
    token = wintypes.HANDLE()
    _checked(_advapi32.OpenProcessToken(_kernel32.GetCurrentProcess(), TOKEN_QUERY, ctypes.byref(token)))
    try:
        size = wintypes.DWORD()
        _advapi32.GetTokenInformation(token, TOKEN_USER, None, 0, ctypes.byref(size))
        user = (ctypes.c_void_p * (size.value // ctypes.sizeof(ctypes.c_void_p) + 1))()
        size.value = ctypes.sizeof(user)
        _checked(_advapi32.GetTokenInformation(token, TOKEN_USER, user, size, ctypes.byref(size)))
        return _text(user[0])  # TOKEN_USER begins with a pointer to the SID
    finally:
        _kernel32.CloseHandle(token)


def belongs_to_own_user(handle: int) -> bool:
    """Whether the pipe was made by a program of this user. Raises OSError."""
    owner, descriptor = wintypes.LPVOID(), wintypes.LPVOID()
    found, kept = ctypes.byref(owner), ctypes.byref(descriptor)
    status = _advapi32.GetSecurityInfo(
        handle, SE_KERNEL_OBJECT, OWNER_SECURITY_INFORMATION, found, None, None, None, kept
    )
    if status:
        raise ctypes.WinError(status)
    try:
        return owner.value is not None and _text(owner.value) == own_sid()
    finally:
        _kernel32.LocalFree(descriptor)


def _text(sid: int | None) -> str:
    text = wintypes.LPWSTR()
    _checked(_advapi32.ConvertSidToStringSidW(sid, ctypes.byref(text)))
    try:
        return str(text.value)
    finally:
        _kernel32.LocalFree(text)


def _checked(succeeded: int) -> None:
    if not succeeded:
        raise ctypes.WinError(ctypes.get_last_error())
