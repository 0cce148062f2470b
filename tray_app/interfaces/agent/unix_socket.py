"""The socket itself: made for one user, found again, and its other end known."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
from pathlib import Path
from typing import Final, Protocol

from tray_app.base.paths import private_folder
from tray_app.core.errors import LamplighterError
from tray_app.interfaces.agent.peer import is_own
from tray_app.interfaces.agent.unix_transport import Door, Talk

AF_UNIX: Final[int] = getattr(socket, "AF_UNIX", 0)
"""0 on Windows, where this Python has no such sockets."""

BACKLOG = 1024
"""How many may stand at the door: with 128, of 256 programs that came in one moment half were sent away."""
MOST = 512

LONGEST_PATH = 103 if sys.platform == "darwin" else 107
"""What fits into `sun_path` beside its closing NUL, in bytes (unix(4), unix(7))."""


class Entrance(Protocol):
    """Where the agent lets in who connects."""

    def close(self) -> None:
        """Lets nobody in any more; who is in stays."""


class Bound(Protocol):
    """A place at which programs find the agent; from its first moment they may come, and wait for `open`."""

    path: Path

    def open(self, talk: Talk) -> Entrance:
        """Begins to answer, each connection with a protocol of its own. Belongs to the loop's thread."""

    def is_gone(self) -> bool:
        """Whether nothing lies at its path any more. Something else that lies there is not touched."""

    def close(self) -> None:
        """Ends it, and takes it away where it still lies there."""


def bound(path: Path) -> Bound:
    """Listens at `path`, for this user alone. Raises `LamplighterError`."""
    if sys.platform == "win32":
        from tray_app.interfaces.agent.windows_pipe_server import BoundPipe

        return BoundPipe(path)
    else:  # noqa: RET505 - so that the types of both platforms can be checked
        return BoundSocket(path)


class BoundSocket:
    """A socket that listens at a path, and knows whether what lies there is still itself."""

    def __init__(self, path: Path) -> None:
        """Listens, as `_listening` has it. Raises `LamplighterError`."""
        self.path = path
        self._listening = _listening(path)
        self._made = _identity(path)

    def open(self, talk: Talk) -> Door:
        """Begins to answer, each connection with a protocol of its own."""
        return Door(self._listening, talk)

    def is_gone(self) -> bool:
        """Whether nothing lies at its path any more. Something else that lies there is not touched."""
        return _identity(self.path) is None

    def close(self) -> None:
        """Ends it, and takes it away where it still lies there."""
        self._listening.close()
        if _identity(self.path) == self._made:
            self.path.unlink(missing_ok=True)


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
    if not path.parent.is_dir():  # a folder that is there, /tmp say, is not ours to close to others
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
            pass  # alive, with a crowd at its door
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise LamplighterError(f"another program answers at {path}", "Quit it, or set LAMPLIGHTER_SOCKET")


def same_user(transport: asyncio.BaseTransport) -> bool:
    """Whether the other end runs as this user."""
    if sys.platform == "win32":
        return True  # else the kernel had not let it in: see pipe_owner.py
    else:  # noqa: RET505 - as above
        connected: socket.socket | None = transport.get_extra_info("socket")
        return connected is not None and is_own(connected)


def most_connections() -> int:
    """How many at a time: half of what this process may have open, since the rest of the lamp has files as well."""
    if sys.platform == "win32":
        return MOST
    else:  # noqa: RET505 - as above
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return MOST if soft == resource.RLIM_INFINITY else min(MOST, soft // 2)
