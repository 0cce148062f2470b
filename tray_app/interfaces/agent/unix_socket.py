"""The agent's Unix socket: made for one user, and accepting connections of that user alone."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import stat
import sys
from pathlib import Path
from typing import Final

from tray_app.base.paths import private_folder
from tray_app.core.errors import LamplighterError
from tray_app.interfaces.agent.listener import Bound, Connections
from tray_app.interfaces.agent.peer import is_own

AF_UNIX: Final[int] = getattr(socket, "AF_UNIX", 0)
"""0 on Windows, where this Python has no such sockets."""

BACKLOG = 1024
"""Connections that wait to be accepted: with 128, of 256 programs that came in one moment half were refused."""
MOST = 512
AT_ONCE = 64
"""Connections that are accepted before the rest of the loop has its turn."""
REST_SECONDS = 0.5
"""Before the next attempt where this process may open no more files."""
A_MOMENT = 0.0001
"""Seconds in which a client that comes alone sends its request; another round of the loop takes longer."""
MOST_SELECTED = 1024
"""`select` takes no file with a higher number."""
PIECE = 65_536

LONGEST_PATH = 103 if sys.platform == "darwin" else 107
"""Bytes that fit into `sun_path` with its closing NUL (unix(4), unix(7))."""


def bound(path: Path) -> Bound:
    """Listens at `path`, for this user alone. Raises `LamplighterError`."""
    if sys.platform == "win32":
        from tray_app.interfaces.agent.windows_pipe_server import BoundPipe

        return BoundPipe(path)
    else:  # noqa: RET505 - so that the types of both platforms can be checked
        return BoundSocket(path)


class BoundSocket:
    """A socket that listens at a path, and knows whether what is there is still itself."""

    def __init__(self, path: Path) -> None:
        """Listens, as `_listening` has it. Raises `LamplighterError`."""
        self.path = path
        self._listening = _listening(path)
        self._made = _identity(path)

    def open(self, connections: Connections) -> UnixListener:
        """Begins to accept."""
        return UnixListener(self._listening, connections)

    def is_gone(self) -> bool:
        """Whether nothing is at its path any more. Something else that is there counts, and is not touched."""
        return _identity(self.path) is None

    def close(self) -> None:
        """Ends it, and removes it where it is still there."""
        self._listening.close()
        if _identity(self.path) == self._made:
            self.path.unlink(missing_ok=True)


class UnixListener:
    """Accepts connections of a listening socket, until `close`.

    A program that wants a token connects, asks, reads and goes. With asyncio's server that takes the loop five rounds,
    130 us; here most are answered in one call, 30 us, and only the others become connections of asyncio.
    """

    def __init__(self, listening: socket.socket, connections: Connections) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._connections = connections
        self._rest: asyncio.TimerHandle | None = None
        self._open()

    def close(self) -> None:
        """Accepts no more; the socket stays as it is."""
        self._loop.remove_reader(self._listening)
        if self._rest is not None:
            self._rest.cancel()

    def _open(self) -> None:
        self._rest = None
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        silent: list[socket.socket] = []
        for _ in range(AT_ONCE):
            try:
                connected = self._listening.accept()[0]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError:
                self._loop.remove_reader(self._listening)
                self._rest = self._loop.call_later(REST_SECONDS, self._open)
                break
            connected.setblocking(False)
            if not is_own(connected):
                connected.close()
            elif not self._has_asked(connected):
                silent.append(connected)
        for connected in silent:  # meanwhile they have asked
            if len(silent) == 1 and connected.fileno() < MOST_SELECTED:
                select.select((connected,), (), (), A_MOMENT)
            if not self._has_asked(connected):
                self._connections.serve(connected)

    def _has_asked(self, connected: socket.socket) -> bool:
        """Whether it has sent something, or has gone; then that is handled."""
        received, answer = b"", None
        try:
            received = connected.recv(PIECE)
            answer = self._connections.answer_at_once(received)
            if answer is not None:
                connected.sendall(answer)
        except (BlockingIOError, InterruptedError):
            if not received:
                return False
        except OSError:
            received = b""  # it has gone
        if received and answer is None:
            self._connections.serve(connected, received)
        else:
            connected.close()
        return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _listening(path: Path) -> socket.socket:
    """A listening socket at `path`, 0600, its folder 0700 if it has to be made. The caller holds the instance lock.

    A socket that nobody answers is replaced; a live one, or anything that is no socket, never is. Raises
    `LamplighterError`.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise LamplighterError(
            f"the socket's path is longer than {LONGEST_PATH} bytes: {path}", "Set LAMPLIGHTER_SOCKET to a shorter one"
        )
    if not path.parent.is_dir():  # the mode of an existing folder, such as /tmp, is not changed
        private_folder(path.parent)
    _clear(path)
    listening = socket.socket(AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # from its first moment nobody else may connect
    try:
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        raise LamplighterError(f"no socket can be made at {path} ({error.strerror})", "Look at that folder") from error
    finally:
        os.umask(before)
    listening.listen(BACKLOG)
    listening.setblocking(False)
    return listening


def _clear(path: Path) -> None:
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise LamplighterError(f"{path} is in the way: it is no socket", "Move it away, or set LAMPLIGHTER_SOCKET")
    with socket.socket(AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            pass  # alive, with a full backlog
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise LamplighterError(f"another program answers at {path}", "Quit it, or set LAMPLIGHTER_SOCKET")


def most_connections() -> int:
    """How many at a time: half of the files that this process may open, since the applet needs others as well."""
    if sys.platform == "win32":
        return MOST
    else:  # noqa: RET505 - as above
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return MOST if soft == resource.RLIM_INFINITY else min(MOST, soft // 2)
