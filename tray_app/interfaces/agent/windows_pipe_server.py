"""The applet's end of the agent's named pipe on Windows: what a listening socket is elsewhere.

asyncio's own `start_serving_pipe` makes pipes that everybody may read, so only its parts are used.
"""

import sys

assert sys.platform == "win32"  # noqa: S101 - how type checkers are told

import _winapi
import asyncio
from asyncio.windows_utils import PipeHandle
from contextlib import suppress
from pathlib import Path
from typing import Any

from tray_app.base.pipe_name import is_pipe
from tray_app.core.errors import LamplighterError
from tray_app.interfaces.agent.listener import Connections
from tray_app.interfaces.agent.windows_pipe_security import SecurityAttributes

FIRST = 0x0008_0000
"""FILE_FLAG_FIRST_PIPE_INSTANCE: fails where a pipe of this name exists."""
BYTES_FROM_THIS_MACHINE = 0x8
"""PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT, all of them 0, and PIPE_REJECT_REMOTE_CLIENTS."""
PIECE = 65_536
INSTANCES = 8
"""So many clients may connect at the same moment; the next one waits until the loop has made another instance."""
REST_SECONDS = 0.5
"""Before the next attempt where this process may open no more handles."""


class BoundPipe:
    """A pipe for this user alone. Its name is gone with the last of its instances."""

    def __init__(self, path: Path) -> None:
        """Clients that connect wait for `open`. Raises `LamplighterError`."""
        self.path = path
        if not is_pipe(str(path)):
            remedy = r"Set LAMPLIGHTER_SOCKET to one such as \\.\pipe\my-lamp"
            raise LamplighterError(f"{path} is no name of a pipe", remedy)
        taken = LamplighterError(f"another program answers at {path}", "Quit it, or set LAMPLIGHTER_SOCKET")
        if _is_there(str(path)):
            raise taken
        try:
            self._security = SecurityAttributes()
            self._first: PipeHandle | None = self._place(FIRST)
        except PermissionError as error:
            raise taken from error
        except OSError as error:
            raise LamplighterError(f"no pipe can be made at {path} ({error.strerror})") from error

    def place(self) -> PipeHandle:
        """A free instance, for one client. Raises OSError."""
        first, self._first = self._first, None
        return first or self._place(0)

    def open(self, connections: Connections) -> "PipeListener":
        """Begins to accept."""
        return PipeListener(self, connections)

    def is_gone(self) -> bool:
        """A pipe has no file that could be removed."""
        return False

    def close(self) -> None:
        """Closes the instance that no client has used."""
        if self._first is not None:
            self._first.close()
            self._first = None

    def _place(self, first: int) -> PipeHandle:
        mode = _winapi.PIPE_ACCESS_DUPLEX | _winapi.FILE_FLAG_OVERLAPPED | first
        most = _winapi.PIPE_UNLIMITED_INSTANCES
        address = self._security.address
        return PipeHandle(
            _winapi.CreateNamedPipe(str(self.path), mode, BYTES_FROM_THIS_MACHINE, most, PIECE, PIECE, 0, address)
        )


def _is_there(name: str) -> bool:
    """Whether a pipe of this name exists. `FIRST` finds out without a race, but not under Wine."""
    try:
        _winapi.WaitNamedPipe(name, 1)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


class PipeListener:
    """Accepts connections to a pipe, until `close`."""

    def __init__(self, bound: BoundPipe, connections: Connections) -> None:
        self._loop: Any = asyncio.get_running_loop()  # a ProactorEventLoop: it alone knows pipes
        self._bound = bound
        self._connections = connections
        self._waiting = {self._loop.create_task(self._accept()) for _ in range(INSTANCES)}

    def close(self) -> None:
        """Accepts no more."""
        for task in self._waiting:
            task.cancel()

    async def _accept(self) -> None:
        while True:
            try:
                place = self._bound.place()
            except OSError:
                await asyncio.sleep(REST_SECONDS)
                continue
            try:
                await self._loop._proactor.accept_pipe(place)  # noqa: SLF001 - asyncio has no other way to a pipe of ours
            except BaseException as error:
                place.close()
                if not isinstance(error, OSError):  # the client has gone already
                    raise
            else:
                with suppress(OSError):
                    self._loop._make_duplex_pipe_transport(place, self._connections.protocol(), extra={"pipe": place})  # noqa: SLF001 - as above
