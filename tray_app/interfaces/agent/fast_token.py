"""`lamplighter token` while the applet runs: what most calls are, in as few imports as it takes.

Beside the start of the interpreter every import counts: `socket` would cost a quarter of it, `json` or `typing` half.
So the socket is the one that `socket` is built on, and the applet is asked for the token as plain text. Whatever is not
the usual case is left to the full command, which does it all and says what is wrong.

Nor is the process closed to debuggers and core dumps as others are, which `ctypes` would take a tenth for: it holds the
token for less than a millisecond.
"""

import os
import sys

PATIENCE = 75.0
"""Seconds: longer than a refresh may take."""


def fetched(words: list[str]) -> int | None:
    """Prints the token that `lamplighter token WORDS` asks for; the exit code, or None: not done."""
    question, path = _question(words), _socket_path()
    if question is None or path is None:
        return None
    target, kind = question
    headers = f"Host: lamplighter\r\nAccept: {kind}\r\nConnection: close\r\n"
    try:
        heard = _heard(path, f"GET {target} HTTP/1.1\r\n{headers}\r\n")
    except TimeoutError:
        return _told(b'{"error": "unavailable", "message": "the applet has not answered within %d s"}' % PATIENCE)
    except OSError:
        return None
    if heard is None:
        return None
    head, body = heard
    if not head.startswith(b"http/1.1 200 "):
        return _told(body)
    return _printed(body) if b"\r\ncontent-type: " + kind.encode() in head else None


def _question(words: list[str]) -> tuple[str, str] | None:
    """What to ask for and as which type, for `[--min-ttl SECONDS] [--json] [--no-wait] ACCOUNT` in any order."""
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
    query = f"?min_ttl={min_ttl}{wait}" if wait or int(min_ttl) else ""  # what asks for nothing more is answered first
    return f"/v1/accounts/{account}/token{query}", kind


_MARKS = {ord(mark): "a" for mark in "._-"}
"""What a name may hold beside letters and digits; none of it means anything in a URL."""


def _socket_path() -> str | None:
    """Where `places().socket` is; None where that takes more than a look at the environment."""
    path: str | None
    named, home = os.environ.get("LAMPLIGHTER_SOCKET"), os.environ.get("LAMPLIGHTER_HOME")
    if named or home:
        path = named or f"{home}/run"
    else:
        from tray_app.base.runtime_folder import runtime_folder

        path = runtime_folder()
    if path is None or path.startswith("~"):
        return None
    if named:
        return path
    if sys.platform == "win32":
        from tray_app.base.pipe_name import pipe_name

        return pipe_name(path)
    else:  # noqa: RET505 - so that the types of both platforms can be checked
        return f"{path}/agent.sock"


def _heard(path: str, question: str) -> tuple[bytes, bytes] | None:
    """Head, in lower case, and body of what the applet says; None where it ends in the middle of it.

    Raises OSError where there is no applet, or another user's.
    """
    if sys.platform == "win32":
        from tray_app.interfaces.agent.windows_pipe_client import connected as connected_pipe

        connected = connected_pipe(path, PATIENCE)
    else:
        connected = _connected_socket(path)
    try:
        connected.sendall(question.encode())
        heard = b""
        while piece := connected.recv(65_536):
            heard += piece
            head, _, body = heard.partition(b"\r\n\r\n")
            head = head.lower() + b"\r\n"
            if b"\r\ncontent-length: %d\r\n" % len(body) in head:
                return head, body
        return None
    finally:
        connected.close()


if sys.platform != "win32":
    import _socket

    def _connected_socket(path: str) -> _socket.socket:
        from tray_app.interfaces.agent.peer import is_own

        connected = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        trusted = False
        try:
            connected.connect(path)  # with a time limit it would fail at once where many connect at the same moment
            connected.settimeout(PATIENCE)
            trusted = is_own(connected)
        finally:
            if not trusted:
                connected.close()
        if not trusted:
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


def _told(refusal: bytes) -> int | None:
    """The applet's refusal on stderr; its exit code. Here imports do not matter any more."""
    import json

    from tray_app.core.errors import error_named

    try:
        found = json.loads(refusal)
        error = error_named(str(found["error"]), str(found["message"]))
    except (ValueError, LookupError, TypeError):
        return None
    sys.stderr.write(f"lamplighter: {error}\n")
    return error.exit_code
