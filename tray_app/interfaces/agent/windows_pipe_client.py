"""The client's end of the agent's named pipe on Windows: what a connected socket is elsewhere.

Next to nothing is imported, as in fast_token.py.
"""

import sys

TYPE_CHECKING = False  # see tray_app/__init__.py
if TYPE_CHECKING:
    from typing import Any

assert sys.platform == "win32"  # noqa: S101 - how type checkers are told

import _winapi  # what `multiprocessing` has its pipes from
import io
from time import monotonic

from tray_app.base.pipe_name import is_pipe
from tray_app.interfaces.agent.peer import CONNECT_SECONDS, UnresponsiveError
from tray_app.interfaces.agent.windows_pipe_security import belongs_to_own_user

READ_AND_WRITE = _winapi.GENERIC_READ | _winapi.GENERIC_WRITE
IDENTIFIED_ONLY = 0x0010_0000 | 0x0001_0000
"""SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION: the server may learn who we are, but not impersonate us."""
ALL_BUSY, TIMED_OUT = 231, 121


def connected(name: str, seconds: float | None) -> "Pipe":
    """The pipe `name`, with `seconds` for each reading and writing.

    Raises OSError where nobody listens, PermissionError where another user does, and `UnresponsiveError` where no
    instance of the pipe is free within CONNECT_SECONDS.
    """
    if not is_pipe(name):
        raise FileNotFoundError(f"{name} is no pipe of this machine")
    pipe = Pipe(_opened(name), seconds)
    is_own = False
    try:
        is_own = belongs_to_own_user(pipe.fileno())
    finally:
        if not is_own:
            pipe.close()
    if not is_own:
        raise PermissionError(f"{name} is another user's")
    return pipe


def _opened(name: str) -> int:
    until = monotonic() + CONNECT_SECONDS
    flags = _winapi.FILE_FLAG_OVERLAPPED | IDENTIFIED_ONLY
    while True:
        try:
            return _winapi.CreateFile(name, READ_AND_WRITE, 0, _winapi.NULL, _winapi.OPEN_EXISTING, flags, _winapi.NULL)
        except OSError as error:
            if error.winerror != ALL_BUSY:
                raise
        left = until - monotonic()
        if left <= 0:
            raise UnresponsiveError
        try:
            _winapi.WaitNamedPipe(name, max(1, int(left * 1000)))
        except OSError as error:
            if error.winerror != TIMED_OUT:
                raise


class Pipe(io.RawIOBase):
    """One end of a pipe, with the methods of a socket that our callers use. Each waits for `seconds` at most."""

    def __init__(self, handle: int, seconds: float | None) -> None:
        super().__init__()
        self._handle = handle
        self._milliseconds = _winapi.INFINITE if seconds is None else int(seconds * 1000)
        self._seconds = seconds

    def fileno(self) -> int:
        """Windows' handle."""
        return self._handle

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Any") -> int:
        try:
            reading, _ = _winapi.ReadFile(self._handle, len(buffer), overlapped=True)
            count = self._waited_for(reading)
        except BrokenPipeError:
            return 0  # the other end is closed, and all data was read
        buffer[:count] = reading.getbuffer() or b""
        return count

    def recv(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        return self.read(size) or b""

    def sendall(self, data: bytes) -> None:
        """Returns when all of it is in the pipe."""
        writing, _ = _winapi.WriteFile(self._handle, data, overlapped=True)
        self._waited_for(writing)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """A reader of its own, which stays open when this is closed."""
        own = _winapi.GetCurrentProcess()
        again = _winapi.DuplicateHandle(own, self._handle, own, 0, False, _winapi.DUPLICATE_SAME_ACCESS)
        return io.BufferedReader(Pipe(again, self._seconds))

    def close(self) -> None:
        if not self.closed:
            super().close()
            _winapi.CloseHandle(self._handle)

    def _waited_for(self, operation: "Any") -> int:
        """The number of bytes. An operation that timed out or was interrupted is cancelled when this returns."""
        is_done = False
        try:
            is_done = _winapi.WaitForMultipleObjects([operation.event], False, self._milliseconds) == 0
        finally:
            if not is_done:
                operation.cancel()
            count: int = operation.GetOverlappedResult(True)[0]
        if not is_done:
            raise TimeoutError(f"nothing happened for {self._seconds} s")
        return count
