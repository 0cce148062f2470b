"""HTTP/1.1 on the agent's socket, for many clients of which none may delay another one's token.

A client that is silent, slow to send or slow to read has a minute, and its connection is the first to be closed when
there are too many. Requests of one connection are answered one after the other.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import cast

from tray_app.base.http.messages import Handler, Request, Response
from tray_app.base.log import LOG
from tray_app.interfaces.agent.http_requests import RequestReader, only_request
from tray_app.interfaces.agent.listener import Bound, Listener

SECONDS = 60.0
"""From the connection, or from the last answer, to the last byte of a request; and for an answer to be read."""
MOST_DISCARDED = 262_144
"""Bytes that are read after a refusal: a client that is still sending gets to read it (RFC 9112, 9.6)."""
LONGEST_AT_ONCE = 32_768
BUSY = b"HTTP/1.1 503 \r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
CLOSE = ("Connection", "close")
NOT_UNDERSTOOD = b'{"error": "invalid_request", "message": "this is not a request of HTTP/1.1 that can be answered"}'
UNEXPECTED = b'{"error": "failed", "message": "an unexpected error; it is in the log of Lamplighter"}'
JSON = "application/json"


class HttpServer:
    """All connections of a server.

    `at_once` answers what can be answered without waiting for anything, and gives None for the rest: `handler` has it.
    """

    def __init__(self, handler: Handler, at_once: Callable[[Request], Response | None], most: int) -> None:
        self.handler = handler
        self.at_once = at_once
        self.most = most
        """How many connections there may be at a time."""
        self._listeners: list[Listener] = []
        self._connections: set[HttpConnection] = set()
        self._waiting: dict[HttpConnection, float] = {}
        """Connections that wait for their client, and until when; longest first, since all have the same time."""
        self._timer: asyncio.TimerHandle | None = None
        self._accepting: set[asyncio.Task[object]] = set()
        self._last: tuple[Response, bool, bytes] | None = None
        """What was sent last: mostly it is sent again."""

    def listen(self, bound: Bound) -> None:
        """Serves all who connect there. To be called in the loop's thread."""
        self._listeners.append(bound.open(self))

    def stop_listening(self) -> None:
        """Ends what `listen` has begun; connections stay."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    async def close(self) -> None:
        """Stops listening and closes every connection; returns when their tasks have ended."""
        self.stop_listening()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        tasks = [one.task for one in self._connections if one.task is not None]
        for one in list(self._connections):
            one.abort()
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what a listener calls

    def answer_at_once(self, received: bytes) -> bytes | None:
        """The whole answer to a client that has sent this and closes after it; None where `protocol` has to serve it.

        Most programs connect, ask for a token and go: for them no transport and no task is made.
        """
        request = only_request(received)
        response = None if request is None else self.at_once(request)
        short = response is not None and len(response.body) <= LONGEST_AT_ONCE
        return self.rendered(response, last=True) if response is not None and short else None

    def protocol(self) -> HttpConnection:
        """What serves a connection."""
        return HttpConnection(self)

    def serve(self, connected: socket.socket, received: bytes = b"") -> None:
        """Serves a connection from which so much was read already."""
        connection = HttpConnection(self, received)
        loop = asyncio.get_running_loop()
        task: asyncio.Task[object] = loop.create_task(loop.connect_accepted_socket(lambda: connection, connected))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    # -- what a connection calls

    def admits(self, one: HttpConnection) -> bool:
        """Whether it may stay. Where there are too many, the one that has waited longest for its client is closed."""
        if len(self._connections) >= self.most:
            longest = next(iter(self._waiting), None)
            if longest is None:
                one.transport.write(BUSY)
                return False
            longest.abort()
        self._connections.add(one)
        self.begin_waiting(one)
        return True

    def begin_waiting(self, one: HttpConnection) -> None:
        """It waits for its client, if it does not already."""
        loop = asyncio.get_running_loop()
        self._waiting.setdefault(one, loop.time() + SECONDS)
        if self._timer is None:
            self._timer = loop.call_later(SECONDS, self._close_late)

    def end_waiting(self, one: HttpConnection) -> None:
        """Its client has done its part."""
        self._waiting.pop(one, None)

    def forget(self, one: HttpConnection) -> None:
        """It is closed."""
        self._connections.discard(one)
        self._waiting.pop(one, None)
        if not self._connections and self._timer is not None:  # an idle applet has nothing to wake up for
            self._timer.cancel()
            self._timer = None

    def rendered(self, response: Response, *, last: bool) -> bytes:
        """The answer as it is sent."""
        if self._last is None or self._last[0] is not response or self._last[1] is not last:
            self._last = response, last, _head_with_length(response, last=last) + response.body
        return self._last[2]

    def _close_late(self) -> None:
        """One timer for all: most are answered long before it, and need none of their own."""
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        for one in [one for one, until in self._waiting.items() if until <= now]:
            one.abort()
        if self._waiting:
            self._timer = loop.call_at(next(iter(self._waiting.values())), self._close_late)


class HttpConnection(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self, server: HttpServer, received: bytes = b"") -> None:
        self.task: asyncio.Task[None] | None = None
        self._server = server
        self._received = received
        self._reader = RequestReader()
        self._writable = asyncio.Event()
        self._writable.set()
        self._client_is_done = self._streams = self._is_lost = False
        self._discarded: int | None = None
        """Bytes read after a refusal; None where nothing was refused."""

    # -- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if not self._server.admits(self):
            self.transport.close()
        elif self._received:
            self.data_received(self._received)
            self._received = b""

    def data_received(self, data: bytes) -> None:
        if self._discarded is not None:
            self._discarded += len(data)
            if self._discarded > MOST_DISCARDED:
                self.abort()
            return
        self._reader.feed(data)
        if self.task is None and self._writable.is_set():
            self._answer_next()
        elif self._reader.requests:  # they come quicker than their answers go
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Whether the connection stays open: the client waits for its answer still."""
        self._client_is_done = True
        return not self._streams and self._discarded is None and (self.task is not None or not self._writable.is_set())

    def connection_lost(self, _: Exception | None) -> None:
        self._is_lost = True
        self._server.forget(self)
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()
        self._server.begin_waiting(self)

    def resume_writing(self) -> None:
        self._writable.set()
        self._server.end_waiting(self)
        if self.task is None:
            self._answer_next()

    # -- one request after the other

    def abort(self) -> None:
        """Closes it now, whatever is under way."""
        self._server.forget(self)
        self.transport.abort()

    def _answer_next(self) -> None:
        """Answers the requests that have come, up to one that takes time."""
        requests = self._reader.requests
        while requests and self._writable.is_set() and not self.transport.is_closing():
            self._server.end_waiting(self)
            request, keeps_alive = requests.popleft()
            response = self._server.at_once(request)
            if response is None:
                self.task = asyncio.get_running_loop().create_task(self._answer(request, keeps_alive=keeps_alive))
                return
            self._send(response, request, keeps_alive=keeps_alive)
        if not self._is_lost:
            self._server.begin_waiting(self)
        if self.transport.is_closing() or not self._writable.is_set():
            return
        if self._reader.refusal is not None and self._discarded is None:
            self._refuse(self._reader.refusal)
        elif self._client_is_done:
            self._close()
        else:
            if self._reader.awaits_continue:
                self._reader.awaits_continue = False
                self.transport.write(b"HTTP/1.1 100 \r\n\r\n")
            self.transport.resume_reading()

    async def _answer(self, request: Request, *, keeps_alive: bool) -> None:
        try:
            response = await self._server.handler(request)
        except Exception:  # noqa: BLE001 - a bug of ours: it is logged, and the client is not left waiting
            LOG.exception("the agent met an unexpected error")
            response = Response(500, UNEXPECTED, JSON)
        if response.stream is not None:
            await self._stream(response, response.stream)
            return
        self.task = None
        self._send(response, request, keeps_alive=keeps_alive)
        self._answer_next()

    def _send(self, response: Response, request: Request, *, keeps_alive: bool) -> None:
        last = not keeps_alive
        is_head = request.method == "HEAD"
        whole = self._server.rendered
        self.transport.write(_head_with_length(response, last=last) if is_head else whole(response, last=last))
        if last:
            self._close()

    def _refuse(self, status: int) -> None:
        self._discarded = 0
        self.transport.write(self._server.rendered(Response(status, NOT_UNDERSTOOD, JSON), last=True))
        if self._client_is_done or not self.transport.can_write_eof():
            self._close()
        else:
            with suppress(OSError):
                self.transport.write_eof()
            self.transport.resume_reading()

    def _close(self) -> None:
        """Closes once the answer was read, for which there is as much time as for a request."""
        self.transport.close()
        if not self._is_lost:
            self._server.begin_waiting(self)

    async def _stream(self, response: Response, stream: AsyncGenerator[bytes, None]) -> None:
        self._streams = True
        if not self._client_is_done:
            self.transport.write(_head(response, CLOSE))
            async with aclosing(stream) as pieces:
                async for piece in pieces:
                    self.transport.write(piece)
                    await self._writable.wait()
        self.task = None
        self._close()


def _head_with_length(response: Response, *, last: bool) -> bytes:
    length = ("Content-Length", str(len(response.body)))
    return _head(response, length, CLOSE) if last else _head(response, length)


def _head(response: Response, *more: tuple[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {response.status} ", f"Content-Type: {response.content_type}"]
    lines += [f"{name}: {value}" for name, value in (*response.headers, *more)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
