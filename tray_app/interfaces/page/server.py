"""The status page: a few files, the state of things as server-sent events, and what its buttons ask for.

Nothing listens before the page is first opened, and nothing a while after the last browser tab has gone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final, Protocol

from tray_app.base.http.messages import Request, Response
from tray_app.base.http.server import HttpServer, Limits, bind_loopback
from tray_app.core.errors import LamplighterError, Misconfigured
from tray_app.core.message import msg
from tray_app.engine.events import Events
from tray_app.interfaces.page.gate import Gate
from tray_app.interfaces.page.translations import words_json

IDLE_SECONDS: Final = 600.0
"""How long a page that nobody looks at is kept open."""
TOGETHER: Final = 0.1
"""Seconds in which several changes are one."""
_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "; ".join(
            (
                *("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'"),
                *("connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
            )
        ),
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)
_FILES: Final = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "strip.js": ("strip.js", "text/javascript; charset=utf-8"),
    "words.js": ("words.js", "text/javascript; charset=utf-8"),
    "lamp.svg": ("lamp.svg", "image/svg+xml"),
}


class Unconfirmed(Exception):
    """The account was added on the page, and nobody has confirmed yet where its sign-in leads."""

    def __init__(self, hosts: list[str]) -> None:
        super().__init__("unconfirmed")
        self.hosts = hosts


class Source(Protocol):
    """What the page shows and asks for."""

    @property
    def events(self) -> Events:
        """What happens."""

    async def state(self) -> dict[str, Any]:
        """All that is shown and changes."""

    async def sign_in(self, name: str, *, confirmed: list[str]) -> None:
        """Starts the account's sign-in. Raises `LamplighterError`, as do the others, and `Unconfirmed` where the
        person has to confirm hosts, and `confirmed` are not these.
        """

    async def refresh(self, name: str) -> None:
        """Refreshes now."""

    async def sign_out(self, name: str) -> None:
        """Signs out."""

    async def offer(self) -> dict[str, Any]:
        """What can be added."""

    async def add(self, wanted: dict[str, str]) -> None:
        """Adds an account to the configuration."""

    async def demo(self) -> None:
        """Starts the demo."""

    async def examine(self) -> dict[str, Any]:
        """Doctor's report."""

    async def log_lines(self) -> list[str]:
        """The log's last lines."""


class Page:
    """The page of `source`. Belongs to the event loop's thread."""

    def __init__(self, source: Source, idle_seconds: float = IDLE_SECONDS) -> None:
        self._source = source
        self._idle_seconds = idle_seconds
        self._server: HttpServer | None = None
        self._gate: Gate | None = None
        self._watching = 0
        self._closing: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def address(self, *, adding: bool = False) -> str:
        """An address for the browser, good for one visit; listens from now on. `adding` opens the form for an account.

        Raises `LamplighterError` where no port can be had.
        """
        loop = asyncio.get_running_loop()
        if self._server is None or self._gate is None:
            try:
                (listening,) = bind_loopback("127.0.0.1", 0)
            except OSError as error:
                what = msg("The page cannot be opened ({reason})", reason=error.strerror)
                raise LamplighterError(what) from error
            limits = Limits(head=131_072, body=16_384, connections=64, keep_alive=True)
            server = HttpServer(self._answer, limits, own_user_only=True)
            gate = Gate(f"http://127.0.0.1:{listening.getsockname()[1]}", loop.time)
            await server.listen(listening)
            self._server, self._gate = server, gate  # only now: before it listens its address leads nowhere
        self._rest()
        return self._gate.address("#add" if adding else "")

    async def close(self) -> None:
        """Listens no more."""
        if self._closing is not None:
            self._closing.cancel()
        server, self._server, self._gate = self._server, None, None
        if server is not None:
            await server.close()

    def _rest(self) -> None:
        """Closes after a while, unless somebody watches. One timer, set anew at each request."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if not self._watching and self._server is not None:
            self._closing = asyncio.get_running_loop().call_later(self._idle_seconds, self._fall_asleep)

    def _fall_asleep(self) -> None:
        task = asyncio.get_running_loop().create_task(self.close())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _answer(self, request: Request) -> Response:
        gate = self._gate
        if gate is None:
            return Response(503)
        if (found := gate.exchange(request) or gate.refusal(request)) is not None:
            return found
        self._rest()
        try:
            return await self._route(request, gate)
        except Unconfirmed as unconfirmed:
            return _json(409, {"error": "unconfirmed", "message": "", "hosts": unconfirmed.hosts})
        except LamplighterError as error:
            return _json(409, {"error": error.name, "message": _translated(error)})

    async def _route(self, request: Request, gate: Gate) -> Response:
        path = request.path.removeprefix(gate.base)
        if request.method == "GET" and path == "proof":
            return _json(200, {"proof": gate.proof(request.query)} if request.query else {"key": gate.proof_key})
        found = await (self._show(path) if request.method == "GET" else self._do(path.split("/"), request.body))
        return found or _json(404, {"error": "not_found", "message": "nothing is here"})

    async def _show(self, path: str) -> Response | None:
        if path in _FILES:
            return await asyncio.to_thread(_file, path)
        match path:
            case "events":
                return Response(200, content_type="text/event-stream", headers=_HEADERS, stream=self._events())
            case "words":
                return _json(200, words_json())
            case "offer":
                return _json(200, await self._source.offer())
            case "log":
                return _json(200, {"lines": await self._source.log_lines()})
            case _:
                return None

    async def _do(self, parts: list[str], body: bytes) -> Response | None:
        match parts:
            case ["doctor"]:
                return _json(200, await self._source.examine())
            case ["accounts"]:
                await self._source.add(_texts(body))
            case ["demo"]:
                await self._source.demo()
            case ["accounts", name, "login"]:
                await self._source.sign_in(name, confirmed=_texts(body).get("confirmed", "").split())
            case ["accounts", name, "refresh"]:
                await self._source.refresh(name)
            case ["accounts", name, "logout"]:
                await self._source.sign_out(name)
            case _:
                return None
        return _json(200, {})

    async def _events(self) -> AsyncGenerator[bytes, None]:
        queue = self._source.events.subscribe()
        self._watching += 1
        self._rest()
        try:
            yield _state(await self._source.state())
            while await queue.get() is not None:
                await asyncio.sleep(TOGETHER)
                while not queue.empty():
                    if queue.get_nowait() is None:
                        return
                yield _state(await self._source.state())
        finally:
            self._source.events.unsubscribe(queue)
            self._watching -= 1
            self._rest()


def _state(state: dict[str, Any]) -> bytes:
    return f"event: state\ndata: {json.dumps(state)}\n\n".encode()


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(status, json.dumps(body).encode(), "application/json", _HEADERS)


def _file(name: str) -> Response:
    file, content_type = _FILES[name]
    return Response(200, Path(__file__).with_name(file).read_bytes(), content_type, _HEADERS)


def _texts(body: bytes) -> dict[str, str]:
    """A JSON object of texts. Raises `Misconfigured` where it is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Misconfigured(msg("This was not understood"))
    return found


def _translated(error: LamplighterError) -> str:
    from tray_app.base.translation import translated

    return translated(error.sentence)
