"""Asks the running applet. Imports the standard library alone, since commands wait for imports."""

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
from tray_app.interfaces.agent.peer import UNRESPONSIVE, UnresponsiveError, await_answer, connect


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float | None) -> None:
        super().__init__("lamplighter", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = _connected(self._path, self.timeout)

    def answer(self, method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
        """The answer, from its first byte on. Raises `UnresponsiveError`, and what http.client raises."""
        self.request(method, path, body)
        if sys.platform != "win32":
            await_answer(self.sock, self.timeout)
        return self.getresponse()


class _Connected(Protocol):
    """A socket, or what is one on Windows; http.client reads and writes it."""

    def close(self) -> None: ...


def _connected(path: Path, seconds: float | None) -> _Connected:
    """A connection, with `seconds` for each reading. Raises OSError where nobody listens.

    Raises `NoApplet` where another user does, since what that says is not to be trusted, and `Unavailable` where the
    connection is not accepted.
    """
    strange = NoApplet(f"another user's program listens at {path}", "Set LAMPLIGHTER_SOCKET to a place of yours")
    try:
        if sys.platform == "win32":
            from tray_app.interfaces.agent.windows_pipe_client import connected

            try:
                return connected(str(path), seconds)
            except PermissionError as error:
                raise strange from error
        else:
            with contextlib.ExitStack() as stack:
                one = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                if not connect(one, str(path)):
                    raise strange
                one.settimeout(seconds)
                stack.pop_all()
            return one
    except TimeoutError as error:
        raise Unavailable(*UNRESPONSIVE) from error


class AgentClient:
    """The applet behind a socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def alive(self) -> bool:
        """Whether an applet listens there. Raises `NoApplet` where another user's program does, and `Unavailable`."""
        try:
            _connected(self._path, 2).close()
        except OSError:
            return False
        return True

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, seconds: float = 75) -> dict[str, Any]:
        """The applet's answer, which may take `seconds`.

        Raises `NoApplet` where none runs, `Unavailable` where it does not respond, else the error that it answers with.
        """
        connection = self._connection(seconds)
        try:
            answer = connection.answer(method, path, json.dumps(body) if body is not None else None)
            found = json.loads(answer.read() or b"{}")
        except UnresponsiveError as error:
            raise Unavailable(*UNRESPONSIVE) from error
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

        The connection is made when the first value is taken. Raises `NoApplet`, `Unavailable`.
        """
        connection = self._connection(None)
        try:
            answer = connection.answer("GET", "/v1/events")
            yield "open", {}
            kind = ""
            for line in answer:
                text = line.decode().rstrip("\n")
                if text.startswith("event: "):
                    kind = text[7:]
                elif text.startswith("data: "):
                    yield kind, json.loads(text[6:])
        except UnresponsiveError as error:
            raise Unavailable(*UNRESPONSIVE) from error
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
