"""HTTP/1.1 on the agent's socket: many clients, none of which can cost another one its token.

A client that is silent, slow to send or slow to read has a minute for it, and its connection is the first to be let
go when there are too many. Requests of one connection are answered one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import cast

from tray_app.base.http.messages import Handler, Request, Response
from tray_app.base.log import LOG
from tray_app.interfaces.agent.http_parser import LONGEST_BODY, NotUnderstood, RequestReader, last_request
from tray_app.interfaces.agent.unix_socket import Bound, Entrance, same_user

SECONDS = 60.0
"""From the connection, or from the last answer, to the last byte of a request; and for an answer to be taken."""
CROWDED = b"HTTP/1.1 503 \r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
CLOSE = ("Connection", "close")
NOT_UNDERSTOOD = b'{"error": "invalid_request", "message": "this is no request that a server of HTTP/1.1 may answer"}'
NOT_FORESEEN = b'{"error": "failed", "message": "this was not foreseen; the log of Lamplighter tells more"}'
JSON = "application/json"


class Conversations:
    """All conversations of a server, and the places at which they begin.

    `at_once` answers what can be answered without waiting for anything, and gives None for the rest: `handler` has it.
    """

    def __init__(self, handler: Handler, at_once: Callable[[Request], Response | None], most: int) -> None:
        self.handler = handler
        self.at_once = at_once
        self._most = most
        self._doors: list[Entrance] = []
        self._all: set[Conversation] = set()
        self._waiting: dict[Conversation, float] = {}
        """Those that wait for their client, until when; longest first, since all have the same patience."""
        self._timer: asyncio.TimerHandle | None = None
        self._said: tuple[Response, bool, bytes] | None = None
        """What was said last, and how: it is mostly said again."""

    def __call__(self) -> Conversation:
        """A conversation with one more."""
        return Conversation(self)

    def last_word(self, piece: bytes) -> bytes | None:
        """All that is to be said to one who has sent this and nothing else; None where it takes a conversation."""
        request = last_request(piece)
        response = None if request is None else self.at_once(request)
        return None if response is None else self.whole(response, last=True)

    def whole(self, response: Response, *, last: bool) -> bytes:
        """The answer as it is sent."""
        if self._said is None or self._said[0] is not response or self._said[1] is not last:
            self._said = response, last, _head_of_whole(response, last=last) + response.body
        return self._said[2]

    def listen(self, bound: Bound) -> None:
        """Answers whoever connects there. Belongs to the loop's thread."""
        self._doors.append(bound.open(self))

    def stop_listening(self) -> None:
        """Ends what `listen` has begun; conversations go on."""
        for door in self._doors:
            door.close()
        self._doors.clear()

    async def close(self) -> None:
        """Stops listening and ends every conversation; returns when all are gone."""
        self.stop_listening()
        tasks = [one.task for one in self._all if one.task is not None]
        for one in list(self._all):
            one.end()
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what a conversation tells

    def begun(self, one: Conversation) -> bool:
        """Whether it may go on. Where there are too many, that goes which has kept us waiting longest."""
        if not same_user(one.transport):
            return False
        if len(self._all) >= self._most:
            longest = next(iter(self._waiting), None)
            if longest is None:
                one.transport.write(CROWDED)
                return False
            longest.end()
        self._all.add(one)
        self.waits(one)
        return True

    def waits(self, one: Conversation) -> None:
        """It waits for its client from now on."""
        loop = asyncio.get_running_loop()
        self._waiting.pop(one, None)
        self._waiting[one] = loop.time() + SECONDS
        if self._timer is None:
            self._timer = loop.call_later(SECONDS, self._let_go)

    def has_heard(self, one: Conversation) -> None:
        """It does not wait any more."""
        self._waiting.pop(one, None)

    def ended(self, one: Conversation) -> None:
        """It is over."""
        self._all.discard(one)
        self._waiting.pop(one, None)
        if not self._all and self._timer is not None:  # an idle lamp is not woken for nobody
            self._timer.cancel()
            self._timer = None

    def _let_go(self) -> None:
        """One timer for all: most are answered long before it, and need none of their own."""
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        for one in [one for one, until in self._waiting.items() if until <= now]:
            one.end()
        if self._waiting:
            self._timer = loop.call_at(next(iter(self._waiting.values())), self._let_go)


