"""Asks the running applet. The standard library alone: a command must not wait for imports."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from tray_app.core.errors import NoApplet, Unavailable, error_named
from tray_app.interfaces.agent.peer import is_own


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float | None) -> None:
        super().__init__("lamplighter", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = _connected(self._path, self.timeout)


class _Connected(Protocol):
    """A socket, or what is one on Windows; http.client reads and writes it."""

    def close(self) -> None: ...


def _connected(path: Path, seconds: float | None) -> _Connected:
    """Raises OSError where nobody listens, `NoApplet` where another user does: what it says is not to be trusted."""
    strange = NoApplet(f"another user's program listens at {path}", "Set LAMPLIGHTER_SOCKET to a place of yours")
    if sys.platform == "win32":
        from tray_app.interfaces.agent.windows_pipe_client import connected

        try:
            return connected(str(path), seconds)
        except PermissionError as error:
            raise strange from error
    else:
        with contextlib.ExitStack() as stack:
            one = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            one.connect(str(path))  # with a time limit it would fail at once where many connect at the same moment
            one.settimeout(seconds)
            if not is_own(one):
                raise strange
            stack.pop_all()
        return one


class AgentClient:
    """The applet behind a socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def alive(self) -> bool:
        """Whether an applet answers there. Raises `NoApplet` where another user's program does."""
        try:
            _connected(self._path, 2).close()
        except OSError:
            return False
        return True

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, seconds: float = 75) -> dict[str, Any]:
        """The applet's answer. Raises `NoApplet` where none runs, else the error that it answered with."""
        connection = self._connection(seconds)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            found = json.loads(answer.read() or b"{}")
        except TimeoutError as error:
            raise Unavailable(f"the applet has not answered within {seconds:.0f} s") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise NoApplet(f"the applet does not answer ({type(error).__name__})", "Start it: lamplighter") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise error_named(str(found.get("error")), str(found.get("message", "the applet refused")))
        return dict(found)

    def account(self, name: str, what: str) -> str:
        """The path of something of an account."""
        return f"/v1/accounts/{quote(name, safe='')}/{what}"

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """What happens from now on, beginning with every account's health; ends with the applet.

        The connection stands once the first value is taken. Raises `NoApplet`.
        """
        connection = self._connection(None)
        try:
            connection.request("GET", "/v1/events")
            answer = connection.getresponse()
            yield "open", {}
            kind = ""
            for line in answer:
                text = line.decode().rstrip("\n")
                if text.startswith("event: "):
                    kind = text[7:]
                elif text.startswith("data: "):
                    yield kind, json.loads(text[6:])
        except (OSError, http.client.HTTPException) as error:
            raise NoApplet("the applet has ended", "Start it: lamplighter") from error
        finally:
            connection.close()

    def _connection(self, seconds: float | None) -> _Connection:
        connection = _Connection(self._path, seconds)
        try:
            connection.connect()
        except OSError as error:
            raise NoApplet("no applet is running", "Start it: lamplighter") from error
        return connection
