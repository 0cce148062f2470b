"""The other end of a Unix socket: connecting to it, and whose program it is. Next to nothing is imported."""

import _socket  # what `socket` is built on; that costs 3 ms more, which `lamplighter token` does not have
import os
import sys

LOCAL_PEERCRED, XUCRED = (0, 1), 76
"""macOS: level and option, and the size of the struct, which begins with version and uid."""
CONNECT_SECONDS = 5
"""In which the applet accepts a connection and reads the request; the answer may take as long as a refresh."""
UNRESPONSIVE = (
    "the applet does not respond: it is stopped, or has too many connections",
    "End its process and start it again: lamplighter",
)
"""What happened, and what helps."""


class UnresponsiveError(TimeoutError):
    """A program listens, and does not accept connections or does not read from them."""


def connect(one: _socket.socket, path: str) -> bool:
    """Connects to the program that listens at `path`; False where that is another user's.

    Raises OSError where nobody listens, and `UnresponsiveError`.
    """
    if sys.platform == "linux":  # elsewhere, and with a time limit of Python's own, a full backlog refuses at once
        word = 8 if sys.maxsize > 2**32 else 4
        limit = CONNECT_SECONDS.to_bytes(word, sys.byteorder) + bytes(word)  # struct timeval
        one.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, limit)
    try:
        one.connect(path)
    except BlockingIOError as error:
        raise UnresponsiveError from error
    return is_own(one)


def await_answer(one: _socket.socket, seconds: float | None) -> None:
    """Returns when the answer begins, or the request was at least read; whatever is read next has `seconds`.

    Raises `UnresponsiveError` where the request is not read within CONNECT_SECONDS, or `seconds` if those are fewer.
    """
    one.settimeout(CONNECT_SECONDS if seconds is None else min(CONNECT_SECONDS, seconds))
    try:
        one.recv(1, _socket.MSG_PEEK)
    except TimeoutError as error:
        if _is_unread(one):
            raise UnresponsiveError from error
    one.settimeout(seconds)


def _is_unread(one: _socket.socket) -> bool:
    """Whether something that was sent still waits to be read."""
    if sys.platform == "win32":
        return False
    else:  # noqa: RET505 - so that the types of both platforms can be checked
        import fcntl
        import termios

        try:
            return any(fcntl.ioctl(one.fileno(), termios.TIOCOUTQ, bytes(4)))
        except OSError:
            return False  # macOS may not tell it of such sockets


def is_own(connected: _socket.socket) -> bool:
    """Whether the other end runs as this user; of a listening one: whether it did when it began to listen."""
    getuid = getattr(os, "getuid", None)  # there is none on Windows, nor such a socket
    if sys.platform.startswith("linux"):
        found = connected.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)  # pid, uid, gid
    else:
        found = connected.getsockopt(*LOCAL_PEERCRED, XUCRED)
    return getuid is not None and int.from_bytes(found[4:8], sys.byteorder) == getuid()