class Conversation(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self, house: Conversations) -> None:
        self.task: asyncio.Task[None] | None = None
        self._house = house
        self._reader = RequestReader()
        self._writable = asyncio.Event()
        self._writable.set()
        self._client_is_done = self._streams = self._is_over = False

    # -- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if not self._house.begun(self):
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self.task is None and self._writable.is_set():
            self._go_on()
        elif self._reader.waiting > LONGEST_BODY:  # requests that come quicker than their answers go
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._client_is_done = True
        return not self._streams and (self.task is not None or not self._writable.is_set())  # it wants its answer still

    def connection_lost(self, _: Exception | None) -> None:
        self._is_over = True
        self._house.ended(self)
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()
        self._house.waits(self)

    def resume_writing(self) -> None:
        self._writable.set()
        if self.task is None and not self.transport.is_closing():
            self._go_on()

    # -- one request after the other

    def end(self) -> None:
        """Ends it, whatever is under way."""
        self._house.ended(self)
        self.transport.abort()

    def _go_on(self) -> None:
        """Answers what has come, up to what takes time or is not whole yet."""
        while self._writable.is_set() and (request := self._next()) is not None:
            self._house.has_heard(self)
            response = self._house.at_once(request)
            if response is None:
                self.task = asyncio.get_running_loop().create_task(self._answer(request))
                return
            self._send(response, request)
        if self.transport.is_closing():
            return
        if self._client_is_done and self._writable.is_set():
            self._hang_up()
            return
        self._house.waits(self)
        self.transport.resume_reading()

    def _next(self) -> Request | None:
        if self.transport.is_closing():
            return None
        try:
            request = self._reader.next()
        except NotUnderstood as error:
            self.transport.write(self._house.whole(Response(error.status, NOT_UNDERSTOOD, JSON), last=True))
            self._hang_up()
            return None
        if request is None and self._reader.wants_word:
            self._reader.wants_word = False
            self.transport.write(b"HTTP/1.1 100 \r\n\r\n")
        return request

    async def _answer(self, request: Request) -> None:
        try:
            response = await self._house.handler(request)
        except Exception:  # noqa: BLE001 - a bug of ours: told in the log, and the client is not left waiting
            LOG.exception("the agent could not answer in a way that was not foreseen")
            response = Response(500, NOT_FORESEEN, JSON)
        if response.stream is not None:
            await self._stream(response, response.stream)
            return
        self.task = None
        self._send(response, request)
        self._go_on()

    def _send(self, response: Response, request: Request) -> None:
        last = not self._reader.keeps_alive
        is_head = request.method == "HEAD"
        self.transport.write(_head_of_whole(response, last=last) if is_head else self._house.whole(response, last=last))
        if last:
            self._hang_up()

    def _hang_up(self) -> None:
        """Closes once what was said has been taken, for which there is as much time as for a request."""
        self.transport.close()
        if not self._is_over:
            self._house.waits(self)

    async def _stream(self, response: Response, stream: AsyncGenerator[bytes, None]) -> None:
        self._streams = True
        if not self._client_is_done:
            self.transport.write(_head(response, CLOSE))
            async with aclosing(stream) as pieces:
                async for piece in pieces:
                    self.transport.write(piece)
                    await self._writable.wait()
        self.task = None
        self._hang_up()


def _head_of_whole(response: Response, *, last: bool) -> bytes:
    length = ("Content-Length", str(len(response.body)))
    return _head(response, length, CLOSE) if last else _head(response, length)


def _head(response: Response, *more: tuple[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {response.status} ", f"Content-Type: {response.content_type}"]
    lines += [f"{name}: {value}" for name, value in (*response.headers, *more)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
