"""`lamplighter token` while the applet runs, the usual case, with as few imports as possible.

Next to the start of the interpreter every import counts: `socket` would add a quarter to it, `json` or `typing` half.
So `_socket` is used, on which `socket` is built, and the applet is asked for the token as plain text. All other cases
are left to the full command, which also reports what is wrong.

Unlike other processes of ours this one is not closed to debuggers and core dumps, since `ctypes` would add a tenth to
its time: it holds the token for less than a millisecond.
"""

import os
import sys

from tray_app.base.socket_path import socket_path
from tray_app.interfaces.agent.peer import UNRESPONSIVE, UnresponsiveError, await_answer, connect

PATIENCE = 75.0
"""Seconds: longer than a refresh may take."""


def fetched(words: list[str]) -> int | None:
    """Prints the token for `lamplighter token WORDS`; the exit code, or None where the full command has to do it."""
    question, path = _question(words), socket_path()
    if question is None or path is None:
        return None
    target, kind = question
    headers = f"Host: lamplighter\r\nAccept: {kind}\r\nConnection: close\r\n"
    try:
        answer = _answer(path, f"GET {target} HTTP/1.1\r\n{headers}\r\n")
    except UnresponsiveError:
        return _failed("unavailable", ". ".join(UNRESPONSIVE))
    except TimeoutError:
        return _failed("unavailable", f"the applet has not answered within {PATIENCE:.0f} s")
    except OSError:
        return None
    if answer is None:
        return None
    head, body = answer
    if not head.startswith(b"http/1.1 200 "):
        return _refused(body)
    return _printed(body) if b"\r\ncontent-type: " + kind.encode() in head else None


def _question(words: list[str]) -> tuple[str, str] | None:
    """Target and content type of the request for `[--min-ttl SECONDS] [--json] [--no-wait] ACCOUNT` in any order."""
    account, min_ttl, wait, kind = "", "0", "", "text/plain"
    following = iter(words)
    for word in following:
        if word == "--json":
            kind = "application/json"
        elif word == "--no-wait":
            wait = "&wait=0"
        elif word == "--min-ttl":
            min_ttl = next(following, "")
        elif word.startswith("--min-ttl="):
            min_ttl = word[10:]
        elif account or not word.isascii() or not word.translate(_MARKS).isalnum() or word.startswith("-"):
            return None
        else:
            account = word
    if not account or not (min_ttl.isascii() and min_ttl.isdigit() and len(min_ttl) <= 9):
        return None
    query = f"?min_ttl={min_ttl}{wait}" if wait or int(min_ttl) else ""  # without a query the applet answers faster
    return f"/v1/accounts/{account}/token{query}", kind


_MARKS = {ord(mark): "a" for mark in "._-"}
"""Characters of a name beside letters and digits; none has a meaning in a URL."""


def _answer(path: str, question: str) -> tuple[bytes, bytes] | None:
    """Head, in lower case, and body of the applet's answer; None where the connection closes in the middle of it.

    Raises OSError where there is no applet, or another user's; TimeoutError where it takes too long.
    """
    if sys.platform == "win32":
        from tray_app.interfaces.agent.windows_pipe_client import connected as connected_pipe

        connected = connected_pipe(path, PATIENCE)
    else:
        connected = _connected_socket(path)
    try:
        connected.sendall(question.encode())
        if sys.platform != "win32":
            await_answer(connected, PATIENCE)
        received = b""
        while piece := connected.recv(65_536):
            received += piece
            head, _, body = received.partition(b"\r\n\r\n")
            head = head.lower() + b"\r\n"
            if b"\r\ncontent-length: %d\r\n" % len(body) in head:
                return head, body
        return None
    finally:
        connected.close()


if sys.platform != "win32":
    import _socket

    def _connected_socket(path: str) -> _socket.socket:
        connected = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        is_own = False
        try:
            is_own = connect(connected, path)
        finally:
            if not is_own:
                connected.close()
        if not is_own:
            raise PermissionError
        return connected


def _printed(body: bytes) -> int:
    left = body + b"\n"
    try:
        while left:
            left = left[os.write(1, left) :]
    except BrokenPipeError:
        return 1
    return 0


def _refused(body: bytes) -> int | None:
    """Prints the error that the applet answered with; its exit code. None where the body is none of the applet's."""
    import json  # imports do not matter any more

    try:
        found = json.loads(body)
        return _failed(str(found["error"]), str(found["message"]))
    except (ValueError, LookupError, TypeError):
        return None


def _failed(name: str, message: str) -> int:
    from tray_app.core.errors import error_named

    error = error_named(name, message)
    sys.stderr.write(f"lamplighter: {error}\n")
    return error.exit_code
